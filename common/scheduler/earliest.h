// Scheduler `earliest`, the default: the path on which the burst is estimated to arrive first.
#pragma once

#include <array>

#include "common/constants.h"
#include "common/scheduler/scheduler.h"

namespace hawser {

class EarliestScheduler final : public Scheduler {
 public:
  std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) override;
  bool leaves_out(const PathView& path, std::span<const PathView> paths) const override;
  bool waits_on_purpose() const override { return on_purpose_; }
  wire::SchedulerKind kind() const override { return wire::SchedulerKind::earliest; }

 private:
  // A later path that bulk takes besides the better ones.
  struct Detour {
    PathId path;
    Time last_used;
  };
  bool is_engaged(PathId path, Time now) const;
  void engage(PathId path, Time now);

  std::array<Detour, kMaxPaths> detours_{};
  bool on_purpose_ = false;
};

}  // namespace hawser
