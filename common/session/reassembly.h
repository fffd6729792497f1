// Joins the two pieces of a packet that was too large for a path. Bounded: the oldest unfinished packet gives way.
#pragma once

#include <algorithm>
#include <array>

#include "common/constants.h"
#include "common/drop.h"
#include "common/queue/ecn.h"
#include "common/queue/packet.h"
#include "common/wire/frame.h"

namespace hawser {

class Reassembly {
 public:
  explicit Reassembly(PacketPool& pool) : pool_(pool) {}

  // A piece. Returns the whole packet when it completes one, else an empty Packet. `outer_ecn`: the mark of the piece's
  // datagram on entry, of both pieces' datagrams when the packet is whole.
  Packet on_piece(const wire::FragmentFrame& f, uint8_t& outer_ecn, Time now, DropCounters& drops) {
    Entry* entry = nullptr;
    Entry* oldest = &entries_[0];
    for (Entry& e : entries_) {
      if (e.first && e.lane == f.lane && e.seq24 == f.seq24) entry = &e;
      if (!e.first || (oldest->first && e.began < oldest->began)) oldest = &e;
    }
    if (entry && now - entry->began > kReassemblyLife) {
      entry->first = Packet{};
      drops.count(DropReason::reassembly);
      oldest = entry;
      entry = nullptr;
    }
    if (!entry) {
      if (oldest->first) drops.count(DropReason::reassembly);
      *oldest = Entry{f.lane, f.seq24, f.offset, f.last, outer_ecn, now, pool_.copy_of(f.payload)};
      if (!oldest->first) drops.count(DropReason::no_buffer);
      return {};
    }
    if (entry->last == f.last) return {};  // the same piece again
    outer_ecn = ecn::joined(entry->outer_ecn, outer_ecn);
    return join(*entry, f, drops);
  }

  size_t memory_bytes() const {
    return kPacketBuffer * static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), [](const Entry& e) { return bool{e.first}; }));
  }

 private:
  struct Entry {
    LaneId lane;
    uint32_t seq24 = 0;
    uint16_t offset = 0;
    bool last = false;
    uint8_t outer_ecn = 0;
    Time began;
    Packet first;  // the piece that came first, whichever it is
  };

  Packet join(Entry& e, const wire::FragmentFrame& f, DropCounters& drops) {
    const ByteSpan held = e.first.bytes();
    const ByteSpan head = f.last ? held : f.payload;
    const ByteSpan tail = f.last ? f.payload : held;
    const uint16_t tail_offset = f.last ? f.offset : e.offset;
    Packet whole;
    // The pieces must meet exactly: overlapping pieces are an attack on whoever reads the result.
    if (tail_offset == head.size() && head.size() + tail.size() <= pool_.buffer_size()) {
      whole = pool_.allocate();
      if (whole) {
        whole.resize(head.size() + tail.size());
        std::copy(head.begin(), head.end(), whole.writable().begin());
        std::copy(tail.begin(), tail.end(), whole.writable().begin() + static_cast<ptrdiff_t>(head.size()));
      }
    }
    if (!whole) drops.count(DropReason::reassembly);
    e.first = Packet{};
    return whole;
  }

  PacketPool& pool_;
  std::array<Entry, 64> entries_{};
};

}  // namespace hawser
