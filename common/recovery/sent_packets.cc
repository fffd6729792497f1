// Settling of sent datagrams. Order of work for an ack: validate, settle each newly acknowledged one, take the RTT and
// rate samples from the newest, then let RACK judge the older ones.
#include "common/recovery/sent_packets.h"

#include <algorithm>
#include <cmath>

namespace hawser {
namespace {

// What comes late widens the window, each loss narrows it a little: most of what is declared lost is so, and little of what is
// waited for is.
constexpr double kLatenessGrows = 1.0 / 4, kLatenessFades = 1.0 / 256;
constexpr Duration kLatenessHalfLife = Duration::seconds(20);  // where hardly anything is lost

}  // namespace

void SentPackets::grow() {
  std::vector<SentPacket> bigger(ring_.empty() ? 64 : ring_.size() * 2);
  for (size_t i = 0; i < ring_size_; ++i) bigger[i] = std::move(ring_[(head_ + i) & (ring_.size() - 1)]);
  ring_ = std::move(bigger);
  head_ = 0;
  history_begin_ = base_;
}

Time SentPackets::sent_time(uint64_t pn) const {
  const uint64_t next = base_ + ring_size_;
  if (pn < history_begin_ || pn >= next || next - pn > ring_.size()) return {};
  return at(pn).sent_at;
}

// An ack by another path is often faster and settles first; the ack on the path itself still measures the round trip.
void SentPackets::take_rtt(const wire::AckFrame& ack, AckResult& r, RttEstimator& rtt, Time now) {
  const uint64_t largest = ack.ranges[0].last.value;
  const Time sent_at = sent_time(largest);
  if (largest < next_rtt_pn_ || !sent_at.is_set() || !at(largest).ack_eliciting) return;
  next_rtt_pn_ = largest + 1;
  r.has_rtt = true;
  r.rtt = now - sent_at;
  r.ack_delay = ack.ack_delay;
  rtt.on_sample(r.rtt, ack.ack_delay, now);
}

void SentPackets::trim_front() {
  while (ring_size_ > 0 && at(base_).settled) {
    head_ = (head_ + 1) & (ring_.size() - 1);
    ++base_;
    --ring_size_;
  }
}

SentPacket& SentPackets::on_sent(Time now, uint16_t size, bool ack_eliciting, bool app_limited) {
  trim_front();  // ack-only datagrams get no ack that would do it
  // Nor may a peer that acknowledges nothing make us remember for ever: neither the answers to what it asks while a ping or a
  // challenge of ours is outstanding, nor the packets of what was given up. Unanswered data makes a path suspect before that.
  while (ring_size_ >= kMaxAnswered && eliciting_in_flight_ * 4 < ring_size_ && at(base_).segment_count == 0) {
    retire(base_, at(base_), Time{});
    trim_front();
  }
  if (!lost_.empty() && now - lost_.front().sent_at > kLostMemory) {
    std::erase_if(lost_, [&](const LostPacket& p) { return now - p.sent_at > kLostMemory; });
  }
  if (ring_size_ == ring_.size()) grow();
  if (bytes_in_flight_ == 0) {
    // A new flight: the sample must not span the idle time before it.
    first_sent_at_ = now;
    delivered_at_ = now;
    delivered_peer_at_ = Time{};
    // What follows a want of data is measured by how much there is until the first answer, not by the path.
    if (ran_dry_) limited_until_ = delivered_ + 1;
  }
  if (ack_eliciting) {
    ran_dry_ = app_limited;
    app_limited = app_limited || delivered_ < limited_until_;
  }
  ++ring_size_;
  SentPacket& p = at(base_ + ring_size_ - 1);
  static_cast<SentDatagram&>(p) = {};  // it has let go of its segments when it was settled
  p.sent_at = now;
  p.size = size;
  p.ack_eliciting = ack_eliciting;
  p.app_limited = app_limited;
  p.settled = !ack_eliciting;
  p.delivered = delivered_;
  p.delivered_at = delivered_at_;
  p.delivered_peer_at = delivered_peer_at_;
  p.first_sent_at = first_sent_at_;
  p.lost_bytes = lost_bytes_;
  if (ack_eliciting) {
    bytes_in_flight_ += size;
    ++eliciting_in_flight_;
    last_eliciting_sent_ = now;
  }
  return p;
}

void SentPackets::mark_delivered(Segment& s, uint8_t piece) {
  // Pieces of different transmissions fit together: a packet is always cut at the same place.
  s.pieces_delivered = static_cast<uint8_t>(s.pieces_delivered | piece);
  if (piece != 0 && s.pieces_delivered != 3) return;
  s.delivered = true;
  s.let_go();
}

void SentPackets::settle_acked(SentPacket& p, AckResult& r, Time now) {
  bytes_in_flight_ -= p.size;
  --eliciting_in_flight_;
  for (size_t i = 0; i < p.segment_count; ++i) {
    Segment& s = *p.segments[i];
    mark_delivered(s, p.piece);
    if (s.copies_in_flight > 0) --s.copies_in_flight;
    p.segments[i].reset();
  }
  p.segment_count = 0;
  p.settled = true;
  r.acked_bytes += p.size;
  ++r.acked_packets;
  if (!p.mtu_probe && p.size > kBaseDatagram) ++r.full_size_acked;
  if (p.mtu_probe) r.mtu_probe_acked = std::max(r.mtu_probe_acked, p.size);
  delivered_ += p.size;
  delivered_at_ = now;
}

Duration SentPackets::lateness(Time now) const {
  if (lateness_.ns == 0) return {};
  return lateness_ * std::exp2(-(now - lateness_at_).to_seconds() / kLatenessHalfLife.to_seconds());
}

void SentPackets::widen(Duration late, Time now) {
  const Duration before = lateness(now);
  late = std::min(late, kMostReordering);
  if (late <= before) return;
  lateness_ = before + (late - before) * kLatenessGrows;
  lateness_at_ = now;
}

void SentPackets::settle_late(const wire::AckFrame& ack, AckResult& r, Time now) {
  std::erase_if(lost_, [&](LostPacket& p) {
    const bool arrived =
        std::any_of(ack.ranges.begin(), ack.ranges.begin() + static_cast<ptrdiff_t>(ack.range_count),
                    [&](const wire::AckRange& a) { return a.first.value <= p.pn && p.pn <= a.last.value; });
    if (!arrived) return false;
    for (size_t i = 0; i < p.segment_count; ++i) mark_delivered(*p.segments[i], p.piece);
    r.acked_bytes += p.size;
    delivered_ += p.size;
    if (!p.overdue_at.is_set()) return true;  // given up, not judged
    // Declared lost, yet it arrived: the window for reordering was too small.
    r.spurious_loss = true;
    r.spurious_bytes += p.size;
    ++r.spurious_packets;
    widen(now - p.overdue_at, now);
    lost_bytes_ -= std::min<uint64_t>(lost_bytes_, p.size);
    lost_packets_ -= std::min<uint64_t>(lost_packets_, 1);
    return true;
  });
}

// Rate sample: the slower of how fast it was sent and how fast it arrived. The peer's clock says the latter best: acks
// may wait in the other direction's queue, or take another path. A peer that lies about it speeds up its own traffic
// only.
void SentPackets::take_rate(const wire::AckFrame& ack, const SentDatagram& newest, AckResult& r, Time now) {
  const uint64_t largest = ack.ranges[0].last.value;
  delivered_peer_at_ = largest > largest_reported_ ? ack.largest_received_at : Time{};
  largest_reported_ = std::max(largest_reported_, largest);
  const Duration send_elapsed = newest.sent_at - newest.first_sent_at;
  const bool by_peer = delivered_peer_at_.is_set() && newest.delivered_peer_at.is_set();
  const Duration ack_elapsed = by_peer ? delivered_peer_at_ - newest.delivered_peer_at : now - newest.delivered_at;
  const Duration interval = std::max(send_elapsed, ack_elapsed);
  first_sent_at_ = newest.sent_at;
  if (interval.ns > 0) {
    r.sample_interval = interval;
    r.sample_delivered = delivered_ - newest.delivered;
    r.delivery_rate = BitRate::from_bytes_over(static_cast<double>(r.sample_delivered), interval);
    r.sample_app_limited = newest.app_limited;
    r.sample_prior_delivered = newest.delivered;
  }
}

AckResult SentPackets::on_ack(const wire::AckFrame& ack, bool own_path, RttEstimator& rtt, OneWayDelay& owd, Time now,
                              LostSegments& lost) {
  AckResult r;
  r.own_path = own_path;
  // A peer that acknowledges what was never sent is broken or hostile: its frame moves nothing.
  if (ack.range_count == 0 || ack.ranges[0].last.value >= base_ + ring_size_) return r;
  r.valid = true;

  const SentDatagram* newest = nullptr;  // stays until trim()
  uint64_t newest_pn = 0;
  if (!lost_.empty()) settle_late(ack, r, now);
  reordering_seen_ = reordering_seen_ || r.spurious_loss;
  for (size_t i = ack.range_count; i-- > 0;) {
    const uint64_t last = ack.ranges[i].last.value;
    for (uint64_t pn = std::max(ack.ranges[i].first.value, base_); pn <= last; ++pn) {
      SentPacket& p = at(pn);
      if (p.settled) continue;
      if (pn < largest_acked_) r.overdue += std::clamp(now - p.sent_at - rtt.smoothed(), Duration{}, kMostReordering);
      settle_acked(p, r, now);
      if (!newest || p.sent_at >= newest->sent_at) {
        newest = &p;
        newest_pn = pn;
      }
    }
  }
  if (ack.ecn.ce > last_ce_) {
    r.newly_ce = ack.ecn.ce - last_ce_;
    last_ce_ = ack.ecn.ce;
  }
  if (own_path) take_rtt(ack, r, rtt, now);
  if (!newest) return r;

  r.newest_acked_sent_at = newest->sent_at;
  const Duration sample = now - newest->sent_at;
  if (newest_pn == ack.ranges[0].last.value) {
    r.largest_newly_acked = true;
    r.largest_sent_at = newest->sent_at;
    r.largest_received_at = ack.largest_received_at;
    // The one-way delay is measured by the receiver's clock: good whichever way the ack took.
    owd.on_sample(newest->sent_at, ack.largest_received_at, now);
  }
  if (newest->sent_at >= rack_sent_at_) {
    rack_sent_at_ = newest->sent_at;
    rack_rtt_ = sample;
  }
  largest_acked_ = std::max(largest_acked_, newest_pn);
  any_acked_ = true;

  take_rate(ack, *newest, r, now);
  detect_losses(rtt, now, r, lost);
  r.sample_lost = lost_bytes_ > newest->lost_bytes ? lost_bytes_ - newest->lost_bytes : 0;
  trim(now, rtt);
  return r;
}

AckResult SentPackets::on_loss_timer(const RttEstimator& rtt, Time now, LostSegments& lost) {
  AckResult r;
  r.valid = true;
  detect_losses(rtt, now, r, lost);
  trim(now, rtt);
  return r;
}

void SentPackets::retire(uint64_t pn, SentPacket& p, Time overdue_at) {
  bytes_in_flight_ -= p.size;
  --eliciting_in_flight_;
  LostPacket late{pn, p.sent_at, overdue_at, p.size, p.piece, p.segment_count, {}};
  for (size_t i = 0; i < p.segment_count; ++i) {
    Segment& s = *p.segments[i];
    if (s.copies_in_flight > 0) --s.copies_in_flight;
    late.segments[i] = std::move(p.segments[i]);
    p.segments[i].reset();
  }
  p.segment_count = 0;
  p.settled = true;
  lost_.push_back(std::move(late));
}

void SentPackets::declare_lost(uint64_t pn, SentPacket& p, Time overdue_at, AckResult& r, LostSegments& lost) {
  for (size_t i = 0; i < p.segment_count; ++i) {
    // Whose other piece was lost first has been sent again by now, or will be.
    if (p.piece != 0 && p.transmission != p.segments[i]->transmissions) continue;
    lost.push_back(p.segments[i]);
  }
  if (!p.mtu_probe) {
    lost_bytes_ += p.size;
    ++lost_packets_;
    r.lost_bytes += p.size;
    r.newest_lost_sent_at = std::max(r.newest_lost_sent_at, p.sent_at);
    ++r.lost_packets;
    if (p.size > kBaseDatagram) ++r.full_size_lost;
  }
  lateness_ = lateness_ * (1 - kLatenessFades);
  retire(pn, p, p.mtu_probe ? Time{} : overdue_at);
}

void SentPackets::detect_losses(const RttEstimator& rtt, Time now, AckResult& r, LostSegments& lost) {
  loss_time_ = Time::infinite();
  if (!any_acked_) return;
  // RFC 8985, 6.2: a packet is lost when one sent a reordering window later has been delivered.
  const Duration base = std::max(rtt.smoothed(), rack_rtt_);
  // Not by quarters of the least round trip, which never reach a jitter that is longer: what came late says how much is needed.
  const Duration window = std::max(rtt.min() / 4, lateness(now) + kGranularity);
  for (uint64_t pn = base_; pn < largest_acked_; ++pn) {
    SentPacket& p = at(pn);
    if (p.settled) continue;
    if (p.sent_at > rack_sent_at_) break;
    const bool overtaken = !reordering_seen_ && largest_acked_ - pn >= 3;  // RFC 9002, kPacketThreshold
    const Time deadline = p.sent_at + base + window;
    if (!overtaken && deadline > now) {
      loss_time_ = deadline;
      break;  // later ones were sent later
    }
    declare_lost(pn, p, p.sent_at + base, r, lost);
  }
}

void SentPackets::trim(Time now, const RttEstimator& rtt) {
  trim_front();
  const Duration keep = rtt.smoothed() * 3 + Duration::millis(200);
  std::erase_if(lost_, [&](const LostPacket& p) { return now - p.sent_at > keep; });
}

void SentPackets::collect_unacked(LostSegments& out) const {
  for (uint64_t pn = base_; pn < base_ + ring_size_; ++pn) {
    const SentPacket& p = at(pn);
    for (size_t i = 0; !p.settled && i < p.segment_count; ++i) out.push_back(p.segments[i]);
  }
}

void SentPackets::collect_sent_once(Time then, Time now, size_t most, LostSegments& out) const {
  for (uint64_t pn = base_; pn < base_ + ring_size_ && out.size() < most; ++pn) {
    const SentPacket& p = at(pn);
    if (p.sent_at > then) break;
    for (size_t i = 0; !p.settled && i < p.segment_count && out.size() < most; ++i) {
      const SegmentRef& s = p.segments[i];
      const bool other_half = p.piece != 0 && std::any_of(out.begin(), out.end(), [&](const SegmentRef& o) { return &*o == &*s; });
      if (s->sent_once(now) && !other_half) out.push_back(s);
    }
  }
}

Time SentPackets::oldest_sent_once(Time now) const {
  for (uint64_t pn = base_; pn < base_ + ring_size_; ++pn) {
    const SentPacket& p = at(pn);
    for (size_t i = 0; !p.settled && i < p.segment_count; ++i) {
      if (p.segments[i]->sent_once(now)) return p.sent_at;
    }
  }
  return {};
}

void SentPackets::abandon_in_flight() {
  for (uint64_t pn = base_; pn < base_ + ring_size_; ++pn) {
    SentPacket& p = at(pn);
    if (!p.settled) retire(pn, p, Time{});
  }
  loss_time_ = Time::infinite();
}

size_t SentPackets::memory_bytes() const {
  size_t packets = 0;
  for (uint64_t pn = base_; pn < base_ + ring_size_; ++pn) packets += at(pn).segment_count;
  for (const LostPacket& p : lost_) packets += p.segment_count;
  return ring_.capacity() * sizeof(SentPacket) + lost_.capacity() * sizeof(LostPacket) + packets * kPacketBuffer;
}

Time SentPackets::oldest_unacked() const {
  for (uint64_t pn = base_; pn < base_ + ring_size_; ++pn) {
    if (!at(pn).settled) return at(pn).sent_at;
  }
  return {};
}

}  // namespace hawser
