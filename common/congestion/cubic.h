// Controller `cubic` (RFC 9438): the window is a cubic function of the time since the last reduction.
#pragma once

#include "common/congestion/window_controller.h"

namespace hawser {

class CubicController final : public WindowController {
 public:
  using WindowController::WindowController;
  wire::CongestionKind kind() const override { return wire::CongestionKind::cubic; }

  static constexpr double kC = 0.4;  // segments per second cubed
  static constexpr double kBeta = 0.7;
  // K: seconds until the window is back at `w_max`, from `epoch_window`; both in segments.
  static double time_to(double w_max, double epoch_window);
  // W_cubic(t) in segments.
  static double window_at(double t, double k, double w_max);

 private:
  double increase(double acked, const CongestionSample& s) override;
  double reduced(const CongestionSample&) override;
  void on_undo() override;
  void on_restart() override;
  void on_unused(Duration d) override;

  // What a reduction overwrites, and an undo brings back. Windows in segments.
  struct Epoch {
    Time began;  // Time{}: begins with the next growth
    double w_max = 0;
    double k = 0;
    double w_est = 0;  // what Reno would have
    double prior = 0;  // the window before the reduction
  };
  Epoch epoch_, undo_;
};

}  // namespace hawser
