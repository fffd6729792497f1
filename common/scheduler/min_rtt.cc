// The lowest RTT with room; it never waits for a better path.
#include "common/scheduler/min_rtt.h"

namespace hawser {

std::optional<size_t> MinRttScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const int tier = usable_tier(request, paths);
  const bool urgent = is_urgent(request);
  const PathView* best = nullptr;
  for (const PathView& p : paths) {
    if (p.tier > tier || !(p.has_room || (urgent && p.has_urgent_room))) continue;
    if (!best || p.smoothed_rtt < best->smoothed_rtt) best = &p;
  }
  if (!best) return std::nullopt;
  return best->index;
}

}  // namespace hawser
