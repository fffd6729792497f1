// HyStart++ (RFC 9406): leaves slow start when the round trip grows, before the queue overflows.
#pragma once

#include <algorithm>

#include "common/types.h"

namespace hawser {

class HyStart {
 public:
  enum class Phase : uint8_t { slow_start, conservative, done };
  static constexpr int kGrowthDivisor = 4;  // CSS_GROWTH_DIVISOR

  Phase phase() const { return phase_; }
  // A round trip began: what was sent from now on will end it.
  void on_round() {
    last_min_ = current_min_;
    current_min_ = Duration::infinite();
    samples_ = 0;
    if (phase_ == Phase::conservative && ++conservative_rounds_ >= kConservativeRounds) phase_ = Phase::done;
  }
  void on_rtt(Duration rtt) {
    current_min_ = std::min(current_min_, rtt);
    if (++samples_ < kSamples) return;
    if (phase_ == Phase::slow_start && last_min_ < Duration::infinite()) {
      const Duration threshold = std::clamp(last_min_ / 8, Duration::millis(4), Duration::millis(16));
      if (current_min_ < last_min_ + threshold) return;
      baseline_ = current_min_;
      conservative_rounds_ = 0;
      phase_ = Phase::conservative;
    } else if (phase_ == Phase::conservative && current_min_ < baseline_) {
      phase_ = Phase::slow_start;  // it was jitter
    }
  }
  void on_congestion() { phase_ = Phase::done; }

 private:
  static constexpr int kSamples = 8;             // N_RTT_SAMPLE
  static constexpr int kConservativeRounds = 5;  // CSS_ROUNDS
  Phase phase_ = Phase::slow_start;
  Duration last_min_ = Duration::infinite(), current_min_ = Duration::infinite(), baseline_;
  int samples_ = 0, conservative_rounds_ = 0;
};

}  // namespace hawser
