// Path MTU of one path, found by probing (DPLPMTUD, RFC 8899): it starts at what every path carries and searches upwards
// with padded probes. A lost probe is no sign of congestion. When full-size datagrams stop arriving although others do,
// the size in use is probed again before it is given up: a burst of losses must not cost the path its MTU.
#pragma once

#include <algorithm>
#include <array>

#include "common/constants.h"
#include "common/types.h"

namespace hawser {

class PathMtu {
 public:
  // `ceiling`: UDP payload of the interface's MTU, bytes.
  explicit PathMtu(uint16_t ceiling) : ceiling_(std::max(ceiling, kBaseDatagram)), upper_(ceiling_) {}

  // UDP payload that may be used now, bytes. While a black hole is suspected, what every path carries.
  uint16_t datagram() const { return verifying_ ? kBaseDatagram : current_; }
  // What the search has found, 0 while it goes on.
  uint16_t known() const { return !started_ || verifying_ || candidate(Time{1}) != 0 ? uint16_t{0} : current_; }
  // The size to probe with now, 0 for none.
  uint16_t probe_size(Time now) const { return next_probe() <= now ? candidate(now) : uint16_t{0}; }
  Time next_probe() const { return candidate(Time{1}) ? next_probe_ : std::max(raise_at_, next_probe_); }

  void on_validated(Time now) {
    if (!started_) next_probe_ = now;
    started_ = true;
  }
  void on_probe_sent(Time now, Duration probe_timeout) {
    if (raise_at_ <= now) {
      upper_ = ceiling_;
      raise_at_ = Time::infinite();
    }
    ++tries_;
    next_probe_ = now + std::max(probe_timeout * 2, Duration::millis(100));
    if (tries_ <= kMtuProbeTries) return;
    // MAX_PROBES lost at this size: it does not fit. Search below it.
    upper_ = static_cast<uint16_t>(candidate(now) - 1);
    tries_ = 0;
    if (verifying_) {
      verifying_ = false;
      current_ = kBaseDatagram;
    }
    raise_at_ = now + kMtuRaiseAfter;
  }
  void on_probe_acked(uint16_t size, Time now) {
    if (size < current_ || (size == current_ && !verifying_)) return;
    current_ = size;
    upper_ = std::max(upper_, current_);
    verifying_ = false;
    losses_ = 0;
    tries_ = 0;
    next_probe_ = now;
  }
  // Datagrams above the base size, probes apart: so many arrived, so many were lost. A full queue loses as many in a row;
  // a black hole lets none pass for `patience`.
  void on_full_size(uint64_t acked, uint64_t lost, Duration patience, Time now) {
    losses_ = acked > 0 ? 0 : losses_ + lost;
    if (acked > 0) last_arrived_ = now;
    if (verifying_ || current_ == kBaseDatagram || losses_ < kBlackHoleLosses || now - last_arrived_ < patience) return;
    verifying_ = true;
    tries_ = 0;
    next_probe_ = now;
  }
  // The path leads elsewhere now: start again.
  void reset(Time now) {
    current_ = kBaseDatagram;
    upper_ = ceiling_;
    tries_ = 0;
    losses_ = 0;
    verifying_ = false;
    raise_at_ = Time::infinite();
    next_probe_ = now;
  }

 private:
  // The size in doubt; else the ceiling itself (nearly always right), then common sizes downwards, never what is known to
  // fit or to fail.
  uint16_t candidate(Time now) const {
    static constexpr std::array<uint16_t, 7> kCommon = {1472, 1452, 1440, 1420, 1392, 1352, 1252};
    const uint16_t upper = raise_at_ <= now ? ceiling_ : upper_;
    if (verifying_) return current_;
    if (!started_ || upper <= current_) return 0;
    if (upper == ceiling_) return ceiling_;
    for (uint16_t size : kCommon) {
      if (size <= upper && size > current_) return size;
    }
    return 0;
  }

  uint16_t ceiling_;
  uint16_t current_ = kBaseDatagram;
  uint16_t upper_;
  int tries_ = 0;
  Time last_arrived_;
  uint64_t losses_ = 0;     // full-size datagrams lost since the last one that arrived
  bool verifying_ = false;
  bool started_ = false;
  Time next_probe_ = Time::infinite();
  Time raise_at_ = Time::infinite();  // what failed is tried again
};

}  // namespace hawser
