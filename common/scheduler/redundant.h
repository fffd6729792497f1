// Scheduler `redundant`: every packet on every active path, metered ones too (mptcp.org's `redundant`; backups get
// nothing). Whichever copy comes first counts; throughput is that of the fastest path.
#pragma once

#include "common/scheduler/scheduler.h"

namespace hawser {

// A path that still has copies to send shows no room: so each path carries the packets in their order, and new ones
// begin on the paths that have caught up.
class RedundantScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::redundant; }
  bool copies_everywhere() const override { return true; }
};

}  // namespace hawser
