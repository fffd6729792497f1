// The face of a congestion controller of one path: it learns from acks and says how much may be in flight and how fast.
#pragma once

#include <memory>
#include <span>

#include "common/recovery/rtt.h"
#include "common/recovery/sent_packets.h"
#include "common/types.h"
#include "common/wire/frame.h"

namespace hawser {

// One path of the session as the controllers of the others see it: as of its last ack, and nothing of its insides.
struct Sibling {
  int group = 0;      // equal: believed to share a bottleneck
  bool live = false;  // carries data
  bool has_rtt = false;
  uint64_t window = 0, bytes_in_flight = 0, delivered = 0;  // bytes
  Duration smoothed_rtt, min_rtt;
  BitRate pacing_rate, capacity;
  uint64_t bytes_between_losses = 0;  // OLIA's l
  Time others_lost_at{};              // when the newest datagram that another path of its bottleneck lost was sent

  bool counts() const { return live && has_rtt; }
};

// The paths of the session, the own one among them. Empty: no coupling (a path by itself, most unit tests).
struct CouplingView {
  std::span<const Sibling> paths;
  size_t own = 0;

  // How many live paths share the own one's bottleneck, itself included; at least 1.
  size_t group_size() const {
    size_t n = 0;
    for (size_t i = 0; i < paths.size(); ++i)
      n += i == own || (paths[i].counts() && paths[i].group == paths[own].group);
    return n ? n : 1;
  }
  // What the paths of the own one's bottleneck are believed to carry together.
  BitRate group_capacity() const {
    BitRate sum;
    for (const Sibling& p : paths) {
      if (p.counts() && p.group == paths[own].group) sum.bps += p.capacity.bps;
    }
    return sum;
  }
  // When the newest datagram was sent that another path of the own one's bottleneck has lost; Time{}: none.
  Time others_lost_at() const { return paths.empty() ? Time{} : paths[own].others_lost_at; }
};

// What a controller sees of one ack or one expiry of the loss timer.
struct CongestionSample {
  const AckResult& ack;
  const RttEstimator& rtt;
  uint64_t bytes_in_flight = 0;  // after it
  uint64_t delivered = 0;        // all bytes ever acknowledged on the path
  Time now;
  CouplingView coupling{};
  bool call = false;  // a call's packets stand behind what this slow path has queued
};

class Controller {
 public:
  virtual ~Controller() = default;
  virtual void on_sample(const CongestionSample& sample) = 0;
  // A datagram of `size` bytes is about to leave with `bytes_in_flight` before it.
  virtual void on_sent(Time now, uint64_t bytes_in_flight, uint16_t size) = 0;
  // Nothing was delivered for several probe timeouts, then the path answered again: what was learnt is doubtful.
  virtual void on_path_revived(Time now) = 0;

  // The path changes its controller while it runs: begin with what the previous one had learnt instead of nothing.
  virtual void take_over(const Controller& previous) { static_cast<void>(previous); }

  // Bytes of UDP payload that may be unacknowledged.
  virtual uint64_t congestion_window() const = 0;
  virtual BitRate pacing_rate() const = 0;
  // What the path is believed to carry; the scheduler computes arrival times with it. Zero: not known yet.
  virtual BitRate capacity() const = 0;
  // It has not met the path's limit yet: capacity() is what was asked of the path, not what it can carry.
  virtual bool still_searching() const { return false; }
  virtual wire::CongestionKind kind() const = 0;
  // OLIA's l: bytes acknowledged since the last loss or between the last two, whichever is more. Zero: not counted.
  virtual uint64_t bytes_between_losses() const { return 0; }
};

// A new controller for a path. `datagram_size` is the path's full datagram in bytes.
std::unique_ptr<Controller> make_controller(wire::CongestionKind kind, uint16_t datagram_size, uint64_t seed);

}  // namespace hawser
