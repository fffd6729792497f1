// Tiers (priorities) shared by all schedulers, and the factory.
#include "common/scheduler/scheduler.h"

#include <algorithm>

#include "common/scheduler/earliest.h"
#include "common/scheduler/min_rtt.h"

namespace hawser {

int usable_tier(const SchedulerRequest& request, std::span<const PathView> paths) {
  int lowest = 2;
  for (const PathView& p : paths) lowest = std::min(lowest, p.tier);
  if (lowest != 0) return lowest;  // backup carries only when nothing else works; secondary alone is the preferred
  const bool urgent = is_urgent(request);
  for (const PathView& p : paths) {
    if (p.tier == 0 && (p.has_room || (urgent && p.has_urgent_room))) return 0;
  }
  return 1;  // the preferred paths are full: secondary ones join (hybrid access)
}

wire::SchedulerKind scheduler_for(wire::Mode mode, wire::SchedulerKind named) {
  if (named != wire::SchedulerKind::automatic) return named;
  return mode == wire::Mode::redundant ? wire::SchedulerKind::redundant : wire::SchedulerKind::earliest;
}

std::unique_ptr<Scheduler> make_scheduler(wire::SchedulerKind kind) {
  if (kind == wire::SchedulerKind::min_rtt) return std::make_unique<MinRttScheduler>();
  return std::make_unique<EarliestScheduler>();
}

}  // namespace hawser
