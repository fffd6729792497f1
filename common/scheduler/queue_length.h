// Scheduler `queue-length`: the path with the fewest bytes in flight, the least recently used one among equals (Linux
// device-mapper multipath, dm-ps-queue-length.c).
#pragma once

#include <vector>

#include "common/scheduler/scheduler.h"

namespace hawser {

class QueueLengthScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::queue_length; }
  void on_sent(PathId path, size_t bytes) override;

 private:
  size_t recency(PathId path) const;
  std::vector<PathId> used_;  // the most recently used last; at most kMaxPaths
};

}  // namespace hawser
