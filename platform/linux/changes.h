// Making and unmaking one change of the system, with what must be remembered in between (inside platform/linux only).
#pragma once

#include <optional>
#include <string>

#include "common/result.h"
#include "platform/undo.h"

namespace hawser {

// What was there before, needed to undo. For a rule, route, table or device: nothing.
struct Before {
  std::optional<std::string> text;  // a file's content or a setting's value; nothing: there was none
  uint32_t mode = 0;                // of the file
};

// To be called before make(), and logged with the change.
Result<Before> look(const SystemChange& change);
Result<Outcome> make(const SystemChange& change);
// Removes only what is still exactly ours.
Result<Outcome> unmake(const SystemChange& change, const Before& before);
// Whether it is still there after a reboot.
bool survives_reboot(const SystemChange& change);

}  // namespace hawser
