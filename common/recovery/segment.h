// Segment: one inner packet on its way through the tunnel. It is kept, plaintext and all, until one copy is acknowledged
// or it expires, so that it can be sent again on any path (reinjection). Pooled and reference-counted; single-threaded.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "common/constants.h"
#include "common/queue/packet.h"
#include "common/traffic_class.h"
#include "common/types.h"

namespace hawser {

class SegmentPool;

struct Segment {
  Packet packet;
  LaneId lane;
  PacketClass packet_class;
  LaneSeq seq;
  Time first_sent;
  uint8_t copies_in_flight = 0;  // datagrams that carry it and are neither acknowledged nor declared lost
  uint8_t copies_pending = 0;    // paths that have yet to send a copy
  uint8_t transmissions = 0;     // in one datagram or in two pieces
  bool half_lost = false;        // its first piece, while its second one waits to be sent
  bool delivered = false;        // a copy was acknowledged
  uint8_t pieces_delivered = 0;  // of a fragmented one: bit 0 the first piece, bit 1 the second
  bool waiting = false;          // stands in the reinjection queue
  bool copy_when_lossy = false;  // small and urgent: worth a second path while one is lossy or silent
  uint8_t ecn = 0;               // the inner packet's, for the outer header (RFC 6040)

  // How long after its first sending it is worth sending again.
  Duration repaired_for() const { return packet_class.traffic == TrafficClass::realtime ? kReinjectRealtimeFor : kReinjectFor; }
  // On its way for the first time, nothing else planned, and still worth a repair.
  bool sent_once(Time now) const {
    return !delivered && transmissions == 1 && copies_in_flight > 0 && copies_pending == 0 && now - first_sent <= repaired_for();
  }

  size_t* held = nullptr;        // its session's count of the packets it keeps; outlives it
  // Nobody needs the packet any more: its buffer goes back, whoever still refers to the segment.
  void let_go() {
    packet = Packet{};
    if (held) --*held;
    held = nullptr;
  }

  uint32_t references = 0;
  SegmentPool* pool = nullptr;
  Segment* next_free = nullptr;
};

class SegmentRef {
 public:
  SegmentRef() = default;
  explicit SegmentRef(Segment* s) : s_(s) {
    if (s_) ++s_->references;
  }
  SegmentRef(const SegmentRef& o) : SegmentRef(o.s_) {}
  SegmentRef(SegmentRef&& o) noexcept : s_(std::exchange(o.s_, nullptr)) {}
  SegmentRef& operator=(SegmentRef o) noexcept {
    std::swap(s_, o.s_);
    return *this;
  }
  ~SegmentRef();
  explicit operator bool() const { return s_ != nullptr; }
  Segment* operator->() const { return s_; }
  Segment& operator*() const { return *s_; }
  void reset() { *this = SegmentRef{}; }

 private:
  Segment* s_ = nullptr;
};

// Must outlive every SegmentRef taken from it. Grows in chunks, never shrinks; bounded by the packets that segments hold.
class SegmentPool {
 public:
  SegmentPool() = default;
  SegmentPool(const SegmentPool&) = delete;
  SegmentPool& operator=(const SegmentPool&) = delete;
  // `held` counts it until it lets its packet go; null: nobody counts.
  SegmentRef make(size_t* held = nullptr);
  size_t in_use() const { return in_use_; }

 private:
  friend class SegmentRef;
  void recycle(Segment* s);
  static constexpr size_t kPerChunk = 256;
  std::vector<std::unique_ptr<Segment[]>> chunks_;
  Segment* free_ = nullptr;
  size_t in_use_ = 0;
};

inline SegmentRef::~SegmentRef() {
  if (s_ && --s_->references == 0) s_->pool->recycle(s_);
}

}  // namespace hawser
