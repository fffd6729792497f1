// What a model-based controller reads off one path besides its rate: how much queue stands in the forward direction,
// how much the delays vary by themselves (a radio's jitter, the other direction's queue), and rates over spans that
// jitter cannot bend.
#pragma once

#include <algorithm>
#include <array>

#include "common/recovery/rtt.h"
#include "common/types.h"

namespace hawser {

// The smallest and the greatest of the delays of one span of time.
struct DelayRange {
  Duration low = Duration::infinite(), high{-Duration::infinite().ns};

  bool any() const { return high >= low; }
  Duration width() const { return any() ? high - low : Duration{}; }
  void add(Duration d) {
    low = std::min(low, d);
    high = std::max(high, d);
  }
};

// How far a delay wanders by itself: its deepest fall within a span. A queue that we fill grows, and while we send at
// the path's rate or above it hardly shrinks; so what falls quickly is jitter, or another sender's doing.
class Wander {
 public:
  // Only while sending at the path's rate or above it.
  void add(Duration delay, Duration span, Time now) {
    // The fall among a few packets says little.
    const Duration age = now - began_;
    if (age >= std::max(span * 2, Duration::millis(150)) && (count_ >= 16 || age >= Duration::seconds(1))) {
      if (count_ >= 8) value_ = known_ ? value_ + (fall_ - value_) / kMemory : fall_;
      known_ = known_ || count_ >= 8;
      began_ = now;
      fall_ = Duration{};
      count_ = 0;
    }
    top_ = std::max(top_, delay);
    fall_ = std::max(fall_, top_ - delay);
    ++count_;
  }
  // The delay falls for a known reason now: begin again from where it will stand then.
  void interrupt() { top_ = -Duration::infinite(); }
  Duration value() const { return std::max(value_, known_ ? Duration{} : fall_); }

 private:
  // Jitter falls in every span, now less and now more. A short memory took a calm second for a quiet link, and the window
  // then was too small for the next; one for the greatest falls would take what others' queues drop by for jitter.
  static constexpr int kMemory = 12;
  Time began_;
  Duration top_ = -Duration::infinite(), fall_;
  int count_ = 0;
  bool known_ = false;
  Duration value_;
};

// Bytes delivered over a span of the peer's clock that is long against the jitter.
class LongRate {
 public:
  // Adds a point (all bytes delivered by then) and returns the rate since the newest point at least `span` ago; zero
  // when there is none yet.
  BitRate add(Time at, uint64_t delivered, Duration span) {
    if (count_ > 0 && at <= newest().at) return {};
    if (count_ == 0 || at - newest().at >= span / (kPoints / 2)) {
      points_[(first_ + count_) % kPoints] = {at, delivered};
      if (count_ < kPoints) {
        ++count_;
      } else {
        first_ = (first_ + 1) % kPoints;
      }
    }
    while (count_ > 1 && at - points_[(first_ + 1) % kPoints].at >= span) {
      first_ = (first_ + 1) % kPoints;
      --count_;
    }
    const Point& from = points_[first_];
    if (at - from.at < span) return {};
    return BitRate::from_bytes_over(static_cast<double>(delivered - from.delivered), at - from.at);
  }
  void clear() { count_ = 0; }

 private:
  struct Point {
    Time at;
    uint64_t delivered = 0;
  };
  static constexpr size_t kPoints = 32;
  const Point& newest() const { return points_[(first_ + count_ - 1) % kPoints]; }
  std::array<Point, kPoints> points_{};
  size_t first_ = 0, count_ = 0;
};

}  // namespace hawser
