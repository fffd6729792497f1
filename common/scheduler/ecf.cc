// Names as in the paper: k what waits, n rounds of the fast path, beta the hysteresis of waiting.
#include "common/scheduler/ecf.h"

#include <algorithm>

namespace hawser {
namespace {

constexpr double kBeta = 0.25;

}  // namespace

std::optional<size_t> EcfScheduler::pick(const SchedulerRequest& request, std::span<const PathView> paths) {
  const auto [fast, slow] = fastest_paths(request, paths);
  if (!slow) return std::nullopt;
  if (slow == fast) {
    waiting_ = false;
    return fast->index;
  }
  const double fast_rtt = fast->smoothed_rtt.to_seconds(), slow_rtt = slow->smoothed_rtt.to_seconds();
  const double margin = std::max(fast->rtt_variance, slow->rtt_variance).to_seconds();
  const auto k = static_cast<double>(std::max(request.backlog, request.bytes));
  const double n = 1 + k / std::max<double>(static_cast<double>(fast->window), 1);
  if (n * fast_rtt >= (1 + (waiting_ ? kBeta : 0)) * (slow_rtt + margin)) {
    waiting_ = false;
    return slow->index;
  }
  // The fast path would be through earlier; yet so little may wait that the slow one is done sooner still.
  if (k / std::max<double>(static_cast<double>(slow->window), 1) * slow_rtt < 2 * fast_rtt + margin) return slow->index;
  waiting_ = true;
  return std::nullopt;
}

}  // namespace hawser
