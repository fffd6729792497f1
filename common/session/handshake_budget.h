// How many handshakes may be worked on: a flood of them must never starve the data of those who are connected.
#pragma once

#include <algorithm>

#include "common/constants.h"
#include "common/types.h"

namespace hawser {

// Tokens refilled at a steady rate.
class TokenBucket {
 public:
  TokenBucket(double per_second, double burst) : rate_(per_second), burst_(burst), tokens_(burst) {}
  bool take(Time now) {
    refill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  bool available(Time now) {
    refill(now);
    return tokens_ >= 1;
  }

 private:
  void refill(Time now) {
    if (at_.is_set()) tokens_ = std::min(burst_, tokens_ + rate_ * (now - at_).to_seconds());
    at_ = now;
  }
  double rate_, burst_, tokens_;
  Time at_;
};

class HandshakeBudget {
 public:
  // The workers of a server share its rates; each has enough to be of use.
  explicit HandshakeBudget(uint32_t workers = 1)
      : share_(std::max(1.0 / workers, double{kLeastHandshakesPerSecondUnproved} / kHandshakesPerSecondUnproved)) {}
  void begin_turn() { turn_ = kHandshakesPerTurn; }
  // Whether an address must prove itself with a cookie before any curve operation is spent on it.
  bool under_load(Time now) { return !unproved_.available(now); }
  bool take(bool proved, Time now) {
    if (turn_ <= 0 || !total_.available(now)) return false;
    if (!proved && !unproved_.take(now)) return false;
    total_.take(now);
    --turn_;
    return true;
  }
  bool may_refuse(Time now) { return refusals_.take(now); }

 private:
  const double share_;
  TokenBucket unproved_{share_ * kHandshakesPerSecondUnproved, share_ * kHandshakesPerSecondUnproved / 4};
  TokenBucket total_{share_ * kHandshakesPerSecondTotal, share_ * kHandshakesPerSecondTotal / 4};
  TokenBucket refusals_{share_ * kRefusalsPerSecond, share_ * kRefusalsPerSecond};
  int turn_ = kHandshakesPerTurn;
};

}  // namespace hawser
