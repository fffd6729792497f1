// In flight are the bytes that are neither acknowledged nor given up: the network's queue included.
#include "common/scheduler/queue_length.h"

#include <algorithm>

#include "common/constants.h"

namespace hawser {

// 0: never used, or long ago.
size_t QueueLengthScheduler::recency(PathId path) const {
  return static_cast<size_t>(used_.rend() - std::find(used_.rbegin(), used_.rend(), path));
}

std::optional<size_t> QueueLengthScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const int tier = usable_tier(request, paths);
  const PathView* best = nullptr;
  for (const PathView& p : paths) {
    if (p.tier > tier || !has_room_for(p, request)) continue;
    const bool shorter = !best || p.bytes_in_flight < best->bytes_in_flight ||
                         (p.bytes_in_flight == best->bytes_in_flight && recency(p.id) < recency(best->id));
    if (shorter) best = &p;
  }
  if (!best) return std::nullopt;
  return best->index;
}

void QueueLengthScheduler::on_sent(PathId path, size_t) {
  if (!used_.empty() && used_.back() == path) return;
  std::erase(used_, path);
  if (used_.size() >= kMaxPaths) used_.erase(used_.begin());
  used_.push_back(path);
}

}  // namespace hawser
