// The round-trip time by which the ingress queue's target goes: what an inner flow sees now, or, for a while after a path has
// gone, what it saw while that path carried. A window that was cut down to the remaining paths would fill the path only
// seconds after its return; kept in the queue it is there at once.
#pragma once

#include <algorithm>

#include "common/constants.h"

namespace hawser {

class QueueRtt {
 public:
  // What an inner flow sees over so many `carrying` paths; every 10 ms or so.
  Duration update(Duration seen, size_t carrying, Time now) {
    if (carrying < carrying_) {
      awaited_paths_ = std::max(awaited_paths_, carrying_);
      awaited_ = std::max(awaited_, seen_ * kAwaitedRtt);
      lost_at_ = now;
    } else if (carrying >= awaited_paths_ || now - lost_at_ > kAwaitReturn) {
      awaited_ = {};
      awaited_paths_ = 0;
    }
    carrying_ = carrying;
    seen_ = seen;
    // First the windows of before are cut as usual: all of them stand before the paths that remain.
    return awaited_paths_ > 0 && now - lost_at_ > kCutFirst ? std::max(seen, awaited_) : seen;
  }

 private:
  size_t carrying_ = 0;
  Duration seen_;
  size_t awaited_paths_ = 0;  // so many carried before; 0: none is missing
  Duration awaited_;
  Time lost_at_;
};

}  // namespace hawser
