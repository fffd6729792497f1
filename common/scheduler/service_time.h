// Scheduler `service-time`: the path that would be through first with what it has in flight and this packet, at its
// rate; the faster one among equals (Linux device-mapper multipath, dm-ps-service-time.c). Propagation delay does not
// count.
#pragma once

#include "common/scheduler/scheduler.h"

namespace hawser {

class ServiceTimeScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::service_time; }
};

}  // namespace hawser
