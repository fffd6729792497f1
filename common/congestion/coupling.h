// Coupling: what the controllers of one session's paths may know of each other, and which paths are believed to share a
// bottleneck: until measured by what is known of their links, then by shared-bottleneck detection (RFC 8382).
#pragma once

#include <array>
#include <vector>

#include "common/congestion/bottleneck.h"
#include "common/congestion/controller.h"

namespace hawser {

class Coupling {
 public:
  // A path begins (or begins again, on another network). Paths with equal non-zero hints are coupled until detection
  // knows better: the client gives the gateway, the server the client's public address. At most kMaxPaths.
  void join(PathId id, uint64_t hint);
  void leave(PathId id);
  // Whether the path carries data at present: only such siblings count.
  void set_live(PathId id, bool live);
  // Hands the sample to the path's controller, with the view of its siblings, and takes note of what became of both.
  void on_sample(PathId id, Controller& controller, CongestionSample sample);
  // The path has another controller now: what its siblings see of it is refreshed.
  void on_controller_changed(PathId id, const Controller& controller);

  // The siblings of a path, itself included; valid until the next join or leave. Empty when it never joined.
  CouplingView view(PathId id) const;
  // Equal numbers: believed to share a bottleneck. -1 when the path never joined.
  int group(PathId id) const;
  const BottleneckSummary* summary(PathId id) const;

 private:
  static constexpr int kVotesToDecide = 4;  // intervals that agree, net: one and a half seconds
  static constexpr int kMaxVotes = 8;
  static constexpr double kMoveTogether = 0.5;

  struct Member {
    PathId id;
    uint64_t hint = 0;
    BottleneckStatistics statistics;
    // By the sibling's place. Shared: the present belief; votes: for it when positive.
    std::array<bool, kMaxPaths> shared{};
    std::array<int8_t, kMaxPaths> votes{};
  };
  size_t find(PathId id) const;
  void judge();
  void renumber();

  std::vector<Member> members_;  // beside `siblings_`, same places
  std::vector<Sibling> siblings_;
  Time interval_ends_;
  uint32_t interval_ = 0;
};

}  // namespace hawser
