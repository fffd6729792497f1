// Puts the packets of each lane back in order at the receiver, within a deadline; drops second copies; lets late but new
// packets through. A lane in order costs one counter; more state exists only while something is missing.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "common/constants.h"
#include "common/drop.h"
#include "common/queue/packet.h"
#include "common/traffic_class.h"
#include "common/types.h"

namespace hawser {

// Packets ready for the TUN. `owner` keeps held ones alive; a packet delivered at once is a view of the receive buffer.
struct Delivery {
  ByteSpan bytes;
  Packet owner;
};
using Deliveries = std::vector<Delivery>;

class Resequencer {
 public:
  explicit Resequencer(PacketPool& pool) : pool_(pool) {}
  ~Resequencer() { pool_.refund(ring_bytes_); }
  Resequencer(const Resequencer&) = delete;
  Resequencer& operator=(const Resequencer&) = delete;

  // A packet of a lane; `packet` is a view of the receive buffer, or owned when `owner` is set.
  void on_packet(LaneId lane, PacketClass packet_class, uint32_t seq24, ByteSpan packet, Packet owner, Time now, Deliveries& out,
                 DropCounters& drops);
  // The sender will not repair these: nobody needs to wait for them.
  void on_gave_up(LaneId lane, uint32_t first_seq24, uint16_t count, Time now, Deliveries& out);
  // Gives up gaps whose deadline has passed.
  void on_timer(Time now, Deliveries& out);
  Time next_deadline() const { return deadline_; }

  // How long a gap is waited for: from the measured spread of delays and the time a repair takes.
  void set_wait(Duration wait) { wait_ = std::clamp(wait, kResequencerMinWait, kResequencerMaxWait); }
  Duration wait() const { return wait_; }

  size_t held_packets() const { return held_; }
  size_t held_bytes() const { return held_bytes_; }
  size_t memory_bytes() const;
  uint64_t gaps_given_up() const { return gaps_given_up_; }

 private:
  struct Slot {
    Packet packet;
    Time arrived;
    uint32_t next_free = 0;
  };
  struct Range {
    uint64_t first = 0, last = 0;
  };
  struct Disorder {
    std::vector<uint32_t> ring;   // slot index + 1 by (sequence & mask); 0: missing; kSeen: delivered already
    std::vector<Range> skipped;   // below `next`, given up: packets that may still come and are new then
    uint32_t held = 0;
    uint64_t highest = 0;         // highest sequence seen
    uint64_t first_held = 0;      // lowest sequence held; meaningful while held > 0
    bool listed = false;          // stands in waiting_
    Time waiting_since;           // from when the gap at `next` is waited for; Time{} when nothing waits
    Time repaired_at;             // when a packet came last that was waited for
    Time skipped_at;              // when the newest range was given up
  };
  struct Lane {
    uint64_t next = 0;            // next sequence to deliver
    std::unique_ptr<Disorder> disorder;
  };
  static constexpr uint32_t kSeen = 0xffffffff;
  static constexpr size_t kLanesPerBlock = 64;
  using Block = std::array<Lane, kLanesPerBlock>;

  Lane& lane_at(LaneId id);
  Disorder& disorder_of(Lane& lane);
  bool grow_ring(Disorder& d, uint64_t next, uint64_t span);
  void hold(LaneId id, Lane& lane, uint64_t seq, ByteSpan packet, Packet owner, Time now, DropCounters& drops);
  void release_run(LaneId id, Lane& lane, Deliveries& out);
  void skip_to(Lane& lane, uint64_t seq, Time now);
  static bool take_skipped(Disorder& d, uint64_t seq);
  void deliver_late(Lane& lane, uint64_t seq, ByteSpan packet, Packet owner, Deliveries& out, DropCounters& drops);
  void settle(LaneId id, Lane& lane, Time now);
  void wait_from(LaneId id, Disorder& d, Time since);

  PacketPool& pool_;
  std::array<std::unique_ptr<Block>, kLanes / kLanesPerBlock> blocks_;
  std::vector<uint16_t> waiting_;     // lanes with a gap, and some whose gap has just been filled
  std::vector<Slot> slots_;
  uint32_t free_slot_ = 0;
  size_t held_ = 0, held_bytes_ = 0, ring_bytes_ = 0;
  Duration wait_ = Duration::millis(200);
  Time deadline_ = Time::infinite();
  uint64_t gaps_given_up_ = 0;
};

}  // namespace hawser
