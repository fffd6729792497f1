// Chance on a link: loss, bursts of loss, jitter.
#pragma once

#include "tests/sim/core/random.h"
#include "tests/sim/net/settings.h"

namespace hawser::sim {

class Impairment {
 public:
  explicit Impairment(Random random) : random_(random) {}

  bool lost(const DirectionSettings& s);
  bool duplicated(const DirectionSettings& s) { return random_.chance(s.duplicate); }
  // What is added to the delay of a frame that left the wire at `finish` (which never goes back). Negative for `normal` only.
  Duration jitter(const DirectionSettings& s, Time finish);

 private:
  Random random_;
  bool burst_ = false;
  // Ordered jitter moves on straight lines between targets drawn once per period.
  Time from_time_, to_time_;
  Duration from_, to_;
};

}  // namespace hawser::sim
