// The order of work for a packet: too far ahead or too old, duplicate, in order (deliver and release what follows),
// unordered (deliver at once, remember), else hold.
#include "common/queue/resequencer.h"

#include <algorithm>

namespace hawser {
namespace {

// RFC 9000, A.3, for 24 bits.
uint64_t widen(uint32_t low24, uint64_t expected) {
  constexpr uint64_t kWindow = uint64_t{1} << 24;
  const uint64_t candidate = (expected & ~(kWindow - 1)) | low24;
  if (candidate + kWindow / 2 <= expected) return candidate + kWindow;
  if (candidate > expected + kWindow / 2 && candidate >= kWindow) return candidate - kWindow;
  return candidate;
}

constexpr Duration kSkippedLife = Duration::seconds(3);  // how long a packet given up may still come

}  // namespace

Resequencer::Lane& Resequencer::lane_at(LaneId id) {
  auto& block = blocks_[id.value / kLanesPerBlock];
  if (!block) block = std::make_unique<Block>();
  return (*block)[id.value % kLanesPerBlock];
}

Resequencer::Disorder& Resequencer::disorder_of(Lane& lane) {
  if (!lane.disorder) {
    lane.disorder = std::make_unique<Disorder>();
  }
  return *lane.disorder;
}

// The gap at `next` is waited for since then. The deadline is a lower bound: coming early finds nothing due.
void Resequencer::wait_from(LaneId id, Disorder& d, Time since) {
  d.waiting_since = since;
  deadline_ = std::min(deadline_, since + wait_);
  if (d.listed) return;
  d.listed = true;
  waiting_.push_back(id.value);
}

bool Resequencer::grow_ring(Disorder& d, uint64_t next, uint64_t span) {
  if (span <= d.ring.size()) return true;
  size_t size = std::max<size_t>(64, d.ring.size());
  while (size < span) size *= 2;
  const size_t more = (size - d.ring.size()) * sizeof(uint32_t);
  if (held_bytes_ + ring_bytes_ + more > kResequencerBytes || !pool_.charge(more)) return false;
  std::vector<uint32_t> bigger(size);
  for (uint64_t s = next; s < next + d.ring.size(); ++s) bigger[s & (size - 1)] = d.ring[s & (d.ring.size() - 1)];
  d.ring = std::move(bigger);
  ring_bytes_ += more;
  return true;
}

void Resequencer::hold(LaneId id, Lane& lane, uint64_t seq, ByteSpan packet, Packet owner, Time now, DropCounters& drops) {
  Disorder& d = disorder_of(lane);
  // A packet that cannot be held is a loss of this packet alone; it is never a reason to grow beyond the bound.
  // It is charged with its buffer, not its size: small packets must not take what all sessions share.
  if (held_bytes_ + ring_bytes_ + pool_.buffer_size() > kResequencerBytes || !grow_ring(d, lane.next, seq - lane.next + 1)) {
    drops.count(DropReason::resequencer_full);
    return;
  }
  if (!owner) owner = pool_.copy_of(packet);
  if (!owner) {
    drops.count(DropReason::no_buffer);
    return;
  }
  if (!free_slot_) {
    slots_.emplace_back();
    free_slot_ = static_cast<uint32_t>(slots_.size());
  }
  const uint32_t index = free_slot_;
  Slot& slot = slots_[index - 1];
  free_slot_ = slot.next_free;
  held_bytes_ += pool_.buffer_size();
  slot.packet = std::move(owner);
  slot.arrived = now;
  d.ring[seq & (d.ring.size() - 1)] = index;
  ++d.held;
  ++held_;
  d.highest = std::max(d.highest, seq);
  d.first_held = d.held == 1 ? seq : std::min(d.first_held, seq);
  if (!d.waiting_since.is_set()) wait_from(id, d, now);
}

void Resequencer::release_run(LaneId id, Lane& lane, Deliveries& out) {
  Disorder* d = lane.disorder.get();
  if (!d || d->ring.empty()) return;
  while (true) {
    uint32_t& entry = d->ring[lane.next & (d->ring.size() - 1)];
    if (entry == 0) break;
    if (entry != kSeen) {
      Slot& slot = slots_[entry - 1];
      held_bytes_ -= pool_.buffer_size();
      out.push_back({slot.packet.bytes(), std::move(slot.packet)});
      slot.packet = Packet{};
      slot.next_free = free_slot_;
      free_slot_ = entry;
      --d->held;
      --held_;
    }
    entry = 0;
    ++lane.next;
  }
  // What is still held waits for another gap: its patience counts from when the first packet behind that gap came, or from the
  // repair of the gap before. After the loss of a link repairs of a whole round trip come one after the other over what is left,
  // and giving up those that are still to come would only make the inner sender repeat them all.
  // Looking for that packet crosses each gap once, because its place is remembered.
  if (d->held == 0) {
    d->waiting_since = Time{};
    return;
  }
  auto held_at = [&](uint64_t s) {
    const uint32_t entry = d->ring[s & (d->ring.size() - 1)];
    return entry != 0 && entry != kSeen;
  };
  if (d->first_held < lane.next) {
    d->first_held = lane.next;
    while (d->first_held < d->highest && !held_at(d->first_held)) ++d->first_held;
  }
  const Time noticed = slots_[d->ring[d->first_held & (d->ring.size() - 1)] - 1].arrived;
  wait_from(id, *d, std::max(noticed, std::min(d->repaired_at, noticed + (kReinjectFor - wait_))));
}

bool Resequencer::take_skipped(Disorder& d, uint64_t seq) {
  for (size_t i = 0; i < d.skipped.size(); ++i) {
    Range r = d.skipped[i];
    if (seq < r.first || seq > r.last) continue;
    d.skipped.erase(d.skipped.begin() + static_cast<ptrdiff_t>(i));
    if (r.first < seq) d.skipped.push_back({r.first, seq - 1});
    if (seq < r.last) d.skipped.push_back({seq + 1, r.last});
    return true;
  }
  return false;
}

void Resequencer::deliver_late(Lane& lane, uint64_t seq, ByteSpan packet, Packet owner, Deliveries& out, DropCounters& drops) {
  if (lane.disorder && take_skipped(*lane.disorder, seq)) {
    out.push_back({packet, std::move(owner)});
  } else {
    drops.count(DropReason::duplicate);
  }
}

void Resequencer::on_packet(LaneId id, PacketClass packet_class, uint32_t seq24, ByteSpan packet, Packet owner, Time now,
                            Deliveries& out, DropCounters& drops) {
  Lane& lane = lane_at(id);
  const uint64_t seq = widen(seq24, lane.next);
  if (seq < lane.next) {
    deliver_late(lane, seq, packet, std::move(owner), out, drops);
  } else if (seq - lane.next >= kLaneWindow) {
    drops.count(DropReason::resequencer_full);
  } else {
    Disorder* d = lane.disorder.get();
    const bool ring_covers = d && seq - lane.next < d->ring.size();
    if (ring_covers && d->ring[seq & (d->ring.size() - 1)] != 0) {
      drops.count(DropReason::duplicate);
    } else if (seq == lane.next) {
      out.push_back({packet, std::move(owner)});
      ++lane.next;
      if (d) d->repaired_at = now;
      release_run(id, lane, out);
    } else if (packet_class.unordered) {
      // Order does not matter to it; remember it, so that a second copy is known and nobody waits for it.
      Disorder& own = disorder_of(lane);
      if (!grow_ring(own, lane.next, seq - lane.next + 1)) {
        drops.count(DropReason::resequencer_full);
      } else {
        own.ring[seq & (own.ring.size() - 1)] = kSeen;
        own.highest = std::max(own.highest, seq);
        if (!own.waiting_since.is_set()) wait_from(id, own, now);
        out.push_back({packet, std::move(owner)});
      }
    } else {
      hold(id, lane, seq, packet, std::move(owner), now, drops);
    }
  }
  settle(id, lane, now);
}

void Resequencer::skip_to(Lane& lane, uint64_t seq, Time now) {
  Disorder& d = *lane.disorder;
  // [next, seq) is given up, but may still come.
  for (uint64_t s = lane.next; s < seq; ++s) {
    const bool missing = d.ring.empty() || s - lane.next >= d.ring.size() || d.ring[s & (d.ring.size() - 1)] == 0;
    if (!missing) {
      d.ring[s & (d.ring.size() - 1)] = 0;
      continue;
    }
    if (!d.skipped.empty() && d.skipped.back().last + 1 == s) {
      d.skipped.back().last = s;
    } else {
      if (d.skipped.size() >= kMaxSkippedRanges) d.skipped.erase(d.skipped.begin());
      d.skipped.push_back({s, s});
    }
  }
  d.skipped_at = now;
  lane.next = seq;
  ++gaps_given_up_;
}

void Resequencer::on_gave_up(LaneId id, uint32_t first_seq24, uint16_t count, Time now, Deliveries& out) {
  Lane& lane = lane_at(id);
  const uint64_t first = widen(first_seq24, lane.next);
  const uint64_t end = first + count;
  if (end <= lane.next || first - std::min(first, lane.next) >= kLaneWindow) return;
  Disorder& d = disorder_of(lane);
  if (!grow_ring(d, lane.next, end - lane.next)) return;
  for (uint64_t s = std::max(first, lane.next); s < end; ++s) {
    uint32_t& entry = d.ring[s & (d.ring.size() - 1)];
    if (entry == 0) entry = kSeen;
  }
  d.highest = std::max(d.highest, end - 1);
  release_run(id, lane, out);
  settle(id, lane, now);
}

// The lane is in order again: forget everything but the counter, as soon as nothing given up can still come.
void Resequencer::settle(LaneId id, Lane& lane, Time now) {
  Disorder* d = lane.disorder.get();
  if (!d) return;
  const bool pending = d->highest >= lane.next && !d->ring.empty();
  if (pending) {
    if (!d->waiting_since.is_set()) wait_from(id, *d, now);
    return;
  }
  d->waiting_since = Time{};
  if (!d->skipped.empty() && now - d->skipped_at < kSkippedLife) return;
  d->skipped.clear();
  // A small ring is kept, because disorder comes back and steady state allocates nothing; so is one on the waiting list.
  if (d->ring.size() <= 256 || d->listed) return;
  const size_t bytes = d->ring.size() * sizeof(uint32_t);
  ring_bytes_ -= bytes;
  pool_.refund(bytes);
  lane.disorder.reset();
}

void Resequencer::on_timer(Time now, Deliveries& out) {
  deadline_ = Time::infinite();
  std::vector<uint16_t> lanes;
  lanes.swap(waiting_);
  for (uint16_t value : lanes) {
    const LaneId id{value};
    Lane& lane = lane_at(id);
    Disorder& d = *lane.disorder;
    d.listed = false;
    // Each pass gives up one gap; the next one has its own patience.
    while (d.waiting_since.is_set() && d.waiting_since + wait_ <= now) {
      uint64_t seq = lane.next;
      while (seq <= d.highest && d.ring[seq & (d.ring.size() - 1)] == 0) ++seq;
      skip_to(lane, seq, now);
      release_run(id, lane, out);
      if (d.held == 0) d.waiting_since = Time{};
    }
    if (d.waiting_since.is_set()) {
      wait_from(id, d, d.waiting_since);
    } else {
      settle(id, lane, now);
    }
  }
}

size_t Resequencer::memory_bytes() const {
  size_t lanes = 0;
  for (const auto& b : blocks_) {
    if (!b) continue;
    lanes += sizeof(Block);
    for (const Lane& lane : *b) lanes += lane.disorder ? sizeof(Disorder) + lane.disorder->skipped.capacity() * sizeof(Range) : 0;
  }
  return held_bytes_ + ring_bytes_ + lanes + slots_.capacity() * sizeof(Slot) + waiting_.capacity() * sizeof(uint16_t);
}

}  // namespace hawser
