// The face of a congestion controller of one path: it learns from acks and says how much may be in flight and how fast.
#pragma once

#include <memory>

#include "common/recovery/rtt.h"
#include "common/recovery/sent_packets.h"
#include "common/types.h"
#include "common/wire/frame.h"

namespace hawser {

// What a controller sees of one ack or one expiry of the loss timer.
struct CongestionSample {
  const AckResult& ack;
  const RttEstimator& rtt;
  uint64_t bytes_in_flight = 0;  // after it
  uint64_t delivered = 0;        // all bytes ever acknowledged on the path
  Time now;
};

class Controller {
 public:
  virtual ~Controller() = default;
  virtual void on_sample(const CongestionSample& sample) = 0;
  // A datagram of `size` bytes is about to leave with `bytes_in_flight` before it.
  virtual void on_sent(Time now, uint64_t bytes_in_flight, uint16_t size) = 0;
  // Nothing was delivered for several probe timeouts, then the path answered again: what was learnt is doubtful.
  virtual void on_path_revived(Time now) = 0;

  // Bytes of UDP payload that may be unacknowledged.
  virtual uint64_t congestion_window() const = 0;
  virtual BitRate pacing_rate() const = 0;
  // What the path is believed to carry; the scheduler computes arrival times with it. Zero: not known yet.
  virtual BitRate capacity() const = 0;
  virtual wire::CongestionKind kind() const = 0;
};

// A new controller for a path. `datagram_size` is the path's full datagram in bytes.
std::unique_ptr<Controller> make_controller(wire::CongestionKind kind, uint16_t datagram_size, uint64_t seed);

}  // namespace hawser
