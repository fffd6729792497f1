// The face of a scheduler: for the next burst, which path, or wait. It sees plain numbers about the paths and holds no
// sockets, no clock, no packets.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "common/constants.h"
#include "common/traffic_class.h"
#include "common/types.h"
#include "common/wire/frame.h"

namespace hawser {

// One path as a scheduler sees it. Delays are relative to each other: only differences between paths mean anything.
struct PathView {
  size_t index = 0;  // the caller's
  PathId id;
  int tier = 0;  // 0 preferred; 1 secondary: only when no preferred path has room; 2 backup, 3 spare: only when none works
  bool has_room = false;         // congestion window and pacer allow a full datagram now
  bool has_urgent_room = false;  // a small urgent packet may go although bulk may not
  Duration one_way_delay;        // to the peer without our own queue: minimum, comparable between paths
  Duration queued;               // what is in flight above one bandwidth-delay product, in time
  Duration room_in;              // until has_room by the pacer; zero when it has room
  Duration smoothed_rtt, rtt_variance;
  BitRate rate;     // pacing rate
  BitRate measured;  // what it is known to carry, or assumed to until that is known
  double loss = 0;  // 0..1
  uint64_t bytes_in_flight = 0, window = 0;
  uint16_t datagram = 0;  // bytes of a full one
  bool full = false;      // over about a round trip it carries what it can; no room for the moment is not enough
};

struct SchedulerRequest {
  PacketClass packet_class;
  bool sparse = false;  // the flow is not backlogged
  size_t bytes = 0;
  size_t backlog = 0;    // bytes that wait for a path, these included
  uint64_t repairs = 0;  // segments sent again since the session began
  Time now{};
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // The index (PathView::index) of the path for the next burst; nothing means: wait, do not send this now.
  virtual std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) = 0;
  // The last `pick` answered "wait" although a usable path had room: that wait is no queue's, and nobody is told to slow down.
  virtual bool waits_on_purpose() const { return false; }
  virtual wire::SchedulerKind kind() const = 0;
  // A datagram for the scheduler's choice really left on that path. `pick` may be asked without a datagram following.
  virtual void on_sent(PathId path, size_t bytes) { static_cast<void>(path), static_cast<void>(bytes); }
  // Each packet goes to every other active path too, as soon as that one has room.
  virtual bool copies_everywhere() const { return false; }
  // Bulk leaves the path out because it would add next to nothing: it carries copies of bulk as far as it has room, which keep it measured.
  virtual bool leaves_out(const PathView& path, std::span<const PathView> paths) const {
    static_cast<void>(path), static_cast<void>(paths);
    return false;
  }
};

std::unique_ptr<Scheduler> make_scheduler(wire::SchedulerKind kind);

// The scheduler that a policy means: the named one, else the mode's.
wire::SchedulerKind scheduler_for(wire::Mode mode, wire::SchedulerKind named);

// Whether a request takes the lowest delay and never waits for bulk.
inline bool is_urgent(const SchedulerRequest& r) {
  return r.sparse || r.packet_class.traffic != TrafficClass::bulk;
}

// Small packets, and any that are not bulk, may go before window and pacer allow it. A download that fills no queue is sparse as
// well: unpaced, it overran whatever stands before the bottleneck with each of its bursts.
inline bool may_go_early(const SchedulerRequest& r) {
  return r.packet_class.traffic != TrafficClass::bulk || (r.sparse && r.bytes <= kSmallPacket);
}

inline bool has_room_for(const PathView& p, const SchedulerRequest& r) {
  return p.has_room || (p.has_urgent_room && may_go_early(r));
}

// The paths of the best tier that works; `room` tiers: secondary paths count only when no preferred one has room.
// Returns the greatest tier that may be used at present.
int usable_tier(const SchedulerRequest& request, std::span<const PathView> paths);

// The path of the lowest smoothed RTT among those that may be used at present: of all, and of those with room.
struct FastestPaths {
  const PathView* any = nullptr;
  const PathView* with_room = nullptr;
};
FastestPaths fastest_paths(const SchedulerRequest& request, std::span<const PathView> paths);

}  // namespace hawser
