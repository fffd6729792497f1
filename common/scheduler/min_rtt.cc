// The lowest RTT with room; it never waits for a better path.
#include "common/scheduler/min_rtt.h"

namespace hawser {

std::optional<size_t> MinRttScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const PathView* best = fastest_paths(request, paths).with_room;
  if (!best) return std::nullopt;
  return best->index;
}

}  // namespace hawser
