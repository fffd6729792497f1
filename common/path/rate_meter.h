// Rates and loss of the last seconds, for status and for the scheduler's judgement.
#pragma once

#include <algorithm>
#include <cmath>

#include "common/types.h"

namespace hawser {

// Bytes per second of the last full second, refreshed as bytes come.
class RateMeter {
 public:
  void add(size_t bytes, Time now) {
    roll(now);
    bytes_ += bytes;
  }
  BitRate rate(Time now) const {
    const Duration age = now - began_;
    if (age >= Duration::seconds(2)) return {};
    if (age >= Duration::seconds(1)) return BitRate::from_bytes_over(static_cast<double>(bytes_), age);
    return last_;
  }

 private:
  void roll(Time now) {
    const Duration age = now - began_;
    if (age < Duration::seconds(1)) return;
    last_ = age < Duration::seconds(2) ? BitRate::from_bytes_over(static_cast<double>(bytes_), age) : BitRate{};
    bytes_ = 0;
    began_ = now;
  }
  Time began_;
  uint64_t bytes_ = 0;
  BitRate last_;
};

// Whether a path is full over about a round trip: a burst that fills it for a moment does not count.
class BusyMeter {
 public:
  // `span`: over how long; `capacity`: zero while it is not known, and then the path is not full.
  void on_sent(size_t bytes, BitRate capacity, Duration span, Time now) {
    rate_.bps = rate(span, now).bps + static_cast<double>(bytes) * 8 / span.to_seconds();
    last_ = now;
    const double share = capacity.bps > 0 ? rate_.bps / capacity.bps : 0;
    full_ = share > (full_ ? kStaysFull : kFull);
  }
  bool is_full(BitRate capacity, Duration span, Time now) const {
    return full_ && rate(span, now).bps > capacity.bps * kStaysFull;
  }

 private:
  static constexpr double kFull = 0.85, kStaysFull = 0.6;
  BitRate rate(Duration span, Time now) const {
    return {rate_.bps * std::exp(-(now - last_).to_seconds() / span.to_seconds())};
  }

  BitRate rate_;
  Time last_;
  bool full_ = false;
};

// Share of packets lost, an average over about the last few hundred packets. What was seen fades with a half-life of
// two seconds: a path that is avoided because it lost brings no evidence to the contrary, and would be avoided for
// ever. Where few packets come (below about 70 a second) it says less than the truth.
class LossMeter {
 public:
  // `spurious`: counted as lost before, and arrived after all.
  void add(uint64_t acked, uint64_t lost, uint64_t spurious, Time now) {
    const double total = static_cast<double>(std::max(acked + lost, spurious));
    if (total <= 0) return;
    ratio_ = ratio(now);
    updated_at_ = now;
    const double weight = total / (total + 200.0);
    const double now_lost = static_cast<double>(lost) - static_cast<double>(spurious);
    ratio_ = std::max(0.0, ratio_ + (now_lost / total - ratio_) * weight);
  }
  double ratio(Time now) const { return ratio_ > 0 ? ratio_ * std::exp2(-(now - updated_at_).to_seconds() / 2) : 0; }

 private:
  double ratio_ = 0;
  Time updated_at_;
};

}  // namespace hawser
