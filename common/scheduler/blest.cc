// MPTCP's send window |M| does not exist in a tunnel. Its place takes what the receiver holds back: all paths' bytes of
// the longest time that a packet may wait for its predecessors. Constants of lambda as in the Linux implementation.
#include "common/scheduler/blest.h"

#include <algorithm>

#include "common/constants.h"

namespace hawser {
namespace {

constexpr double kLambdaMin = 1.0, kLambdaMax = 1.3;
constexpr double kLambdaUp = 0.04, kLambdaDown = 0.01;

}  // namespace

double BlestScheduler::fast_bytes(const PathView& fast, const PathView& slow) {
  const double rounds = slow.smoothed_rtt.to_seconds() / std::max(fast.smoothed_rtt, kGranularity).to_seconds();
  const double datagram = std::max<double>(fast.datagram, 1);
  // The window grows by one datagram a round meanwhile.
  return datagram * (static_cast<double>(fast.window) / datagram + (rounds - 1) / 2) * rounds;
}

// Once per round trip of the slow path: more caution after repairs, less without.
void BlestScheduler::adapt(const SchedulerRequest& request, Duration slow_rtt) {
  if (request.now < adapt_at_) return;
  lambda_ = std::clamp(lambda_ + (request.repairs > repairs_ ? kLambdaUp : -kLambdaDown), kLambdaMin, kLambdaMax);
  repairs_ = request.repairs;
  adapt_at_ = request.now + slow_rtt;
}

std::optional<size_t> BlestScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const auto [fast, slow] = fastest_paths(request, paths);
  if (!slow) return std::nullopt;
  if (slow == fast) return fast->index;
  adapt(request, slow->smoothed_rtt);
  double held = 0;
  for (const PathView& p : paths) {
    if (p.tier <= slow->tier) held += p.rate.bytes_in(kBulkArrivalBudget);
  }
  const double left = held - static_cast<double>(slow->bytes_in_flight + slow->datagram);
  if (fast_bytes(*fast, *slow) * lambda_ > left) return std::nullopt;
  return slow->index;
}

}  // namespace hawser
