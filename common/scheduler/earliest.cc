// Arrival = one-way delay + what is queued + the time to serialise + what loss costs. Bulk takes any path with room
// whose arrival is within a budget of the best (the receiver holds what comes early); urgent packets take the best or
// wait.
#include "common/scheduler/earliest.h"

#include <algorithm>

#include "common/constants.h"

namespace hawser {
namespace {

constexpr Duration kDetourLapses = Duration::millis(500);  // unused for so long, it must be worth beginning again

// A lost packet comes about one and a half round trips later, by reinjection.
Duration repair(const PathView& p) { return p.smoothed_rtt * (1.5 * p.loss); }

Duration arrival(const PathView& p, size_t bytes) {
  const Duration serialise = p.rate.bps > 0 ? p.rate.time_for(static_cast<double>(bytes)) : Duration::millis(1);
  return p.one_way_delay + p.queued + serialise + repair(p);
}

}  // namespace

std::optional<size_t> EarliestScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const int tier = usable_tier(request, paths);
  const bool urgent = is_urgent(request);
  const PathView* best = nullptr;      // the first to arrive, waiting for room included
  const PathView* best_now = nullptr;  // the first to arrive of those with room
  Duration best_arrival, best_now_arrival;
  for (const PathView& p : paths) {
    if (p.tier > tier || (!urgent && leaves_out(p, paths))) continue;
    const bool room = has_room_for(p, request);
    const Duration a = arrival(p, request.bytes);
    const Duration with_wait = room ? a : a + p.room_in;
    if (!best || with_wait < best_arrival) best = &p, best_arrival = with_wait;
    if (room && (!best_now || a < best_now_arrival)) best_now = &p, best_now_arrival = a;
  }
  on_purpose_ = false;
  if (!best_now) {
    // A secondary path has room and joins once the preferred ones are full: the wait until then is no queue's.
    on_purpose_ = tier == 0 && std::any_of(paths.begin(), paths.end(), [&](const PathView& p) {
      return p.tier == 1 && p.has_room && (urgent || !leaves_out(p, paths));
    });
    return std::nullopt;
  }
  if (best_now == best) return best_now->index;
  // Waiting for a better path would be earlier. Urgent packets wait for it. The receiver can hold what comes early by a
  // detour only within a budget; beyond it the detour is none, and the wait is an ordinary queue's. What is lost comes later
  // still, but then it is not what is held.
  const bool usable = best_now_arrival - repair(*best_now) - best_arrival <= kBulkArrivalBudget;
  on_purpose_ = urgent || usable;
  if (!on_purpose_ || urgent) return std::nullopt;
  // Bulk takes to a detour when all that stands before it would arrive there sooner: so a flow that the better path
  // could carry alone keeps that path's round trip, and when the detour begins the queue has grown to its length and
  // the flow sees no step. Once begun it goes on while the better paths are full.
  const bool engaged = is_engaged(best_now->id, request.now);
  for (const PathView& p : paths) {
    if (p.tier > tier || p.has_room || leaves_out(p, paths)) continue;
    const Duration queue = std::max(p.room_in, p.rate.time_for(static_cast<double>(request.backlog)));
    if (arrival(p, request.bytes) + queue >= best_now_arrival || (engaged && p.full)) continue;
    return std::nullopt;
  }
  engage(best_now->id, request.now);
  return best_now->index;
}

bool EarliestScheduler::leaves_out(const PathView& path, std::span<const PathView> paths) const {
  BitRate sooner;
  const Duration there = arrival(path, path.datagram);
  for (const PathView& p : paths) {
    if (p.id != path.id && p.tier <= path.tier && arrival(p, p.datagram) < there) sooner.bps += p.measured.bps;
  }
  return path.measured < sooner * kDetourWorth;
}

bool EarliestScheduler::is_engaged(PathId path, Time now) const {
  for (const Detour& d : detours_) {
    if (d.path == path) return d.last_used.is_set() && now - d.last_used < kDetourLapses;
  }
  return false;
}

void EarliestScheduler::engage(PathId path, Time now) {
  Detour* oldest = &detours_.front();
  for (Detour& d : detours_) {
    if (d.path == path) {
      d.last_used = now;
      return;
    }
    if (d.last_used < oldest->last_used) oldest = &d;
  }
  *oldest = {path, now};
}

}  // namespace hawser
