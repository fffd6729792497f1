// Round-trip times and the retransmission timeout (RFC 6298, with Linux' minimum of 200 ms and its lasting variance).
#pragma once

#include <algorithm>

#include "common/types.h"

namespace hawser::sim {

class RttEstimator {
 public:
  void on_sample(Duration rtt) {
    latest_ = rtt;
    min_ = std::min(min_, rtt);
    if (smoothed_.ns == 0) {
      smoothed_ = rtt;
      variance_ = rtt / 2;
      return;
    }
    const Duration error = rtt > smoothed_ ? rtt - smoothed_ : smoothed_ - rtt;
    variance_ = variance_ * 0.75 + error * 0.25;
    smoothed_ = smoothed_ * 0.875 + rtt * 0.125;
  }
  bool has_sample() const { return smoothed_.ns > 0; }
  Duration smoothed() const { return smoothed_; }
  Duration latest() const { return latest_; }
  Duration min() const { return has_sample() ? min_ : Duration{}; }
  Duration variance() const { return variance_; }
  Duration timeout() const {
    if (!has_sample()) return Duration::seconds(1);
    return smoothed_ + std::max(variance_ * 4, Duration::millis(200));
  }

 private:
  Duration smoothed_{}, latest_{}, variance_{};
  Duration min_ = Duration::infinite();
};

}  // namespace hawser::sim
