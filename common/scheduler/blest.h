// Scheduler `blest` (Ferlin et al., IFIP Networking 2016): a slow path is passed over when the fast one, before the
// slow path's packet arrives, could fill what the receiver may hold back for it.
#pragma once

#include "common/scheduler/scheduler.h"

namespace hawser {

class BlestScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::blest; }

  // X: bytes that the fast path can send while a packet of the slow one is under way.
  static double fast_bytes(const PathView& fast, const PathView& slow);
  double lambda() const { return lambda_; }

 private:
  void adapt(const SchedulerRequest& request, Duration slow_rtt);

  double lambda_ = 1.2;
  Time adapt_at_;
  uint64_t repairs_ = 0;
};

}  // namespace hawser
