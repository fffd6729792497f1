// The face of a scheduler: for the next burst, which path, or wait. It sees plain numbers about the paths and holds no
// sockets, no clock, no packets.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "common/traffic_class.h"
#include "common/types.h"
#include "common/wire/frame.h"

namespace hawser {

// One path as a scheduler sees it. Delays are relative to each other: only differences between paths mean anything.
struct PathView {
  size_t index = 0;           // the caller's
  PathId id;
  int tier = 0;               // 0 preferred; 1 secondary: only when no preferred path has room; 2 backup: only when none works
  bool has_room = false;      // congestion window and pacer allow a full datagram now
  bool has_urgent_room = false;  // a small urgent packet may go although bulk may not
  Duration one_way_delay;     // to the peer without our own queue: minimum, comparable between paths
  Duration queued;            // what is in flight above one bandwidth-delay product, in time
  Duration room_in;           // until has_room by the pacer; zero when it has room
  Duration smoothed_rtt;
  BitRate rate;               // pacing rate
  double loss = 0;            // 0..1
  uint64_t bytes_in_flight = 0;
};

struct SchedulerRequest {
  PacketClass packet_class;
  bool sparse = false;        // the flow is not backlogged
  size_t bytes = 0;
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // The index (PathView::index) of the path for the next burst; nothing means: wait, do not send this now.
  virtual std::optional<size_t> pick(const SchedulerRequest& request, std::span<const PathView> paths) = 0;
  virtual wire::SchedulerKind kind() const = 0;
};

std::unique_ptr<Scheduler> make_scheduler(wire::SchedulerKind kind);

// The scheduler that a policy means: the named one, else the mode's.
wire::SchedulerKind scheduler_for(wire::Mode mode, wire::SchedulerKind named);

// Whether a request takes the lowest delay and never waits for bulk.
inline bool is_urgent(const SchedulerRequest& r) { return r.sparse || r.packet_class.traffic != TrafficClass::bulk; }

// The paths of the best tier that works; `room` tiers: secondary paths count only when no preferred one has room.
// Returns the greatest tier that may be used at present.
int usable_tier(const SchedulerRequest& request, std::span<const PathView> paths);

}  // namespace hawser
