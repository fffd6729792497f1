// From TUN to UDP, top to bottom: queue, which segment, which path, frames, seal, batch. Urgent control first, then
// repairs and data, then acks that found no datagram to ride on.
#include <algorithm>

#include "common/queue/mss.h"
#include "common/queue/too_big.h"
#include "common/session/session.h"

namespace hawser {
namespace {

// Where a packet is cut: always at the same place, so that pieces of different transmissions fit together. Halves are as short
// on a slow link as two pieces can be.
constexpr size_t first_piece(size_t packet) { return (packet + 1) / 2; }

size_t frame_room(const SessionPath& p) { return p.mtu.datagram() - wire::kDataHeaderSize - kAeadTagSize; }

// Frames are written where they will be sealed.
MutableByteSpan frame_space(TransmitBatch& batch, size_t room) {
  return batch.room(wire::kDataHeaderSize + room + kAeadTagSize).subspan(wire::kDataHeaderSize, room);
}

uint32_t low24(LaneSeq s) { return static_cast<uint32_t>(s.value & 0xffffff); }

wire::DataFrame data_frame(const Segment& s) { return {s.lane, s.packet_class, low24(s.seq), s.packet.bytes()}; }

}  // namespace

void Session::on_packet(Packet packet, const PacketHeaders& headers, Time now) {
  if (packet.size() > tunnel_mtu_.mtu()) {
    tell_too_big(packet.bytes(), now);
    // What was agreed on is carried all the same, if in two pieces: many senders never hear what they are told.
    if (packet.size() > tunnel_mtu_.offered()) {
      drops_.count(DropReason::too_big);
      return;
    }
  }
  clamp_mss(packet.writable(), tunnel_mtu_.unsplit());
  last_inner_traffic_ = now;
  ingress_.enqueue(std::move(packet), headers, now, drops_);
  // What is in flight keeps its buffers too: a peer that acknowledges late could have a window of tiny packets pin them all.
  while (!ingress_.empty() && ingress_.packets() + segments_held_ > buffer_share()) ingress_.make_room(drops_);
}

// The message comes from the far end of the tunnel, as from the router it would be: one of this machine's own addresses as
// its source would be dropped on arrival.
void Session::tell_too_big(ByteSpan packet, Time now) {
  constexpr Duration kEach = Duration::seconds(1) / kTooBigPerSecond;
  too_big_spent_until_ = std::max(too_big_spent_until_, now);
  if (too_big_spent_until_ - now > kEach * (kTooBigBurst - 1)) return;
  const bool v4 = packet[0] >> 4 == 4, user = context_.role == Role::server;
  const IpAddress& from = v4 ? (user ? identity_.inner_v4 : identity_.server_v4) : (user ? identity_.inner_v6 : identity_.server_v6);
  Packet message = too_big_message(packet, from, tunnel_mtu_.mtu(), context_.pool);
  if (!message) return;
  too_big_spent_until_ = too_big_spent_until_ + kEach;
  const ByteSpan bytes = message.bytes();
  context_.deliveries.push_back({bytes, std::move(message)});
}

bool Session::poll_transmit(TransmitBatch& batch, Time now) {
  batch.clear();
  if (!keys_.current() || keys_.current()->expired(now)) return false;
  return transmit_control(batch, now) || transmit_data(batch, now) || transmit_acks(batch, now);
}

// ---- data --------------------------------------------------------------------------------------------------------

bool Session::transmit_data(TransmitBatch& batch, Time now) {
  if (closing_) return false;
  if (transmit_copies(batch, now) || transmit_second_half(batch, now)) return true;
  ingress_.begin_round();
  SessionPath* path = nullptr;
  size_t budget = 0;
  while (auto choice = choose(now)) {
    if (!path) {
      path = choice->path;
      // A burst of about a millisecond of the path, at least one datagram: the scheduler is asked again after it.
      budget = std::max<size_t>(path->mtu.datagram(), static_cast<size_t>(path->pacing_rate().bytes_in(kBurst)));
    }
    if (choice->path != path) break;  // another socket: another batch
    if (!append_segment_datagram(batch, *path, now, choice->reinjection)) break;
    const bool short_tail = batch.count > 1 && batch.size() % batch.segment_size != 0;
    if (short_tail || batch.size() >= budget || batch.count >= TransmitBatch::kMaxSegments) break;
    if (batch.size() + path->mtu.datagram() > TransmitBatch::kMaxBytes) break;
  }
  return batch.count > 0 || (repair_early(now) && transmit_copies(batch, now));
}

// What to send next and on which path: repairs before new packets. Nothing when all must wait.
std::optional<Session::Choice> Session::choose(Time now) {
  const Segment* repair = next_reinjection(now);
  if (repair) {
    if (SessionPath* p = pick_path({repair->packet_class, true, repair->packet.size()}, now)) return Choice{p, true};
  }
  IngressHead head;
  while (ingress_.head(head, now, drops_)) {
    // Repairs keep their place before new packets, but for those that need not wait for room. That wait is no queue's.
    if (repair && !may_go_early({head.packet_class, head.sparse, head.bytes})) {
      ingress_.skip(true, now);
      continue;
    }
    if (SessionPath* p = pick_path({head.packet_class, head.sparse, head.bytes}, now)) return Choice{p, false};
    // While no path works the wait is no queue's either.
    ingress_.skip(views_.empty() || scheduler_->waits_on_purpose(), now);
  }
  return std::nullopt;
}

SessionPath* Session::pick_path(SchedulerRequest request, Time now) {
  request.backlog = ingress_.bytes();
  request.repairs = segments_repaired_;
  request.now = now;
  views_.clear();
  bool comparable = true;  // one-way delays are, only when all paths have samples of them
  for (size_t i = 0; i < paths_.size(); ++i) {
    SessionPath& p = *paths_[i];
    if (!p.works()) continue;
    comparable = comparable && (p.machine.is_spare() || p.one_way_delay.has_sample());
    PathView& v = views_.emplace_back();
    v.index = i;
    v.id = p.id;
    v.tier = tier(p);
    const bool may = p.address.may_send(request.bytes + wire::kFullDatagramOverhead);
    v.has_room = may && p.has_room(now) && !p.owes();
    v.has_urgent_room = may && p.has_urgent_room() && !p.has_copies();
    v.one_way_delay = p.one_way_delay.has_sample() ? p.one_way_delay.min() : p.rtt.min() / 2;
    v.queued = request.packet_class.traffic == TrafficClass::bulk ? p.queued() : p.queue_met();
    v.room_in = p.pacer.may_send(now) ? p.rtt.smoothed() / 4 : p.pacer.next_send() - now;
    v.smoothed_rtt = p.rtt.smoothed();
    v.rtt_variance = p.rtt.variance();
    v.window = p.controller->congestion_window();
    v.datagram = p.mtu.datagram();
    v.rate = p.pacing_rate();
    v.measured = p.measured_rate();
    v.loss = p.loss.ratio(now);
    v.bytes_in_flight = p.sent.bytes_in_flight();
    v.full = p.is_full(now);
  }
  if (views_.empty()) return nullptr;
  if (!comparable) {
    for (PathView& v : views_) v.one_way_delay = paths_[v.index]->rtt.min() / 2;
  }
  const auto index = scheduler_->pick(request, views_);
  return index ? paths_[*index].get() : nullptr;
}

// The next segment that needs repair; settles those that arrived meanwhile or are past their time.
const Segment* Session::next_reinjection(Time now) {
  while (!repairs_.empty()) {
    const Segment& next = *repairs_.front();
    const bool too_late = now - next.first_sent > next.repaired_for();
    if (!next.delivered && !too_late) return &next;
    const SegmentRef s = repairs_.pop();
    s->waiting = false;
    if (!s->delivered && s->copies_in_flight == 0) give_up(*s);
  }
  return nullptr;
}

SegmentRef Session::take_from_ingress(Time now) {
  IngressHead head;
  if (!ingress_.head(head, now, drops_)) return {};
  SegmentRef s = context_.segments.make(&segments_held_);
  s->packet = ingress_.pop(now);
  s->lane = head.lane;
  s->packet_class = head.packet_class;
  s->ecn = head.ecn;
  s->copy_when_lossy = head.copy_when_lossy;
  s->first_sent = now;
  auto& block = lane_next_[head.lane.value / 64];
  if (!block) block = std::make_unique<std::array<uint64_t, 64>>();
  s->seq = LaneSeq{(*block)[head.lane.value % 64]++};
  inner_sent_bytes_ += s->packet.size();
  inner_send_rate_.add(s->packet.size(), now);
  ++segments_sent_;
  return s;
}

size_t Session::next_size(bool reinjection, Time now) {
  if (reinjection) return repairs_.front()->packet.size();
  IngressHead head;
  return ingress_.head(head, now, drops_) ? head.bytes : 0;
}

// Builds one datagram on `p`: one segment, or several small ones that wait anyway. False when the batch must end first.
bool Session::append_segment_datagram(TransmitBatch& batch, SessionPath& p, Time now, bool reinjection) {
  if (!start_or_join(batch, p.address.tuple)) return false;
  std::array<SegmentRef, kFramesPerDatagram> chosen;
  size_t count = 0;
  size_t used = wire::kDataFrameHeader;
  const size_t overhead = wire::kDataHeaderSize + kAeadTagSize;
  // Nothing longer than the batch's first datagram may follow it.
  const size_t room = batch.count ? std::min<size_t>(frame_room(p), batch.segment_size - overhead) : frame_room(p);
  if (batch.count && used + next_size(reinjection, now) > room) return false;
  if (reinjection) {
    chosen[count] = repairs_.pop();
    chosen[count]->waiting = false;
    ++p.reinjected_packets;
    ++segments_repaired_;
  } else {
    chosen[count] = take_from_ingress(now);
    if (!chosen[count]) return false;
  }
  used += chosen[count++]->packet.size();
  if (chosen[0]->packet_class.traffic != TrafficClass::bulk) p.call_until = now + kCallLasts;
  const bool fits = used <= room;
  if (!fits || is_halved(*chosen[0], p, now)) {
    const size_t before = batch.size();
    if (fits) hold_second_half(p, chosen[0]);
    const bool begun = append_piece(batch, p, chosen[0], 1, now);
    if (begun && !fits) append_piece(batch, p, chosen[0], 2, now);
    if (!begun && fits) drop_second_half(p);
    earn_copies(batch.size() - before);
    if (!reinjection) {
      copy_everywhere(chosen[0], p);
      copy_to_measure(chosen[0], p, now);
    }
    scheduler_->on_sent(p.id, used);
    return begun;
  }
  // Small packets that wait anyway share the datagram, as long as the scheduler would send them here.
  const PathId id = p.id;
  IngressHead head;
  while (!reinjection && count < kFramesPerDatagram && used + wire::kSizedDataFrameHeader <= room && ingress_.head(head, now, drops_) &&
         used + wire::kSizedDataFrameHeader + head.bytes <= room) {
    SessionPath* next = pick_path({head.packet_class, head.sparse, head.bytes}, now);
    if (!next || next->id != id) break;
    chosen[count] = take_from_ingress(now);
    if (!chosen[count]) break;
    if (chosen[count]->packet_class.traffic != TrafficClass::bulk) p.call_until = now + kCallLasts;
    used += wire::kSizedDataFrameHeader + chosen[count++]->packet.size();
  }
  wire::FrameWriter w(frame_space(batch, room));
  // An ack rides along when there is room beside the data, which costs no datagram of its own.
  if (p.acks.has_news() && room - used >= p.acks.frame_bytes()) write_acks(w, p, now, false);
  for (size_t i = 0; i + 1 < count; ++i) w.data_sized(data_frame(*chosen[i]));
  w.data(data_frame(*chosen[count - 1]));
  SentPacket* sent = seal_into(batch, p, p.address.tuple, w.written(), true, now);
  if (!sent) {
    for (size_t i = 0; i < count; ++i) lost_.push_back(std::move(chosen[i]));
    reinject(lost_);  // they have their numbers already: another datagram takes them
    return false;
  }
  for (size_t i = 0; i < count; ++i) note_segment(*sent, chosen[i], now);
  earn_copies(sent->size);
  for (size_t i = 0; i < count && !reinjection; ++i) {
    copy_everywhere(chosen[i], p);
    copy_urgent(chosen[i], p, now);
  }
  if (count == 1 && !reinjection) copy_to_measure(chosen[0], p, now);
  scheduler_->on_sent(p.id, sent->size);
  return true;
}

// One packet of the path's queue of copies. False when the batch must end first.
bool Session::append_copy(TransmitBatch& batch, SessionPath& p, Time now) {
  if (!start_or_join(batch, p.address.tuple)) return false;
  const size_t overhead = wire::kDataHeaderSize + kAeadTagSize;
  const size_t room = batch.count ? std::min<size_t>(frame_room(p), batch.segment_size - overhead) : frame_room(p);
  const size_t needed = wire::kDataFrameHeader + p.copies[p.copies_head]->packet.size();
  if (batch.count && needed > room) return false;
  const SegmentRef s = drop_copy(p);
  if (needed > room) {
    if (append_piece(batch, p, s, 1, now)) append_piece(batch, p, s, 2, now);
    return true;
  }
  wire::FrameWriter w(frame_space(batch, room));
  w.data(data_frame(*s));
  SentPacket* sent = seal_into(batch, p, p.address.tuple, w.written(), true, now);
  if (!sent) {
    orphan(s);
    return false;
  }
  // That a second path carries little is no measure of it, unless others fill it.
  if (s->copy_when_lossy && !p.is_full(now)) sent->app_limited = true;
  ++p.copied_packets;
  p.copied_bytes += sent->size;
  note_segment(*sent, s, now);
  return true;
}

// One piece of a packet that is too large for this path, or for a call's packet to stand behind.
// Without it the packet is repaired whole.
bool Session::append_piece(TransmitBatch& batch, SessionPath& p, const SegmentRef& segment, uint8_t piece, Time now) {
  const ByteSpan bytes = segment->packet.bytes();
  const size_t cut = first_piece(bytes.size());
  const bool last = piece == 2;
  wire::FrameWriter w(frame_space(batch, frame_room(p)));
  w.write(wire::FragmentFrame{segment->lane, segment->packet_class, low24(segment->seq), static_cast<uint16_t>(last ? cut : 0), last,
                              last ? bytes.subspan(cut) : bytes.first(cut)});
  if (SentPacket* sent = seal_into(batch, p, p.address.tuple, w.written(), true, now)) {
    sent->piece = piece;
    note_segment(*sent, segment, now);
    sent->transmission = segment->transmissions;
    return true;
  }
  lost_.push_back(segment);
  reinject(lost_);
  return false;
}

void Session::note_segment(SentPacket& sent, const SegmentRef& segment, Time) {
  ++segment->copies_in_flight;
  if (sent.piece != 2) ++segment->transmissions;
  sent.segments[sent.segment_count++] = segment;
}

// ---- acks --------------------------------------------------------------------------------------------------------

// Acks for path p travel on p; every now and then on the best other path too, so that a path that works in one direction
// only is told apart from a dead one.
void Session::write_acks(wire::FrameWriter& w, SessionPath& p, Time now, bool with_cross) {
  if (p.acks.has_any() && w.write(p.acks.frame(p.id, now))) p.acks.mark_sent(now);
  if (!with_cross) return;
  for (const auto* list : {&paths_, &leaving_}) {
    for (auto& other : *list) {
      if (!owes_cross_ack(*other, p, now)) continue;
      if (w.write(other->acks.cross_frame(other->id, now))) {
        other->acks.mark_cross_sent();
        other->cross_ack_at = now;
      }
    }
  }
}

bool Session::owes_cross_ack(const SessionPath& of, const SessionPath& by, Time now) const {
  return cross_ack_at(of) <= now && cross_ack_path(of) == &by;
}

bool Session::transmit_acks(TransmitBatch& batch, Time now) {
  for (auto& p : paths_) {
    const auto owed = [&](const auto& other) { return owes_cross_ack(*other, *p, now); };
    const bool cross = std::any_of(paths_.begin(), paths_.end(), owed) || std::any_of(leaving_.begin(), leaving_.end(), owed);
    if (!(p->acks.is_due(now) || cross) || !p->writable()) continue;
    wire::FrameWriter w(frame_space(batch, frame_room(*p)));
    write_acks(w, *p, now, true);
    if (w.size() == 0 || !p->address.may_send(w.size() + wire::kDataHeaderSize + kAeadTagSize)) {
      p->acks.postpone();
      continue;
    }
    if (seal_frames(batch, *p, p->address.tuple, w, false, now)) return true;
  }
  return false;
}

// One that stands by is to cost nothing, unless it has to take over.
const SessionPath* Session::cross_ack_path(const SessionPath& of) const {
  const SessionPath* best = nullptr;
  const auto rank = [](const SessionPath& p) { return std::pair(!p.carries_data(), p.rtt.smoothed()); };
  for (const auto& p : paths_) {
    const bool may = p->carries_data() || (p->works() && !of.works());
    if (p.get() == &of || !may || !p->writable()) continue;
    if (!best || rank(*p) < rank(*best)) best = p.get();
  }
  return best;
}

// ---- sealing -----------------------------------------------------------------------------------------------------

// A batch has one socket, one destination and one segment size; a shorter datagram ends it.
bool Session::start_or_join(TransmitBatch& batch, const UdpTuple& to) {
  if (batch.count == 0) {
    batch.to = to;
    return true;
  }
  return batch.to == to && batch.size() == batch.count * batch.segment_size;
}

PathAddress* Session::address_of(SessionPath& p, const UdpTuple& to) const {
  // The client chose the server's address itself; its own may change behind a translator without its knowing.
  if (context_.role == Role::client || to == p.address.tuple) return &p.address;
  return p.previous_address && to == p.previous_address->tuple ? &*p.previous_address : nullptr;
}

// Numbers, seals and appends one datagram. The record of it is valid until the next datagram of this path; nothing when
// the key is worn out or the batch cannot take it.
SentPacket* Session::seal_into(TransmitBatch& batch, SessionPath& p, const UdpTuple& to, ByteSpan plaintext, bool eliciting, Time now) {
  SessionKey& key = *keys_.current();
  const PacketNumber pn = p.sent.next();
  const auto nonce = make_nonce(key.keys.iv_send, p.id, pn);
  const size_t size = wire::kDataHeaderSize + plaintext.size() + kAeadTagSize;
  if (batch.count == 0) batch.to = to;
  // The one place that holds the limit: towards an address that is not proved, three times what came from there.
  PathAddress* address = address_of(p, to);
  if (!nonce || !address || !address->may_send(size)) return nullptr;
  const MutableByteSpan out = batch.room(size);
  wire::write_data_header({key.remote, static_cast<uint8_t>(p.id.value), static_cast<uint32_t>(pn.value & 0xffffff)}, out);
  const ByteSpan header = out.first(wire::kDataHeaderSize);
  if (!key.keys.send->seal(out.subspan(wire::kDataHeaderSize), plaintext, header, *nonce)) return nullptr;
  batch.add(size);
  ++key.sent;
  // Not enough to send, although the window would allow more: what is measured then is no limit of the path.
  const bool app_limited = ingress_.empty() && repairs_.empty() && !p.owes() && p.window_room() >= size;
  if (eliciting) {
    p.controller->on_sent(now, p.sent.bytes_in_flight(), static_cast<uint16_t>(size));
    p.pacer.on_sent(now, size, p.pacing_rate());
    p.note_busy(size, now);
    if (!p.unanswered_since.is_set()) p.unanswered_since = now;
  }
  address->sent_bytes += size;
  p.sent_bytes += size;
  p.send_rate.add(size, now);
  p.note_sent(now);
  return &p.sent.on_sent(now, static_cast<uint16_t>(size), eliciting, app_limited);
}

bool Session::seal_frames(TransmitBatch& batch, SessionPath& p, const UdpTuple& to, const wire::FrameWriter& w, bool eliciting,
                          Time now) {
  return seal_into(batch, p, to, w.written(), eliciting, now) != nullptr;
}

}  // namespace hawser
