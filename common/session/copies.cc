// Copies of packets on other paths than their first one: each path has a queue of them and sends them, in order, as it
// has room. What was delivered meanwhile is passed over, so that a slow path skips what the fast one has done.
#include <algorithm>

#include "common/session/session.h"

namespace hawser {
namespace {

// An acknowledgement that has not come by then is late; the peer may hold one back for kMaxAckDelay.
Duration overdue_after(const SessionPath& p) { return p.rtt.smoothed() + kMaxAckDelay; }

}  // namespace

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
  const bool under_way = segment->copies_in_flight > 0 && !segment->half_lost;
  if (segment->delivered || under_way || segment->copies_pending > 0) return;
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

// What is small and urgent takes a second path as well, while the first one loses packets or has just fallen silent and the
// budget lasts. It goes at once or not at all: a copy that waits comes no sooner than a repair.
void Session::copy_urgent(const SegmentRef& segment, const SessionPath& sent_on, Time now) {
  if (!segment->copy_when_lossy || scheduler_->copies_everywhere()) return;
  const bool silent = sent_on.is_silent(now);
  // A connection's beginning can be repaired in time; a call's packet mostly cannot.
  const double too_lossy = segment->packet_class.traffic == TrafficClass::bulk ? kCopySynLoss : kLossyPath;
  if (!silent && sent_on.loss.ratio(now) < too_lossy) return;
  const size_t bytes = segment->packet.size() + wire::kFullDatagramOverhead;
  SessionPath* second = nullptr;
  for (auto& p : paths_) {
    // Against a path's death any that works will do; against loss none that is meant to be spared.
    const bool may = silent ? p->works() : p->carries_data() && tier(*p) <= tier(sent_on);
    if (p.get() == &sent_on || !may || !p->has_urgent_room() || !p->address.may_send(bytes) || p->is_silent(now)) continue;
    if (!second || p->rtt.smoothed() + p->queued() < second->rtt.smoothed() + second->queued()) second = p.get();
  }
  if (second && copy_budget_.take(bytes, silent)) queue_copy(*second, segment);
}

// A path that bulk leaves out carries copies of it, so that its rate stays known: it comes to be used when it has become
// worth it, and until then nobody waits for what is slow or lost there.
void Session::copy_to_measure(const SegmentRef& segment, const SessionPath& sent_on, Time now) {
  if (views_.size() < 2 || segment->packet_class.traffic != TrafficClass::bulk || segment->packet.size() < kBaseDatagram / 2) return;
  for (const PathView& v : views_) {
    SessionPath& p = *paths_[v.index];
    const bool joins = v.tier <= tier(sent_on) || (v.tier == 1 && sent_on.is_full(now));
    if (&p == &sent_on || !joins || p.owes() || !p.has_room(now) || !p.address.may_send(p.mtu.datagram())) continue;
    if (scheduler_->leaves_out(v, views_)) queue_copy(p, segment);
  }
}

// Who would send again, while there is nothing else to send, what much slower `slow` has not had acknowledged for a round trip of its
// own. Otherwise a loss at the end of what went there is noticed after a probe timeout and two round trips, an inner flow whose
// window is spent waits for it, and the quick path with it (opportunistic retransmission, Raiciu et al., NSDI 2012, section 4.2).
SessionPath* Session::early_repairer(const SessionPath& slow, Time now) const {
  SessionPath* quick = nullptr;
  for (const auto& p : paths_) {
    if (p.get() == &slow || !p->carries_data() || tier(*p) > tier(slow) || p->is_silent(now)) continue;
    if ((p->rtt.smoothed() + p->queued()) * kMuchSlower > slow.rtt.smoothed() || !p->address.may_send(p->mtu.datagram())) continue;
    const auto rank = [this](const SessionPath& x) { return std::pair(tier(x), x.rtt.smoothed()); };
    if (!quick || rank(*p) < rank(*quick)) quick = p.get();
  }
  return quick;
}

Session::EarlyRepair Session::next_early_repair(Time now) const {
  EarlyRepair next;
  if (paths_.size() < 2 || scheduler_->copies_everywhere() || !ingress_.empty() || !repairs_.empty()) return next;
  if (!early_repair_budget_.has(kEarlyRepairs * kMaxDatagram)) return next;
  for (const auto& slow : paths_) {
    if (!slow->carries_data() || !slow->sent.has_eliciting_in_flight()) continue;
    SessionPath* quick = early_repairer(*slow, now);
    if (!quick || !quick->writable() || quick->owes() || quick->window_room() < quick->mtu.datagram()) continue;
    const Time sent = slow->sent.oldest_sent_once(now);
    if (!sent.is_set()) continue;
    const Time at = std::max(sent + overdue_after(*slow), quick->pacer.may_send(now) ? now : quick->pacer.next_send());
    if (at < next.at) next = {at, slow.get(), quick};
  }
  return next;
}

bool Session::repair_early(Time now) {
  const EarlyRepair due = next_early_repair(now);
  if (due.at > now) return false;
  lost_.clear();
  due.slow->sent.collect_sent_once(now - overdue_after(*due.slow), now, kEarlyRepairs, lost_);
  // No more than goes at once: what comes to be sent meanwhile must not stand behind it.
  const auto burst = static_cast<size_t>(due.quick->pacing_rate().bytes_in(kBurst));
  size_t bytes = 0;
  for (const SegmentRef& s : lost_) {
    const size_t size = s->packet.size() + wire::kFullDatagramOverhead;
    if ((bytes > 0 && bytes + size > burst) || !early_repair_budget_.take(size, true)) break;
    queue_copy(*due.quick, s);
    bytes += size;
  }
  lost_.clear();
  return bytes > 0;
}

bool Session::transmit_copies(TransmitBatch& batch, Time now) {
  for (auto& owned : paths_) {
    SessionPath& p = *owned;
    if (!p.has_copies()) continue;
    const auto settled = [&](const Segment& s) { return s.delivered || now - s.first_sent > kReinjectFor; };
    while (p.has_copies() && settled(*p.copies[p.copies_head])) orphan(drop_copy(p));
    const size_t budget = std::max<size_t>(p.mtu.datagram(), static_cast<size_t>(p.pacing_rate().bytes_in(kBurst)));
    const auto has_room = [&] { return p.has_room(now) || (p.copies[p.copies_head]->copy_when_lossy && p.has_urgent_room()); };
    while (p.has_copies() && has_room() && p.address.may_send(p.mtu.datagram())) {
      if (!append_copy(batch, p, now)) break;
      if (batch.size() >= budget || batch.count >= TransmitBatch::kMaxSegments) break;
      if (batch.size() + p.mtu.datagram() > TransmitBatch::kMaxBytes) break;
    }
    if (batch.count > 0) return true;
  }
  return false;
}

}  // namespace hawser
