// Path MTU of one path, found by probing (DPLPMTUD, RFC 8899): it starts at what every path carries and searches
// upwards with padded probes. A lost probe is no sign of congestion.
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

  // UDP payload that may be used now, bytes.
  uint16_t datagram() const { return current_; }
  // The size to probe with now, 0 for none.
  uint16_t probe_size(Time now) const { return next_probe_ <= now ? candidate() : uint16_t{0}; }
  Time next_probe() const { return candidate() ? next_probe_ : Time::infinite(); }

  void on_validated(Time now) {
    if (!started_) next_probe_ = now;
    started_ = true;
  }
  void on_probe_sent(Time now, Duration probe_timeout) {
    ++tries_;
    next_probe_ = now + std::max(probe_timeout * 2, Duration::millis(100));
    if (tries_ > kMtuProbeTries) {
      // MAX_PROBES lost at this size: it does not fit. Search below it.
      upper_ = static_cast<uint16_t>(candidate() - 1);
      tries_ = 0;
      if (!candidate()) next_probe_ = now + Duration::seconds(600);  // PMTU_RAISE_TIMER
    }
  }
  void on_probe_acked(uint16_t size, Time now) {
    if (size <= current_) return;
    current_ = size;
    tries_ = 0;
    next_probe_ = now;
  }
  // The path leads elsewhere now, or a black hole is suspected: start again.
  void reset(Time now) {
    current_ = kBaseDatagram;
    upper_ = ceiling_;
    tries_ = 0;
    next_probe_ = now;
  }

 private:
  // First the ceiling itself (nearly always right), then common sizes downwards, never what is known to fit or to fail.
  uint16_t candidate() const {
    static constexpr std::array<uint16_t, 7> kCommon = {1472, 1452, 1440, 1420, 1392, 1352, 1252};
    if (!started_ || upper_ <= current_) return 0;
    if (upper_ == ceiling_) return ceiling_;
    for (uint16_t size : kCommon) {
      if (size <= upper_ && size > current_) return size;
    }
    return 0;
  }

  uint16_t ceiling_;
  uint16_t current_ = kBaseDatagram;
  uint16_t upper_;
  int tries_ = 0;
  bool started_ = false;
  Time next_probe_ = Time::infinite();
};

}  // namespace hawser
