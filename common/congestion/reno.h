// Controller `reno`: additive increase, multiplicative decrease by half (RFC 5681; once per round trip as NewReno, RFC
// 6582).
#pragma once

#include "common/congestion/window_controller.h"

namespace hawser {

class RenoController final : public WindowController {
 public:
  using WindowController::WindowController;
  wire::CongestionKind kind() const override { return wire::CongestionKind::reno; }

 private:
  // One datagram per window acknowledged.
  double increase(double acked, const CongestionSample&) override { return acked * datagram() / window(); }
  double reduced(const CongestionSample&) override { return window() / 2; }
};

}  // namespace hawser
