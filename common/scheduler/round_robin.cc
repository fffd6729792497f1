// The turn goes by path id: the next higher one with room, else the lowest.
#include "common/scheduler/round_robin.h"

namespace hawser {

std::optional<size_t> RoundRobinScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const int tier = usable_tier(request, paths);
  const PathView* lowest = nullptr;
  const PathView* next = nullptr;
  for (const PathView& p : paths) {
    if (p.tier > tier || !has_room_for(p, request)) continue;
    if (!lowest || p.id < lowest->id) lowest = &p;
    if (last_ && p.id > *last_ && (!next || p.id < next->id)) next = &p;
  }
  if (!lowest) return std::nullopt;
  return (next ? next : lowest)->index;
}

}  // namespace hawser
