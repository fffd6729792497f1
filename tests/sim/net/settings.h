// What one direction of an emulated link does to frames. Same meaning as netlab's link emulator.
#pragma once

#include <algorithm>
#include <optional>

#include "common/types.h"

namespace hawser::sim {

// Two-state loss (Gilbert 1960, Elliott 1963): before each frame the state may change, then the state's loss applies.
struct GilbertElliott {
  double good_to_bad = 0;
  double bad_to_good = 1;
  double loss_bad = 1;
  double loss_good = 0;
};

struct DirectionSettings {
  enum class Jitter : uint8_t {
    ordered,     // uniform in [0, jitter], moving on straight lines between targets drawn once per `jitter`: never overtakes
    reordering,  // uniform in [0, jitter], drawn per frame
    normal,      // normally distributed around the delay with deviation `jitter`, drawn per frame: netem's form
  };
  enum class Queue : uint8_t { drop_tail, codel };

  BitRate rate{0};  // of whole frames; 0 is unlimited
  Duration delay{};
  Duration jitter{};
  Jitter jitter_form = Jitter::ordered;
  Queue queue_kind = Queue::drop_tail;
  std::optional<size_t> queue_bytes;  // waiting frames, without the one on the wire; unset: see queue_limit()
  double loss = 0;
  std::optional<GilbertElliott> bursts;
  double duplicate = 0;
  bool blackhole = false;  // nothing enters and nothing leaves
  bool paused = false;     // the serialiser stands still, the queue holds

  // Explicit limit, or 100 ms of the rate but at least ten full frames; unlimited when the rate is.
  size_t queue_limit() const {
    if (queue_bytes) return *queue_bytes;
    if (rate.bps <= 0) return SIZE_MAX;
    return std::max<size_t>(15'140, static_cast<size_t>(rate.bytes_in(Duration::millis(100))));
  }
};

}  // namespace hawser::sim
