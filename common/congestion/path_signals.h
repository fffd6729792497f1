// What a model-based controller reads off one path besides its rate: how much queue stands in the forward direction,
// how much the delays vary by themselves (a radio's jitter, the other direction's queue), whether its losses are those of a
// full queue, and rates over spans that jitter cannot bend.
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
    greatest_.update(Duration{} - value(), now);
  }
  // The delay falls for a known reason now: begin again from where it will stand then.
  void interrupt() { top_ = -Duration::infinite(); }
  Duration value() const { return std::max(value_, known_ ? Duration{} : fall_); }
  // The greatest value of the last ten seconds or more.
  Duration greatest() const { return greatest_.has_value() ? Duration{} - greatest_.value() : Duration{}; }

 private:
  // Jitter falls in every span, now less and now more. A short memory took a calm moment for a quiet link, and the window
  // then was too small for the next; one for the greatest falls would take what others' queues drop by for jitter.
  static constexpr int kMemory = 12;
  Time began_;
  Duration top_ = -Duration::infinite(), fall_;
  int count_ = 0;
  bool known_ = false;
  Duration value_;
  WindowedMin greatest_{Duration::seconds(10)};  // of negated values
};

// The least delays while a flow is under way, for whoever sends one. Where nothing overtakes, one delayed packet holds up all
// behind it: the denser the packets, the nearer every delay is to the jitter's greatest, and the least among the few
// packets of a handshake or a trickle is far below what any flow ever sees.
class FlowFloor {
 public:
  // From here on: the flow begins, or sends so much more that what it saw before says nothing.
  void restart(BitRate rate) {
    rtt_.reset();
    forward_.reset();
    rate_ = rate;
  }
  // What the path carries now.
  void on_rate(BitRate rate) {
    if (rate > rate_ * kDenser) restart(rate);
  }
  // Only of what was sent while there was always more to send.
  void add_rtt(Duration rtt, Time now) { rtt_.update(rtt, now); }
  void add_forward(Duration delay, Time now) { forward_.update(delay, now); }
  // How far they are above the least of all that was seen; zero when nothing is known.
  Duration rtt_above(Duration least) const { return above(rtt_, least); }
  Duration forward_above(Duration least) const { return above(forward_, least); }

 private:
  static constexpr double kDenser = 1.5;
  static Duration above(const WindowedMin& floor, Duration least) {
    return floor.has_value() ? std::max(Duration{}, floor.value() - least) : Duration{};
  }
  WindowedMin rtt_{Duration::seconds(10)}, forward_{Duration::seconds(10)};
  BitRate rate_{};
};

// Whose losses are these? A full queue loses what comes while the delay is at its highest, a radio at any delay: where the
// delay stood among those of the last round trips when something was lost tells them apart (the idea is that of "Spike":
// Cen, Cosman, Voelker, IEEE/ACM Trans. Netw. 2003). In the simulator the mean rank is 0.87 to 0.93 beside a TCP in a
// short buffer, also with jitter, and 0.50 to 0.60 where losses are random.
class LossRank {
 public:
  // The forward delay now.
  void on_delay(Duration delay, Duration rtt, Time now) {
    if (now - sampled_at_ < rtt / kSamplesPerRtt) return;
    sampled_at_ = now;
    delays_[next_] = delay;
    next_ = (next_ + 1) % kSamples;
    count_ = std::min(count_ + 1, kSamples);
  }
  // Packets were lost and this is the delay of what came after them. False: it belongs to the loss before, or too little
  // is known to tell.
  bool on_loss(Duration delay, Duration rtt, Time now) {
    if (count_ < kSamples / 2 || now - lost_at_ <= rtt) return false;
    // What was known is as old as that, too.
    if (now - lost_at_ >= kMemory) rank_ = 0.5;
    lost_at_ = now;
    const auto below = std::count_if(delays_.begin(), delays_.begin() + count_, [&](Duration d) { return d < delay; });
    rank_ += (static_cast<double>(below) / static_cast<double>(count_) - rank_) / 8;
    return true;
  }
  bool queue_overflows(Time now) const { return rank_ > kHigh && now - lost_at_ < kMemory; }

 private:
  static constexpr size_t kSamples = 64;
  static constexpr int kSamplesPerRtt = 16;
  static constexpr double kHigh = 0.75;
  static constexpr Duration kMemory = Duration::seconds(10);
  std::array<Duration, kSamples> delays_{};
  size_t next_ = 0, count_ = 0;
  Time sampled_at_, lost_at_;
  double rank_ = 0.5;  // moving average over losses, 0 to 1
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
