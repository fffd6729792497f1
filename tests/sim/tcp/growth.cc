// Reno (RFC 5681) and CUBIC (RFC 9438, with the constants and the clamps of Linux' tcp_cubic.c).
#include "tests/sim/tcp/growth.h"

#include <algorithm>
#include <cmath>

namespace hawser::sim {
namespace {

class Reno final : public Growth {
 public:
  double increase(double window, double acked, Duration, Time) override { return acked / window; }
  double after_loss(double window) override { return std::max(window / 2, 2.0); }
  void restart() override {}
};

class Cubic final : public Growth {
 public:
  double increase(double window, double acked, Duration min_rtt, Time now) override {
    if (!epoch_.is_set()) begin_epoch(window, now);
    // Where the cubic will be one round trip from now.
    const double t = (now - epoch_ + min_rtt).to_seconds() - k_;
    const double target = std::clamp(origin_ + kC * t * t * t, window, 1.5 * window);
    double growth = target > window ? (target - window) / window * acked : acked / (100 * window);
    // Until the first loss the network is unknown: at least 5 % per round trip, as Linux has it.
    if (last_max_ == 0) growth = std::max(growth, acked / 20);
    // The Reno-friendly region (RFC 9438, 4.3).
    reno_window_ += 3 * (1 - kBeta) / (1 + kBeta) * acked / window;
    if (reno_window_ > window) growth = std::max(growth, (reno_window_ - window) / window * acked);
    return std::min(growth, acked / 2);
  }

  double after_loss(double window) override {
    // Fast convergence (RFC 9438, 4.7): a window that has not come back to its last maximum leaves room for others.
    last_max_ = window < last_max_ ? window * (1 + kBeta) / 2 : window;
    epoch_ = Time{};
    return std::max(window * kBeta, 2.0);
  }

  void restart() override { epoch_ = Time{}; }

 private:
  static constexpr double kC = 0.4, kBeta = 0.7;

  void begin_epoch(double window, Time now) {
    epoch_ = now;
    reno_window_ = window;
    if (last_max_ <= window) {
      k_ = 0;
      origin_ = window;
    } else {
      k_ = std::cbrt((last_max_ - window) / kC);
      origin_ = last_max_;
    }
  }

  Time epoch_;
  double k_ = 0, origin_ = 0, last_max_ = 0, reno_window_ = 0;
};

}  // namespace

std::unique_ptr<Growth> make_growth(CongestionControl kind) {
  if (kind == CongestionControl::reno) return std::make_unique<Reno>();
  return std::make_unique<Cubic>();
}

}  // namespace hawser::sim
