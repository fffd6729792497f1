// From UDP to TUN, top to bottom: which path and number, open, replay window, frames, resequencer, deliveries.
#include <algorithm>

#include "common/queue/ecn.h"
#include "common/queue/mss.h"
#include "common/session/session.h"

namespace hawser {

SessionPath* Session::path_for_low8(uint8_t low8) {
  for (const auto* list : {&paths_, &leaving_}) {
    for (const auto& p : *list) {
      if ((p->id.value & 0xff) == low8) return p.get();
    }
  }
  return nullptr;
}

// Which path a datagram with unknown low bits would open: ids near the highest one, and never one that was opened before,
// because its replay window is gone and its packet numbers would repeat nonces.
std::optional<PathId> Session::new_path_id(uint8_t low8) const {
  if (context_.role == Role::client) return std::nullopt;  // only the client opens paths
  if (!any_path_seen_) return PathId{low8};
  const uint32_t lowest = highest_path_id_ >= 63 ? highest_path_id_ - 63 : 0;
  uint32_t id = (lowest & ~0xffu) | low8;
  if (id < lowest) id += 256;
  if (was_opened(PathId{id})) return std::nullopt;
  return PathId{id};
}

bool Session::was_opened(PathId id) const {
  if (!any_path_seen_ || id.value > highest_path_id_) return false;
  const uint32_t back = highest_path_id_ - id.value;
  return back >= 64 || (opened_ids_ >> back & 1);
}

bool Session::on_datagram(ReceivedDatagram& d, const wire::DataHeader& header, DropCounters& drops, Time now) {
  SessionKey* key = keys_.find(header.receiver);
  if (!key) {
    drops.count(DropReason::unknown_index);
    return false;
  }
  if (key->expired(now)) {
    drops.count(DropReason::expired_key);
    return false;
  }
  SessionPath* path = path_for_low8(header.path_low8);
  std::optional<PathId> new_id;
  if (!path) {
    new_id = new_path_id(header.path_low8);
    if (!new_id) {
      drops.count(DropReason::bad_path);
      return false;
    }
  }
  const PathId id = path ? path->id : *new_id;
  const PacketNumber pn = wire::widen_packet_number(header.packet_number_low24, path ? path->replay.expected() : PacketNumber{0});
  const auto nonce = make_nonce(key->keys.iv_receive, id, pn);
  const MutableByteSpan sealed = d.bytes.subspan(wire::kDataHeaderSize);

  // Authenticate. Until here nothing has changed, and nothing may.
  if (!nonce || !key->keys.receive->open(sealed, d.bytes.first(wire::kDataHeaderSize), *nonce)) {
    drops.count(DropReason::auth);
    return false;
  }
  // Then check for replay.
  if (path && !path->replay.check(pn)) {
    drops_.count(DropReason::replay);
    return true;
  }
  // Then act.
  if (!path) {
    if (paths_.size() >= kMaxPaths && !drop_lost_path()) {
      drops_.count(DropReason::bad_path);
      return true;
    }
    const uint16_t ceiling = d.from.remote.ip.is_v6() ? kMaxDatagramV6 : kMaxDatagram;
    path = &add_path(id, d.from, ceiling, now);
  }
  const bool newest = pn.value >= path->replay.expected().value;
  if (!path->replay.commit(pn)) return true;
  ++key->received;
  keys_.confirm(header.receiver, [&](SessionIndex gone) { released_indices_.push_back(gone); });  // `key` is dangling now

  path->received_bytes += d.bytes.size();
  ++path->received_packets;
  path->receive_rate.add(d.bytes.size(), now);
  path->last_received = last_received_ = now;
  follow_address(*path, d, newest, now);
  // A path thought lost is heard again: it must answer before it is used.
  if (path->machine.state() == PathState::lost && !path->gone() && path->challenge.next_at == Time::infinite() && !path->challenge.outstanding) {
    path->challenge.next_at = now;
  }

  // A session that was ended acts on nothing any more: it is kept only to say why.
  if (closing_) return true;
  const ByteSpan plaintext = sealed.first(sealed.size() - kAeadTagSize);
  const bool eliciting = on_frames(*path, d, plaintext, pn, now);
  // A frame may have closed the path; look it up again before touching it.
  if (SessionPath* still = find_path_or_leaving(id)) still->acks.on_received(pn, eliciting, d.ecn, still->rtt.smoothed(), now);
  return true;
}

// Returns whether the datagram asks for an acknowledgement.
bool Session::on_frames(SessionPath& p, const ReceivedDatagram& d, ByteSpan plaintext, PacketNumber, Time now) {
  wire::FrameReader reader(plaintext);
  wire::Frame frame;
  const PathId id = p.id;
  bool eliciting = false;
  SessionPath* path = &p;
  while (path) {
    const auto next = reader.next(frame);
    if (next == wire::FrameReader::Next::malformed) drops_.count(DropReason::bad_frame);
    if (next != wire::FrameReader::Next::frame) break;
    eliciting = eliciting || wire::is_ack_eliciting(frame);
    if (auto* data = std::get_if<wire::DataFrame>(&frame)) {
      on_data(*data, d, now);
    } else if (auto* piece = std::get_if<wire::FragmentFrame>(&frame)) {
      on_fragment(*piece, d, now);
    } else if (auto* ack = std::get_if<wire::AckFrame>(&frame)) {
      on_ack(*path, *ack, now);
    } else if (auto* challenge = std::get_if<wire::PathChallengeFrame>(&frame)) {
      if (context_.role == Role::client) path->on_address_moved(now);
      path->response_due = challenge->data;
      path->response_to = d.from;
    } else if (auto* response = std::get_if<wire::PathResponseFrame>(&frame)) {
      on_path_response(*path, *response, d.from, now);
    } else if (auto* observed = std::get_if<wire::ObservedAddressFrame>(&frame)) {
      path->observed = observed->address;
    } else if (auto* status = std::get_if<wire::PathStatusFrame>(&frame)) {
      if (context_.role == Role::server) on_path_status(*status, now);
    } else if (auto* policy = std::get_if<wire::PolicyFrame>(&frame)) {
      if (context_.role == Role::server) on_policy(*policy);
    } else if (auto* done = std::get_if<wire::ControlAckFrame>(&frame)) {
      on_control_ack(*done);
    } else if (auto* path_close = std::get_if<wire::PathCloseFrame>(&frame)) {
      on_path_close(*path_close, now);
    } else if (auto* close_frame = std::get_if<wire::CloseFrame>(&frame)) {
      peer_close_ = close_frame->reason;
    } else if (auto* gave_up = std::get_if<wire::GaveUpFrame>(&frame)) {
      resequencer_.on_gave_up(gave_up->lane, gave_up->first_seq24, gave_up->count, now, context_.deliveries);
    } else if (auto* announce = std::get_if<wire::AnnounceFrame>(&frame)) {
      if (context_.role == Role::client) announced_ = *announce;
    }
    path = find_path_or_leaving(id);
  }
  return eliciting || reader.skipped_unknown();
}

void Session::on_data(const wire::DataFrame& f, const ReceivedDatagram& d, Time now) {
  // The payload is a part of the datagram, which was opened in place and may be written to.
  const auto at = static_cast<size_t>(f.payload.data() - d.bytes.data());
  deliver(f.lane, f.packet_class, f.seq24, d.bytes.subspan(at, f.payload.size()), d.ecn, {}, now);
}

void Session::on_fragment(const wire::FragmentFrame& f, const ReceivedDatagram& d, Time now) {
  uint8_t outer_ecn = d.ecn;
  Packet whole = reassembly_.on_piece(f, outer_ecn, now, drops_);
  if (!whole) return;
  const MutableByteSpan bytes = whole.writable();
  deliver(f.lane, f.packet_class, f.seq24, bytes, outer_ecn, std::move(whole), now);
}

// An inner packet may only claim addresses that the server gave this user (the server's check; WireGuard's "cryptokey
// routing"). The client believes its server.
bool Session::source_is_users(ByteSpan packet) const {
  if (context_.role == Role::client) return true;
  if (packet[0] >> 4 == 4) return IpAddress::v4(packet.subspan(12, 4)) == identity_.inner_v4;
  return IpAddress::v6(packet.subspan(8, 16)) == identity_.inner_v6;
}

void Session::deliver(LaneId lane, PacketClass packet_class, uint32_t seq24, MutableByteSpan packet, uint8_t outer_ecn, Packet owner,
                      Time now) {
  const bool v4 = packet.size() >= 20 && packet[0] >> 4 == 4;
  const bool v6 = packet.size() >= 40 && packet[0] >> 4 == 6;
  if (!v4 && !v6) {
    drops_.count(DropReason::bad_packet);
    return;
  }
  if (!source_is_users(packet)) {
    drops_.count(DropReason::spoofed_source);
    return;
  }
  const uint8_t inner_ecn = ecn::of_packet(packet);
  const auto mark = ecn::decapsulated(inner_ecn, outer_ecn);
  if (!mark) {
    drops_.count(DropReason::ecn_congestion);
    // Its datagram is acknowledged, so no repair will come: nobody needs to wait for it.
    resequencer_.on_gave_up(lane, seq24, 1, now, context_.deliveries);
    return;
  }
  if (*mark != inner_ecn) set_ecn(packet, *mark);
  clamp_mss(packet, tunnel_mtu_.unsplit());
  last_inner_traffic_ = now;
  inner_received_bytes_ += packet.size();
  inner_receive_rate_.add(packet.size(), now);
  resequencer_.on_packet(lane, packet_class, seq24, packet, std::move(owner), now, context_.deliveries, drops_);
}

}  // namespace hawser
