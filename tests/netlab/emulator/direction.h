// One direction of a link in virtual time: queue, serialiser, loss, delay line. No clock and no sockets: time is an
// argument. A frame's way: arrive -> blackhole? -> queue (drop-tail) -> wire (rate) -> loss -> delay + jitter ->
// pop_due.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "common/types.h"
#include "tests/netlab/emulator/frame_pool.h"
#include "tests/netlab/emulator/histogram.h"
#include "tests/netlab/emulator/settings.h"

namespace hawser::netlab {

// Frames and bytes (incl. the Ethernet header), and every drop by its reason.
struct Counters {
  uint64_t in_packets = 0;
  uint64_t in_bytes = 0;
  uint64_t out_packets = 0;
  uint64_t out_bytes = 0;
  uint64_t duplicated = 0;
  uint64_t drop_queue = 0;
  uint64_t drop_loss = 0;
  uint64_t drop_blackhole = 0;
  uint64_t drop_oversize = 0;  // larger than the interface's MTU: an offload is on somewhere
  uint64_t drop_offload = 0;   // checksum left to hardware that is not there
  uint64_t drop_overrun = 0;   // the emulator itself was too slow or out of buffers: the run says nothing
  uint64_t drop_send = 0;      // the other interface is down
  Histogram lateness;          // actual send time minus due time
};

struct Departure {
  FrameSlot slot = 0;
  uint32_t bytes = 0;
  Time due;
};

class Direction {
 public:
  // `pool` must outlive the direction.
  Direction(FramePool& pool, const DirectionSettings& settings, uint64_t seed)
      : pool_(pool), settings_(settings), random_(seed) {}

  // Takes over the slot. `at` may lie in the past, but must not be smaller than in earlier calls.
  void arrive(FrameSlot slot, uint32_t bytes, Time at);
  // What the serialiser did until `now`.
  void advance(Time now);
  // The next frame due until `until`; the caller owns its slot then. Call advance first.
  std::optional<Departure> pop_due(Time until);
  // Not later than the next departure; infinite when empty. May be too early.
  Time next_due() const;

  // Frames on the wire or in the delay line keep the settings they started with; waiting ones get the new ones.
  void set(const DirectionSettings& settings, Time now);
  const DirectionSettings& settings() const { return settings_; }
  void seed(uint64_t seed) { random_.seed(seed); }

  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }
  size_t queued_bytes() const { return queued_bytes_; }

 private:
  struct Waiting {
    FrameSlot slot;
    uint32_t bytes;
    Time arrival;
  };
  struct InFlight {
    Departure departure;
    uint64_t order;
  };

  void finish_on_wire(const Waiting& frame, Time finish);
  void put_in_line(const Departure& departure);
  bool lost();
  Duration jitter_at(Time now);
  double uniform() { return static_cast<double>(random_() >> 11) * 0x1.0p-53; }
  Duration wire_time(uint32_t bytes) const {
    return settings_.rate.bps > 0 ? settings_.rate.time_for(bytes) : Duration{};
  }

  FramePool& pool_;
  DirectionSettings settings_;
  std::mt19937_64 random_;
  Counters counters_;

  std::deque<Waiting> queue_;
  size_t queued_bytes_ = 0;
  Time wire_free_;              // when the serialiser has finished its last frame
  std::vector<InFlight> line_;  // a heap, earliest first
  uint64_t next_order_ = 0;
  Time last_due_;
  bool burst_bad_ = false;  // Gilbert-Elliott's state

  // Jitter moves on straight lines between targets drawn once per period.
  Time jitter_from_time_, jitter_to_time_;
  Duration jitter_from_, jitter_to_;
};

}  // namespace hawser::netlab
