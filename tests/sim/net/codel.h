// CoDel (RFC 8289, section 5) for a link's queue: decides at dequeue whether the head has to go.
#pragma once

#include <cmath>

#include "common/types.h"

namespace hawser::sim {

class Codel {
 public:
  // `sojourn`: how long the head has waited; `backlog`: bytes behind and including it.
  bool drop(Duration sojourn, size_t backlog, Time now) {
    const bool over = over_target(sojourn, backlog, now);
    if (dropping_) {
      if (!over) dropping_ = false;
      if (!over || now < drop_next_) return false;
      ++count_;
      drop_next_ = next(drop_next_);
      return true;
    }
    if (!over) return false;
    dropping_ = true;
    const uint32_t delta = count_ - last_count_;
    count_ = delta > 1 && now - drop_next_ < kInterval * 16 ? delta : 1;
    last_count_ = count_;
    drop_next_ = next(now);
    return true;
  }

 private:
  static constexpr Duration kTarget = Duration::millis(5), kInterval = Duration::millis(100);
  static constexpr size_t kMtu = 1514;

  bool over_target(Duration sojourn, size_t backlog, Time now) {
    if (sojourn < kTarget || backlog <= kMtu) {
      first_above_ = Time{};
      return false;
    }
    if (first_above_.is_set()) return now >= first_above_;
    first_above_ = now + kInterval;
    return false;
  }
  Time next(Time t) const { return t + kInterval * (1 / std::sqrt(static_cast<double>(count_))); }

  bool dropping_ = false;
  uint32_t count_ = 0, last_count_ = 0;
  Time first_above_, drop_next_;
};

}  // namespace hawser::sim
