// The MTU inside one session's tunnel, from what its paths carry in one datagram. Lowered at once; raised only when the paths
// have carried more for a minute without a break, so that a link that comes and goes does not move every connection's MTU.
#pragma once

#include <algorithm>

#include "common/constants.h"
#include "common/types.h"

namespace hawser {

class TunnelMtu {
 public:
  // `offered`: the TUN's MTU as the server gives it, the most there will ever be.
  explicit TunnelMtu(uint16_t offered) : offered_(std::max(offered, kLeastTunnelMtu)), unsplit_(offered_) {}

  // The TUN's MTU, bytes. IPv6 wants 1280: a path that is smaller carries a full packet in two pieces.
  uint16_t mtu() const { return std::max(unsplit_, kLeastTunnelMtu); }
  // The largest packet that every path carries in one piece.
  uint16_t unsplit() const { return unsplit_; }
  uint16_t offered() const { return offered_; }
  // When on_paths wants to be called again; infinite when only a change of the paths can change anything.
  Time raise_at() const { return raise_at_; }

  // `smallest`: the largest packet that the smallest working path carries in one piece; zero while none is known. Returns
  // whether mtu() changed.
  bool on_paths(uint16_t smallest, Time now) {
    if (smallest == 0) {
      raise_at_ = Time::infinite();
      return false;
    }
    const uint16_t before = mtu();
    const uint16_t now_fits = std::min(smallest, offered_);
    if (now_fits <= unsplit_) {
      unsplit_ = now_fits;
      raise_at_ = Time::infinite();
      return mtu() != before;
    }
    // The least of the whole time counts, so that what is raised is not lowered again a moment later.
    if (raise_at_ == Time::infinite()) {
      raise_at_ = now + kRaiseTunnelMtuAfter;
      raise_to_ = now_fits;
    }
    raise_to_ = std::min(raise_to_, now_fits);
    if (now < raise_at_) return false;
    unsplit_ = raise_to_;
    raise_at_ = now_fits > unsplit_ ? now + kRaiseTunnelMtuAfter : Time::infinite();
    raise_to_ = now_fits;
    return mtu() != before;
  }

 private:
  uint16_t offered_;
  uint16_t unsplit_;
  uint16_t raise_to_ = 0;
  Time raise_at_ = Time::infinite();
};

}  // namespace hawser
