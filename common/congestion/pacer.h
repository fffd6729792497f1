// Spreads a path's datagrams in time. After idling, at most one burst of about a millisecond (or two datagrams) is
// owed.
#pragma once

#include <algorithm>

#include "common/constants.h"
#include "common/types.h"

namespace hawser {

class Pacer {
 public:
  // The moment the next datagram may leave.
  Time next_send() const { return next_; }
  bool may_send(Time now) const { return next_ <= now; }

  void on_sent(Time now, size_t bytes, BitRate rate) {
    const Duration owed = std::max(kBurst, rate.time_for(2.0 * kMaxDatagram));
    const Time floor = now - std::min(owed, Duration::millis(20));
    next_ = std::max(next_, floor) + rate.time_for(static_cast<double>(bytes));
  }
  // A raise of the rate must not wait for a debt that was computed at the old one.
  void on_rate_changed(Time now, BitRate old_rate, BitRate new_rate) {
    if (next_ <= now || old_rate.bps <= 0 || new_rate.bps <= 0) return;
    next_ = now + (next_ - now) * std::min(old_rate.bps / new_rate.bps, 1.0);
  }

 private:
  Time next_;
};

}  // namespace hawser
