// Bulk on a slow link while a call goes on: 1400 bytes are 6 ms of 2 Mbit/s, for which whatever comes next has to wait, and
// again on the way back. So they go in two halves, a pacer's step apart, between which the call's packets find their place
// (fragmentation and interleaving, as PPP has it on slow links: RFC 2686, section 1).
#include "common/session/session.h"

namespace hawser {
namespace {

constexpr Duration kLongOnWire = Duration::millis(5), kNoLongerLong = Duration::millis(4);
constexpr size_t kWorthHalving = 2 * kSmallPacket;

}  // namespace

// Whether a call goes by this path, and a datagram of bulk takes long on it. While its rate is searched for, what is known holds.
bool Session::delays_call(SessionPath& p, Time now) const {
  if (now >= p.call_until) return false;
  const BitRate capacity = p.known_capacity();
  if (capacity.bps > 0) p.narrow = capacity.time_for(p.mtu.datagram()) > (p.narrow ? kNoLongerLong : kLongOnWire);
  return p.narrow;
}

// One at a time: a packet that goes before its time, past a half that waits, goes whole.
bool Session::is_halved(const Segment& segment, SessionPath& p, Time now) const {
  const bool bulk = segment.packet_class.traffic == TrafficClass::bulk;
  return bulk && !p.second_half && segment.packet.size() > kWorthHalving && delays_call(p, now);
}

void Session::hold_second_half(SessionPath& p, const SegmentRef& segment) {
  ++segment->copies_pending;
  segment->half_lost = false;
  p.second_half = segment;
}

// The first half, if it is still under way, is of no use without it.
void Session::drop_second_half(SessionPath& p) {
  if (!p.second_half) return;
  --p.second_half->copies_pending;
  std::vector<SegmentRef> one;
  one.push_back(std::exchange(p.second_half, {}));
  reinject(one);
}

bool Session::transmit_second_half(TransmitBatch& batch, Time now) {
  for (auto& owned : paths_) {
    SessionPath& p = *owned;
    if (!p.second_half) continue;
    // The first half was lost: both will be sent again, elsewhere perhaps.
    if (p.second_half->delivered || p.second_half->half_lost) {
      drop_second_half(p);
      continue;
    }
    if (!p.has_room(now) || !p.address.may_send(p.mtu.datagram())) continue;
    const SegmentRef segment = std::move(p.second_half);
    --segment->copies_pending;
    append_piece(batch, p, segment, 2, now);
    earn_copies(batch.size());
    if (batch.count > 0) return true;
  }
  return false;
}

}  // namespace hawser
