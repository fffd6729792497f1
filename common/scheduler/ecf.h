// Scheduler `ecf`, earliest completion first (Lim et al., CoNEXT 2017): waits for the fast path when all that is queued
// would be through it sooner than a packet through the slow one.
#pragma once

#include "common/scheduler/scheduler.h"

namespace hawser {

class EcfScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::ecf; }

 private:
  bool waiting_ = false;
};

}  // namespace hawser
