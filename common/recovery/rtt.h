// Round-trip and one-way delay estimates of one path (RFC 9002, section 5). Samples come only from acks on the path itself.
#pragma once

#include <algorithm>
#include <optional>

#include "common/constants.h"
#include "common/types.h"

namespace hawser {

// The smallest of the samples of a sliding window, in two halves: old values leave after one to two half windows.
class WindowedMin {
 public:
  explicit WindowedMin(Duration half_window) : half_(half_window) {}
  void update(Duration sample, Time now) {
    if (!started_ || now - half_start_ >= half_) {
      previous_ = started_ && now - half_start_ < half_ * 2 ? current_ : sample;
      current_ = sample;
      half_start_ = now;
      started_ = true;
    }
    current_ = std::min(current_, sample);
  }
  bool has_value() const { return started_; }
  Duration value() const { return std::min(current_, previous_); }
  // The minimum is known to be stale (the path's route changed): start again.
  void reset() { started_ = false; }

 private:
  Duration half_;
  Duration current_, previous_;
  Time half_start_;
  bool started_ = false;
};

class RttEstimator {
 public:
  // `ack_delay` is what the peer says it held the ack back; it is not believed beyond what keeps the sample above min_rtt.
  void on_sample(Duration rtt, Duration ack_delay, Time now) {
    latest_ = rtt;
    min_.update(rtt, now);
    Duration adjusted = rtt - std::min(ack_delay, kMaxAckDelay);
    if (adjusted < min_.value()) adjusted = std::max(min_.value(), rtt - ack_delay);
    if (!has_sample_) {
      smoothed_ = adjusted;
      variance_ = rtt / 2;
      has_sample_ = true;
      return;
    }
    const Duration deviation = smoothed_ > adjusted ? smoothed_ - adjusted : adjusted - smoothed_;
    variance_ = (variance_ * 3 + deviation) / 4;
    smoothed_ = (smoothed_ * 7 + adjusted) / 8;
  }

  bool has_sample() const { return has_sample_; }
  Duration latest() const { return has_sample_ ? latest_ : kInitialRtt; }
  Duration smoothed() const { return has_sample_ ? smoothed_ : kInitialRtt; }
  Duration variance() const { return has_sample_ ? variance_ : kInitialRtt / 2; }
  Duration min() const { return has_sample_ ? min_.value() : kInitialRtt; }

  // RFC 9002, 6.2.1, without back-off.
  Duration probe_timeout() const { return smoothed() + std::max(variance() * 4, kGranularity) + kMaxAckDelay; }
  // DESIGN.md, 6: unanswered data for about two round trips and their variance makes a path suspect.
  Duration suspect_timeout() const { return std::max(kSuspectFloor, smoothed() * 2 + variance() * 4 + kMaxAckDelay); }

 private:
  bool has_sample_ = false;
  Duration latest_, smoothed_, variance_;
  WindowedMin min_{Duration::seconds(10)};
};

// Relative one-way delay: receiver's clock minus ours. The offset is the same for all paths of a session, so that
// differences between paths are exact.
class OneWayDelay {
 public:
  void on_sample(Time sent, Time received_by_peer_clock, Time now) {
    const Duration d = received_by_peer_clock - sent;
    min_.update(d, now);
    smoothed_ = has_sample_ ? Duration{smoothed_.ns + (d.ns - smoothed_.ns) / 8} : d;
    latest_ = d;
    has_sample_ = true;
  }
  bool has_sample() const { return has_sample_; }
  Duration min() const { return min_.value(); }
  Duration smoothed() const { return smoothed_; }
  Duration latest() const { return latest_; }

 private:
  bool has_sample_ = false;
  Duration smoothed_, latest_;
  WindowedMin min_{Duration::seconds(10)};
};

}  // namespace hawser
