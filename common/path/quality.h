// When a path should carry nothing although it works: it loses most of what is sent, it is far slower than the best, or
// it was lost too often of late. Every judgement has two thresholds and a time in between, so that none of them flaps.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "common/constants.h"
#include "common/types.h"

namespace hawser {

// What was acknowledged and lost within about the last second.
class LossWindow {
 public:
  // `spurious`: counted as lost before, and arrived after all.
  void add(uint64_t acked, uint64_t lost, uint64_t spurious, Time now) {
    roll(now);
    bins_[at_].acked += acked;
    bins_[at_].lost += lost;
    for (size_t i = 0; i < kBins && spurious > 0; ++i) {
      Bin& b = bins_[(at_ + kBins - i) % kBins];
      const uint64_t back = std::min(spurious, b.lost);
      b.lost -= back;
      b.acked += back;
      spurious -= back;
    }
  }
  uint64_t total(Time now) const {
    uint64_t n = 0;
    each(now, [&](const Bin& b) { n += b.acked + b.lost; });
    return n;
  }
  double ratio(Time now) const {
    uint64_t lost = 0;
    each(now, [&](const Bin& b) { lost += b.lost; });
    const uint64_t all = total(now);
    return all ? static_cast<double>(lost) / static_cast<double>(all) : 0;
  }

 private:
  static constexpr Duration kBin = Duration::millis(100);
  static constexpr size_t kBins = 10;
  struct Bin {
    Time began;
    uint64_t acked = 0, lost = 0;
  };
  void roll(Time now) {
    if (bins_[at_].began.is_set() && now - bins_[at_].began < kBin) return;
    at_ = (at_ + 1) % kBins;
    bins_[at_] = {now, 0, 0};
  }
  template <typename F>
  void each(Time now, F&& f) const {
    for (const Bin& b : bins_) {
      if (b.began.is_set() && now - b.began < kBin * kBins) f(b);
    }
  }
  std::array<Bin, kBins> bins_{};
  size_t at_ = 0;
};

// Says when something has been true without a break for so long.
class Lasting {
 public:
  bool for_at_least(bool is_so, Duration d, Time now) {
    if (!is_so) since_ = Time{};
    if (is_so && !since_.is_set()) since_ = now;
    return is_so && now - since_ >= d;
  }
  void reset() { since_ = Time{}; }

 private:
  Time since_;
};

// Too lossy to carry.
class LossJudge {
 public:
  LossWindow window;

  // Neither for the losses of a moment, because whoever finds a path's rate overshoots it, nor while a queue shows that
  // it is the sender who is too fast: that is the controller's affair.
  bool should_eject(bool queue_stands, Time now) {
    const bool bad = !queue_stands && window.total(now) >= kJudgeLossPackets && window.ratio(now) > kEjectLoss;
    return lossy_.for_at_least(bad, kEjectLossAfter, now);
  }
  // To be asked regularly while ejected; probes alone fill the window then.
  bool may_return(Time now) {
    const bool good = window.total(now) >= kJudgeLossPackets / 2 && window.ratio(now) < kReturnLoss;
    return clean_.for_at_least(good, kReturnAfter, now);
  }
  void reset() { lossy_.reset(), clean_.reset(); }

 private:
  Lasting lossy_, clean_;
};

// Too slow beside the best other path: nothing that waits at the receiver for it gains by it.
class DelayJudge {
 public:
  bool should_eject(Duration rtt, Duration best_other, Time now) {
    return slow_.for_at_least(rtt > best_other + kEjectDelay, kEjectDelayAfter, now);
  }
  bool may_return(Duration rtt, Duration best_other, Time now) {
    return prompt_.for_at_least(rtt < best_other + kReturnDelay, kReturnAfter, now);
  }
  void reset() { slow_.reset(), prompt_.reset(); }

 private:
  Lasting slow_, prompt_;
};

// How often one interface was lost of late, and how long it must behave before it carries again.
class FlapCount {
 public:
  void on_lost(Time now) {
    score_ = std::min(decayed(now) + 1, kMaxScore);
    at_ = now;
  }
  // Zero for somebody who is lost now and then.
  Duration penalty(Time now) const {
    const double excess = decayed(now) - kFlapTolerance;
    if (excess <= 0) return {};
    return std::min(Duration::from_seconds(std::exp2(excess)), kFlapPenaltyMax);
  }

 private:
  static constexpr double kMaxScore = kFlapTolerance + 6;
  double decayed(Time now) const { return score_ * std::exp2(-(now - at_).to_seconds() / kFlapHalfLife.to_seconds()); }
  double score_ = 0;
  Time at_;
};

}  // namespace hawser
