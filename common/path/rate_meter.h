// Rates and loss of the last seconds, for status and for the scheduler's judgement.
#pragma once

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

// Share of packets lost, an average over about the last few hundred packets.
class LossMeter {
 public:
  void add(uint64_t acked, uint64_t lost) {
    const double total = static_cast<double>(acked + lost);
    if (total <= 0) return;
    const double weight = total / (total + 200.0);
    ratio_ += (static_cast<double>(lost) / total - ratio_) * weight;
  }
  double ratio() const { return ratio_; }

 private:
  double ratio_ = 0;
};

}  // namespace hawser
