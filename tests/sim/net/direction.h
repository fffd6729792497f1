// One direction of a link. A frame's way: blackhole? -> queue -> wire (rate) -> loss -> delay and jitter -> next hop or sink.
#pragma once

#include <deque>
#include <string>

#include "tests/sim/core/event_loop.h"
#include "tests/sim/core/samples.h"
#include "tests/sim/net/codel.h"
#include "tests/sim/net/frame.h"
#include "tests/sim/net/impairment.h"

namespace hawser::sim {

struct DirectionCounters {
  uint64_t in_frames = 0, in_bytes = 0;
  uint64_t out_frames = 0, out_bytes = 0;  // left the delay line
  uint64_t drop_queue = 0, drop_codel = 0, drop_loss = 0, drop_blackhole = 0, duplicated = 0;
  uint64_t dropped() const { return drop_queue + drop_codel + drop_loss; }
  Samples queue_delay_ms;  // of frames that got onto the wire, since `reset`
  std::vector<double> bins;  // bytes out per 100 ms
};

class Direction final : private EventHandler {
 public:
  Direction(EventLoop& loop, std::string name, const DirectionSettings& settings, Random random)
      : loop_(loop), name_(std::move(name)), settings_(settings), impairment_(random) {}

  void arrive(FramePtr frame);
  // Frames on the wire and in the delay line keep the settings they started with; waiting ones get the new ones.
  void set(const DirectionSettings& settings);
  const DirectionSettings& settings() const { return settings_; }
  const DirectionCounters& counters() const { return counters_; }
  const std::string& name() const { return name_; }
  size_t queued_bytes() const { return queued_bytes_; }
  // From here on queue delays and the loss are of interest.
  void begin_measuring() {
    counters_.queue_delay_ms = {};
    before_ = {counters_.in_frames, counters_.dropped()};
  }
  double measured_loss() const {
    const auto frames = static_cast<double>(counters_.in_frames - before_.first);
    return frames > 0 ? static_cast<double>(counters_.dropped() - before_.second) / frames : 0;
  }

 private:
  enum Tag : uint64_t { wire_done, line_due };
  void on_event(uint64_t tag) override;
  void start_wire();
  void leave_wire(FramePtr frame);
  void put_in_line(FramePtr frame, Time due);
  void pop_line();
  void hand_on(FramePtr frame);

  struct InFlight {
    Time due;
    uint64_t order;
    FramePtr frame;
  };
  static bool later(const InFlight& a, const InFlight& b) { return a.due != b.due ? a.due > b.due : a.order > b.order; }

  EventLoop& loop_;
  const std::string name_;
  DirectionSettings settings_;
  Impairment impairment_;
  Codel codel_;
  DirectionCounters counters_;
  std::pair<uint64_t, uint64_t> before_{};  // frames and drops before the measurement
  std::deque<FramePtr> queue_;
  size_t queued_bytes_ = 0;
  FramePtr on_wire_;
  std::vector<InFlight> line_;  // a heap, earliest first
  uint64_t next_order_ = 0;
  Time last_due_;
};

}  // namespace hawser::sim
