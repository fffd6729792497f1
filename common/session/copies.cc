// Copies of packets on other paths than their first one: each path has a queue of them and sends them, in order, as it
// has room. What was delivered meanwhile is passed over, so that a slow path skips what the fast one has done.
#include <algorithm>

#include "common/session/session.h"

namespace hawser {

// A packet that has just been sent or queued elsewhere shall travel here too.
void Session::queue_copy(SessionPath& p, const SegmentRef& segment) {
  if (p.copies.size() - p.copies_head >= kMaxCopies) orphan(drop_copy(p));  // hopelessly behind: it would come too late
  if (p.copies_head > 0 && p.copies.size() == p.copies.capacity()) {
    p.copies.erase(p.copies.begin(), p.copies.begin() + static_cast<ptrdiff_t>(p.copies_head));
    p.copies_head = 0;
  }
  ++segment->copies_pending;
  p.copies.push_back(segment);
}

SegmentRef Session::drop_copy(SessionPath& p) {
  SegmentRef s = std::move(p.copies[p.copies_head++]);
  --s->copies_pending;
  if (p.copies_head == p.copies.size()) {
    p.copies.clear();
    p.copies_head = 0;
  }
  return s;
}

// A copy that will not be sent: when no other is under way, the packet is repaired as if it had been lost.
void Session::orphan(SegmentRef segment) {
  if (segment->delivered || segment->copies_in_flight > 0 || segment->copies_pending > 0) return;
  std::vector<SegmentRef> one;
  one.push_back(std::move(segment));
  reinject(one);
}

// The path carries nothing at present.
void Session::drop_copies(SessionPath& p) {
  while (p.has_copies()) orphan(drop_copy(p));
}

void Session::copy_everywhere(const SegmentRef& segment, const SessionPath& sent_on) {
  if (!scheduler_->copies_everywhere()) return;
  for (auto& p : paths_) {
    if (p.get() != &sent_on && p->carries_data()) queue_copy(*p, segment);
  }
}

bool Session::transmit_copies(TransmitBatch& batch, Time now) {
  for (auto& owned : paths_) {
    SessionPath& p = *owned;
    if (!p.carries_data()) continue;
    const auto settled = [&](const Segment& s) { return s.delivered || now - s.first_sent > kReinjectFor; };
    while (p.has_copies() && settled(*p.copies[p.copies_head])) orphan(drop_copy(p));
    const size_t budget = std::max<size_t>(p.mtu.datagram(), static_cast<size_t>(p.pacing_rate().bytes_in(kBurst)));
    while (p.has_copies() && p.has_room(now) && p.address.may_send(p.mtu.datagram())) {
      if (!append_copy(batch, p, now)) break;
      if (batch.bytes.size() >= budget || batch.count >= TransmitBatch::kMaxSegments) break;
      if (batch.bytes.size() + p.mtu.datagram() > TransmitBatch::kMaxBytes) break;
    }
    if (batch.count > 0) return true;
  }
  return false;
}

}  // namespace hawser
