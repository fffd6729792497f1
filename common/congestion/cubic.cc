// Section numbers are RFC 9438's.
#include "common/congestion/cubic.h"

#include <algorithm>
#include <cmath>

namespace hawser {
namespace {

constexpr double kAlpha =
    3 * (1 - CubicController::kBeta) / (1 + CubicController::kBeta);  // 4.3: Reno's average with beta

}  // namespace

double CubicController::time_to(double w_max, double epoch_window) {
  return std::cbrt(std::max(w_max - epoch_window, 0.0) / kC);
}

double CubicController::window_at(double t, double k, double w_max) {
  return kC * (t - k) * (t - k) * (t - k) + w_max;
}

double CubicController::increase(double acked, const CongestionSample& s) {
  const double segments = window() / datagram();
  const double acked_segments = acked / datagram();
  if (!epoch_.began.is_set()) {
    epoch_.began = s.now;
    // Slow start ended without a loss: the present window is the plateau (4.8).
    if (epoch_.w_max < segments) epoch_.w_max = segments;
    epoch_.k = time_to(epoch_.w_max, segments);
    epoch_.w_est = segments;
  }
  const double t = (s.now - epoch_.began).to_seconds();
  // 4.3: never slower than Reno would be.
  epoch_.w_est += (epoch_.w_est < epoch_.prior ? kAlpha : 1.0) * acked_segments / segments;
  if (window_at(t, epoch_.k, epoch_.w_max) < epoch_.w_est) return std::max(epoch_.w_est - segments, 0.0) * datagram();
  // 4.4, 4.5: where the cubic will be a round trip from now, but at most half as much again.
  const double target =
      std::clamp(window_at(t + s.rtt.smoothed().to_seconds(), epoch_.k, epoch_.w_max), segments, 1.5 * segments);
  return (target - segments) / segments * acked_segments * datagram();
}

double CubicController::reduced(const CongestionSample&) {
  const double segments = window() / datagram();
  undo_ = epoch_;
  // 4.7, fast convergence: a flow that loses ground leaves some of it to the newcomer.
  const bool losing_ground = epoch_.w_max > 0 && segments < epoch_.w_max;
  epoch_ = Epoch{};
  epoch_.w_max = losing_ground ? segments * (1 + kBeta) / 2 : segments;
  epoch_.prior = segments;
  return window() * kBeta;
}

void CubicController::on_undo() {
  epoch_ = undo_;
}

void CubicController::on_restart() {
  epoch_ = Epoch{};
}

// 5.8: time in which the window was not used does not count.
void CubicController::on_unused(Duration d) {
  if (epoch_.began.is_set()) epoch_.began += d;
}

}  // namespace hawser
