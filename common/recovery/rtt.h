// Round-trip and one-way delay estimates of one path (RFC 9002, section 5). Samples come only from acks on the path itself.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

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

// Notices that a path has become longer for good (another route, a handover): acks pause for about as long as was added,
// then every round trip is longer by the same amount. A queue that builds up makes no such pause, and one behind a pause
// drains. Without it the old minimum would rule window and schedule until it leaves its window of 10 s.
class DelayStep {
 public:
  // True when `base` no longer holds; minimum() is the new one.
  bool on_sample(Duration rtt, Duration base, Time now) {
    const Duration silence = last_.is_set() ? now - last_ : Duration{};
    last_ = now;
    // On a slow link every gap is long; only one far beyond the usual is a pause.
    // What was sent after the last ack proves nothing: the sender paused.
    const bool paused = silence > usual_gap_ * 4 && rtt >= silence + base / 2;
    usual_gap_ = usual_gap_.ns == 0 ? silence : usual_gap_ + (std::min(silence, usual_gap_ * 4) - usual_gap_) / 8;
    const Duration step = rtt - base;
    if (samples_ == 0) {
      if (step < base / 2 + Duration::millis(20) || !paused || silence < step * 0.6) return false;
      return begin(rtt, now);
    }
    // Both directions became longer: two pauses.
    if (rtt > most_ + kFlat && paused && silence >= (rtt - most_) * 0.6) return begin(rtt, now);
    least_ = std::min(least_, rtt);
    most_ = std::max(most_, rtt);
    if (most_ - least_ > std::max(kFlat, (least_ - base) / 5)) {
      samples_ = 0;
      return false;
    }
    if (++samples_ < kSamples || now - since_ < least_ / 2) return false;
    samples_ = 0;
    return true;
  }
  Duration minimum() const { return least_; }

 private:
  static constexpr int kSamples = 16;
  static constexpr Duration kFlat = Duration::millis(10);
  bool begin(Duration rtt, Time now) {
    least_ = most_ = rtt;
    since_ = now;
    samples_ = 1;
    return false;
  }
  Time last_, since_;
  Duration least_, most_, usual_gap_;
  int samples_ = 0;
};

class RttEstimator {
 public:
  // `ack_delay` is what the peer says it held the ack back; it is not believed beyond what keeps the sample above min_rtt.
  void on_sample(Duration rtt, Duration ack_delay, Time now) {
    latest_ = rtt;
    if (has_sample_ && step_.on_sample(rtt, min_.value(), now)) {
      min_.reset();
      min_.update(step_.minimum(), now);
      longer_ = true;
    }
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

  // The path has become longer for good since the last call.
  bool take_longer() { return std::exchange(longer_, false); }

  // RFC 9002, 6.2.1, without back-off.
  Duration probe_timeout() const { return smoothed() + std::max(variance() * 4, kGranularity) + kMaxAckDelay; }
  // DESIGN.md, 6: unanswered data for about two round trips and their variance makes a path suspect.
  Duration suspect_timeout() const { return std::max(kSuspectFloor, smoothed() * 2 + variance() * 4 + kMaxAckDelay); }

 private:
  bool has_sample_ = false;
  Duration latest_, smoothed_, variance_;
  WindowedMin min_{Duration::seconds(10)};
  DelayStep step_;
  bool longer_ = false;
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
  // The path's length has changed: old minima say nothing.
  void restart(Time now) {
    if (!has_sample_) return;
    min_.reset();
    min_.update(latest_, now);
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
