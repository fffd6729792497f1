// The coupled controllers of MPTCP: `lia` (RFC 6356), `olia` (Khalili et al., CoNEXT 2012), `balia` (Peng et al., ToN
// 2016). They couple all paths of the session, as published; the shared bottlenecks that were detected are not their
// matter.
#pragma once

#include <array>

#include "common/congestion/window_controller.h"
#include "common/constants.h"

namespace hawser {

// One path as the formulas see it. Windows in datagrams, round trips in seconds.
struct CoupledPath {
  double window = 0;
  double rtt = 0;
  double between_losses = 0;  // OLIA's l, bytes
};

// The formulas. `own` is the place of the path whose window changes; results are datagrams per datagram acknowledged.
double lia_alpha(std::span<const CoupledPath> paths);
double lia_increase(std::span<const CoupledPath> paths, size_t own);
double olia_increase(std::span<const CoupledPath> paths, size_t own);
double balia_increase(std::span<const CoupledPath> paths, size_t own);
// Datagrams that a loss takes away.
double balia_decrease(std::span<const CoupledPath> paths, size_t own);

class CoupledController : public WindowController {
 public:
  using WindowController::WindowController;

 protected:
  struct Paths {
    std::array<CoupledPath, kMaxPaths> all;
    size_t count = 0;
    size_t own = 0;
    std::span<const CoupledPath> span() const { return {all.data(), count}; }
  };
  // The own path as it is now, and those of its siblings that carry data, as of their last ack.
  Paths paths(const CongestionSample& s) const;
};

class LiaController final : public CoupledController {
 public:
  using CoupledController::CoupledController;
  wire::CongestionKind kind() const override { return wire::CongestionKind::lia; }

 private:
  double increase(double acked, const CongestionSample& s) override;
  double reduced(const CongestionSample&) override { return window() / 2; }
};

class OliaController final : public CoupledController {
 public:
  using CoupledController::CoupledController;
  wire::CongestionKind kind() const override { return wire::CongestionKind::olia; }

 private:
  double increase(double acked, const CongestionSample& s) override;
  double reduced(const CongestionSample&) override { return window() / 2; }
};

class BaliaController final : public CoupledController {
 public:
  using CoupledController::CoupledController;
  wire::CongestionKind kind() const override { return wire::CongestionKind::balia; }

 private:
  double increase(double acked, const CongestionSample& s) override;
  double reduced(const CongestionSample& s) override;
};

}  // namespace hawser
