// After a kill -9: replays the undo log that the daemon left behind.
#pragma once

#include "client/instance.h"

namespace hawser::client {

// Undoes what a killed daemon of this instance left, and removes its socket. Nothing left: nothing happens, no
// privilege is asked for. Errors: conflict when the instance runs, permission, system_integration.
Status clean_up(const Instance& instance, bool quiet);

}  // namespace hawser::client
