// Scheduler `earliest`, the default: the path on which the burst is estimated to arrive first.
#pragma once

#include "common/scheduler/scheduler.h"

namespace hawser {

class EarliestScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::earliest; }
};

}  // namespace hawser
