// A sender's congestion window in bytes: slow start with HyStart, then CUBIC or Reno. Shared by the TCP and the QUIC model.
#pragma once

#include "tests/sim/tcp/growth.h"
#include "tests/sim/tcp/hystart.h"

namespace hawser::sim {

class CongestionWindow {
 public:
  CongestionWindow(CongestionControl kind, double mss)
      : mss_(mss), hystart_on_(kind == CongestionControl::cubic), growth_(make_growth(kind)), window_(kInitialWindow * mss) {}

  double bytes() const { return window_; }
  double ssthresh() const { return ssthresh_; }
  bool in_slow_start() const { return window_ < ssthresh_; }

  // A round trip began (what was sent when the last one began is acknowledged).
  void on_round(Time now) { hystart_.on_round(now); }
  // `rtt`: of this ack, or negative. `limited`: the window was what held the sender back.
  void on_ack(double acked, Duration rtt, Duration min_rtt, bool limited, Time now) {
    if (hystart_on_ && in_slow_start() && rtt.ns >= 0 && hystart_.on_ack(window_ / mss_, rtt, min_rtt, now)) ssthresh_ = window_;
    if (!limited) return;
    if (in_slow_start()) {
      const double room = ssthresh_ - window_, used = room < acked ? room : acked;
      window_ += used;
      acked -= used;
    }
    if (acked > 0) window_ += mss_ * growth_->increase(window_ / mss_, acked / mss_, min_rtt, now);
  }
  // A loss, once per window: sets ssthresh. The caller lets the window shrink to it (set_bytes) as its recovery has it.
  void on_loss() { ssthresh_ = growth_->after_loss(window_ / mss_) * mss_; }
  void set_bytes(double bytes) { window_ = bytes; }
  // The loss was none.
  void undo(double window, double ssthresh) {
    if (window > window_) window_ = window;
    ssthresh_ = ssthresh;
    growth_->restart();
  }
  // Nothing was sent for `rounds` retransmission timeouts (RFC 2861).
  void on_idle(int rounds) {
    if (ssthresh_ > window_ * 0.75) ssthresh_ = ssthresh_ > 1e15 ? ssthresh_ : window_ * 0.75;
    for (; rounds > 0 && window_ > kInitialWindow * mss_; --rounds) window_ /= 2;
    if (window_ < kInitialWindow * mss_) window_ = kInitialWindow * mss_;
    growth_->restart();
  }

 private:
  static constexpr double kInitialWindow = 10;

  const double mss_;
  const bool hystart_on_;
  std::unique_ptr<Growth> growth_;
  Hystart hystart_;
  double window_;
  double ssthresh_ = 1e18;
};

}  // namespace hawser::sim
