// The first copy takes the fastest path with room; the session sends the others.
#include "common/scheduler/redundant.h"

namespace hawser {

std::optional<size_t> RedundantScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const PathView* best = nullptr;
  bool primary = false;
  for (const PathView& p : paths) primary = primary || p.tier < 2;
  for (const PathView& p : paths) {
    if ((primary && p.tier >= 2) || !has_room_for(p, request)) continue;
    if (!best || p.smoothed_rtt < best->smoothed_rtt) best = &p;
  }
  if (!best) return std::nullopt;
  return best->index;
}

}  // namespace hawser
