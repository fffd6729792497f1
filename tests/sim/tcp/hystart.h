// HyStart as Linux' CUBIC has it: leaves slow start when the delay rises, or when a train of acks has become as long as
// half of the round trip.
#pragma once

#include "common/types.h"

namespace hawser::sim {

class Hystart {
 public:
  // A new round trip begins.
  void on_round(Time now) {
    round_start_ = last_ack_ = now;
    round_min_ = Duration::infinite();
    samples_ = 0;
  }
  // True when slow start should end. `window` in segments; below 16 it never ends.
  bool on_ack(double window, Duration rtt, Duration min_rtt, Time now) {
    if (window < kLowWindow || !round_start_.is_set()) return false;
    if (now - last_ack_ <= kTrainGap) {
      last_ack_ = now;
      if (now - round_start_ > (min_rtt + Duration::millis(1)) / 2) return true;
    }
    // The minimum goes on falling: one early ack of a fast path ends the suspicion for this round.
    if (rtt < round_min_) round_min_ = rtt;
    if (samples_ < kSamples) {
      ++samples_;
      return false;
    }
    Duration threshold = min_rtt / 8;
    if (threshold < Duration::millis(4)) threshold = Duration::millis(4);
    if (threshold > Duration::millis(16)) threshold = Duration::millis(16);
    return round_min_ > min_rtt + threshold;
  }

 private:
  static constexpr double kLowWindow = 16;
  static constexpr int kSamples = 8;
  static constexpr Duration kTrainGap = Duration::millis(2);

  Time round_start_, last_ack_;
  Duration round_min_ = Duration::infinite();
  int samples_ = 0;
};

}  // namespace hawser::sim
