// Constants as in the Linux MPTCP implementation.
#include "common/congestion/wvegas.h"

#include <algorithm>
#include <utility>

namespace hawser {
namespace {

constexpr double kTotalAlpha = 10;  // datagrams queued in the network by all paths together
constexpr double kLeastAlpha = 2;
constexpr double kGamma = 1;  // slow start ends above this
constexpr int kMinSamples = 3;

}  // namespace

void WvegasController::on_rtt(Duration rtt, Time) {
  base_rtt_ = std::min(base_rtt_, rtt);
  round_sum_ += rtt;
  ++round_samples_;
}

// The share of this path in the rate of all.
double WvegasController::weight(const CongestionSample& s, double rate) const {
  double sum = rate;
  for (size_t i = 0; i < s.coupling.paths.size(); ++i) {
    const Sibling& q = s.coupling.paths[i];
    if (i == s.coupling.own || !q.counts()) continue;
    sum += static_cast<double>(q.window) / std::max(q.smoothed_rtt, kGranularity / 10).to_seconds();
  }
  return rate / sum;
}

void WvegasController::on_round(const CongestionSample& s) {
  const int samples = std::exchange(round_samples_, 0);
  const Duration sum = std::exchange(round_sum_, Duration{});
  if (samples < kMinSamples || base_rtt_.ns <= 0) return;
  const Duration rtt = std::max(sum / samples, base_rtt_);
  const double ratio = base_rtt_.to_seconds() / rtt.to_seconds();
  const double diff = queued(window() / datagram(), rtt.to_seconds(), base_rtt_.to_seconds());
  if (in_slow_start()) {
    if (diff <= kGamma) return;
    set_window(std::min(window(), window() * ratio + datagram()));
    leave_slow_start();
    return;
  }
  if (diff >= alpha_) alpha_ = std::max(kLeastAlpha, kTotalAlpha * weight(s, window() / rtt.to_seconds()));
  if (diff > alpha_) {
    set_window(window() - datagram());
  } else if (diff < alpha_ && window_limited()) {
    set_window(window() + datagram());
  }
  // A queue of twice the least one seen is drained, so that the base round trip stays the truth. The least one counts
  // as no less than what the allowance itself queues: else the window would be halved in its own equilibrium, as
  // published it is.
  const Duration queue = rtt - base_rtt_;
  const Duration allowed = Duration::from_seconds(alpha_ * rtt.to_seconds() / (window() / datagram()));
  least_queue_ = std::min(least_queue_, queue);
  if (queue >= std::max({least_queue_, allowed, kGranularity}) * 2) {
    set_window(window() * ratio / 2);
    least_queue_ = Duration::infinite();
  }
  leave_slow_start();  // the threshold follows the window: Vegas has no second slow start
}

void WvegasController::on_restart() {
  base_rtt_ = Duration::infinite();
  round_sum_ = Duration{};
  round_samples_ = 0;
  alpha_ = kLeastAlpha;
  least_queue_ = Duration::infinite();
}

}  // namespace hawser
