// Tiers (priorities) shared by all schedulers, and the factory.
#include "common/scheduler/scheduler.h"

#include <algorithm>

#include "common/scheduler/blest.h"
#include "common/scheduler/earliest.h"
#include "common/scheduler/ecf.h"
#include "common/scheduler/min_rtt.h"
#include "common/scheduler/queue_length.h"
#include "common/scheduler/redundant.h"
#include "common/scheduler/round_robin.h"
#include "common/scheduler/service_time.h"

namespace hawser {

int usable_tier(const SchedulerRequest& request, std::span<const PathView> paths) {
  int lowest = 3;
  for (const PathView& p : paths) lowest = std::min(lowest, p.tier);
  if (lowest != 0) return lowest;  // backup carries only when nothing else works; secondary alone is the preferred
  for (const PathView& p : paths) {
    if (p.tier == 0 && (!p.full || has_room_for(p, request))) return 0;
  }
  return 1;  // the preferred paths are full, not for the moment only: secondary ones join (hybrid access)
}

FastestPaths fastest_paths(const SchedulerRequest& request, std::span<const PathView> paths) {
  const int tier = usable_tier(request, paths);
  FastestPaths fastest;
  for (const PathView& p : paths) {
    if (p.tier > tier) continue;
    if (!fastest.any || p.smoothed_rtt < fastest.any->smoothed_rtt) fastest.any = &p;
    if (has_room_for(p, request) && (!fastest.with_room || p.smoothed_rtt < fastest.with_room->smoothed_rtt))
      fastest.with_room = &p;
  }
  return fastest;
}

wire::SchedulerKind scheduler_for(wire::Mode mode, wire::SchedulerKind named) {
  if (named != wire::SchedulerKind::automatic) return named;
  return mode == wire::Mode::redundant ? wire::SchedulerKind::redundant : wire::SchedulerKind::earliest;
}

std::unique_ptr<Scheduler> make_scheduler(wire::SchedulerKind kind) {
  switch (kind) {
    case wire::SchedulerKind::automatic:
    case wire::SchedulerKind::earliest:
      return std::make_unique<EarliestScheduler>();
    case wire::SchedulerKind::min_rtt:
      return std::make_unique<MinRttScheduler>();
    case wire::SchedulerKind::blest:
      return std::make_unique<BlestScheduler>();
    case wire::SchedulerKind::ecf:
      return std::make_unique<EcfScheduler>();
    case wire::SchedulerKind::round_robin:
      return std::make_unique<RoundRobinScheduler>();
    case wire::SchedulerKind::queue_length:
      return std::make_unique<QueueLengthScheduler>();
    case wire::SchedulerKind::service_time:
      return std::make_unique<ServiceTimeScheduler>();
    case wire::SchedulerKind::redundant:
      return std::make_unique<RedundantScheduler>();
  }
  return std::make_unique<EarliestScheduler>();
}

}  // namespace hawser
