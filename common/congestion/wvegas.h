// Controller `wvegas`: weighted Vegas (Cao, Xu, Fu, ICNP 2012): each path keeps a few datagrams queued in the network,
// and the session's allowance is shared among its paths by their rates. It gives way to loss-based flows and to jitter.
#pragma once

#include "common/congestion/window_controller.h"

namespace hawser {

class WvegasController final : public WindowController {
 public:
  using WindowController::WindowController;
  wire::CongestionKind kind() const override { return wire::CongestionKind::wvegas; }

  // Datagrams queued in the network: what the window holds beyond the round trip without a queue.
  static double queued(double window, double rtt, double base_rtt) { return window * (rtt - base_rtt) / rtt; }

 private:
  // The window changes once a round, in on_round.
  double increase(double, const CongestionSample&) override { return 0; }
  double reduced(const CongestionSample&) override { return window() / 2; }
  void on_rtt(Duration rtt, Time now) override;
  void on_round(const CongestionSample& s) override;
  void on_restart() override;
  double weight(const CongestionSample& s, double rate) const;

  Duration base_rtt_ = Duration::infinite();
  Duration round_sum_;
  int round_samples_ = 0;
  double alpha_ = 2;  // initial_alpha: datagrams
  Duration least_queue_ = Duration::infinite();
};

}  // namespace hawser
