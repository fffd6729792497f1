// Scheduler `round-robin`: the paths in turn, a datagram each, passing over those without room (mptcp.org's
// `roundrobin` with num_segments 1 and cwnd_limited).
#pragma once

#include "common/scheduler/scheduler.h"

namespace hawser {

class RoundRobinScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::round_robin; }
  void on_sent(PathId path, size_t) override { last_ = path; }

 private:
  std::optional<PathId> last_;
};

}  // namespace hawser
