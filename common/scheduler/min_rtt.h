// Scheduler `min-rtt`: MPTCP's default, the path of the lowest smoothed RTT that has room (mptcp.org mptcp_sched.c).
#pragma once

#include "common/scheduler/scheduler.h"

namespace hawser {

class MinRttScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::min_rtt; }
};

}  // namespace hawser
