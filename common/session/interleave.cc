// Bulk on a slow link while a call goes on: 1400 bytes are 6 ms of 2 Mbit/s, for which whatever comes next has to wait, and
// again on the way back. So they go in two halves, a pacer's step apart, between which the call's packets find their place
// (fragmentation and interleaving, as PPP has it on slow links: RFC 2686, section 1).
#include "common/session/session.h"

namespace hawser {
namespace {

constexpr Duration kLongOnWire = Duration::millis(4);

}  // namespace

// Whether a call goes by this path, and a datagram of bulk takes long on it.
bool Session::delays_call(const SessionPath& p, Time now) const {
  const BitRate capacity = p.known_capacity();
  return now < p.call_until && capacity.bps > 0 && capacity.time_for(p.mtu.datagram()) > kLongOnWire;
}

void Session::hold_second_half(SessionPath& p, const SegmentRef& segment) {
  ++segment->copies_pending;
  p.second_half = segment;
}

void Session::drop_second_half(SessionPath& p) {
  if (!p.second_half) return;
  SegmentRef segment = std::move(p.second_half);
  --segment->copies_pending;
  orphan(std::move(segment));
}

bool Session::transmit_second_half(TransmitBatch& batch, Time now) {
  for (auto& owned : paths_) {
    SessionPath& p = *owned;
    if (!p.second_half) continue;
    // The first half was lost: both will be sent again, elsewhere perhaps.
    const Segment& s = *p.second_half;
    if (s.delivered || (s.copies_in_flight == 0 && s.pieces_delivered == 0)) {
      drop_second_half(p);
      continue;
    }
    if (!p.has_room(now) || !p.address.may_send(p.mtu.datagram())) continue;
    const SegmentRef segment = std::move(p.second_half);
    --segment->copies_pending;
    append_piece(batch, p, segment, 2, now);
    if (batch.count > 0) return true;
  }
  return false;
}

}  // namespace hawser
