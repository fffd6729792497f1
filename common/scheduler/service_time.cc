// The relative throughput that device-mapper's administrator writes down is the path's measured rate here.
#include "common/scheduler/service_time.h"

namespace hawser {
namespace {

// a is through before b. Without divisions; a rate of zero means: only when there is nothing else.
bool sooner(const PathView& a, const PathView& b, size_t bytes) {
  const double ra = a.rate.bps, rb = b.rate.bps;
  if ((ra > 0) != (rb > 0)) return ra > 0;
  const double ta = static_cast<double>(a.bytes_in_flight + bytes) * rb,
               tb = static_cast<double>(b.bytes_in_flight + bytes) * ra;
  if (ra > 0 && ta != tb) return ta < tb;
  return ra != rb ? ra > rb : a.bytes_in_flight < b.bytes_in_flight;
}

}  // namespace

std::optional<size_t> ServiceTimeScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const int tier = usable_tier(request, paths);
  const PathView* best = nullptr;
  for (const PathView& p : paths) {
    if (p.tier > tier || !has_room_for(p, request)) continue;
    if (!best || sooner(p, *best, request.bytes)) best = &p;
  }
  if (!best) return std::nullopt;
  return best->index;
}

}  // namespace hawser
