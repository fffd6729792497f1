// How often what another program removes may be put back: at once a few times, then once a second, so that two programs
// that fight over the same rules do not spin.
#pragma once

#include <algorithm>

#include "common/types.h"

namespace hawser::client {

class RestoreBudget {
 public:
  static constexpr int kBurst = 10;
  static constexpr Duration kInterval = Duration::seconds(1);

  // The earliest moment; not after `now`: at once.
  Time allowed_at() const { return spent_until_ - kInterval * (kBurst - 1); }
  // Something was put back.
  void spend(Time now) { spent_until_ = std::max(spent_until_, now) + kInterval; }

 private:
  Time spent_until_;  // when the whole burst is there again
};

}  // namespace hawser::client
