// Arrival = one-way delay + what is queued + the time to serialise + what loss costs. Bulk takes any path with room whose
// arrival is within a budget of the best (the receiver holds what comes early); urgent packets take the best or wait.
#include "common/scheduler/earliest.h"

#include <algorithm>

#include "common/constants.h"

namespace hawser {
namespace {

Duration arrival(const PathView& p, size_t bytes) {
  const Duration serialise = p.rate.bps > 0 ? p.rate.time_for(static_cast<double>(bytes)) : Duration::millis(1);
  // A lost packet comes about one and a half round trips later, by reinjection.
  const Duration repair = p.smoothed_rtt * (1.5 * p.loss);
  return p.one_way_delay + p.queued + serialise + repair;
}

}  // namespace

std::optional<size_t> EarliestScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const int tier = usable_tier(request, paths);
  const bool urgent = is_urgent(request);
  const PathView* best = nullptr;        // the first to arrive, waiting for room included
  const PathView* best_now = nullptr;    // the first to arrive of those with room
  Duration best_arrival, best_now_arrival;
  for (const PathView& p : paths) {
    if (p.tier > tier) continue;
    const bool room = p.has_room || (urgent && p.has_urgent_room);
    const Duration a = arrival(p, request.bytes);
    const Duration with_wait = room ? a : a + p.room_in;
    if (!best || with_wait < best_arrival) best = &p, best_arrival = with_wait;
    if (room && (!best_now || a < best_now_arrival)) best_now = &p, best_now_arrival = a;
  }
  if (!best_now) return std::nullopt;
  if (best_now == best) return best_now->index;
  // Waiting for the better path would be earlier. Bulk does not wait while the receiver can hold the difference.
  const Duration budget = urgent ? Duration{} : kBulkArrivalBudget;
  if (best_now_arrival - best_arrival <= budget) return best_now->index;
  return std::nullopt;
}

}  // namespace hawser
