// Which working paths carry nothing for now: those that lose most, come far too late, or were lost too often. And how the
// peer hears that a path is gone.
#include <algorithm>

#include "common/session/session.h"

namespace hawser {

// Loss and delay are judged in the direction in which this end sends, and only while another path carries.
void Session::judge_path(SessionPath& p, Time now) {
  if (!p.works()) return;
  const SessionPath* best = nullptr;
  for (const auto& o : paths_) {
    if (o.get() == &p || !o->carries_data() || !o->rtt.has_sample()) continue;
    if (!best || o->rtt.smoothed() < best->rtt.smoothed()) best = o.get();
  }
  if (p.machine.is_lossy()) {
    if (!best || p.loss_judge.may_return(now)) {
      p.loss_judge.reset();
      apply(p, p.machine.on_event(PathInput::clean, now), now);
    }
  } else if (best && p.loss_judge.should_eject(p.rtt.smoothed() > p.rtt.min() * 1.25 + Duration::millis(10), now)) {
    p.loss_judge.reset();
    apply(p, p.machine.on_event(PathInput::lossy, now), now);
  }
  if (p.machine.is_slow()) {
    if (!best || p.delay_judge.may_return(p.rtt.smoothed(), best->rtt.smoothed(), now)) {
      p.delay_judge.reset();
      apply(p, p.machine.on_event(PathInput::prompt, now), now);
    }
  } else if (best && p.rtt.has_sample() && p.delay_judge.should_eject(p.rtt.smoothed(), best->rtt.smoothed(), now)) {
    p.delay_judge.reset();
    apply(p, p.machine.on_event(PathInput::slow, now), now);
  }
}

// Only the client knows interfaces; its wish holds for both directions.
FlapCount* Session::flaps_of(const SessionPath& p) {
  if (p.interface.empty()) return nullptr;
  const IpAddress::Family family = p.address.tuple.remote.ip.family;
  for (InterfaceFlaps& f : flaps_) {
    if (f.interface == p.interface && f.family == family) return &f.count;
  }
  if (flaps_.size() >= kMaxPaths) flaps_.erase(flaps_.begin());
  flaps_.push_back({p.interface, family, {}});
  return &flaps_.back().count;
}

// ---- a path that is gone -----------------------------------------------------------------------------------------

void Session::close_path(SessionPath& p, Time now) {
  if (closed_paths_.size() >= kMaxPaths) closed_paths_.erase(closed_paths_.begin());
  ClosedPath c;
  c.frame = {p.id, static_cast<uint8_t>(PathReason::link_down)};
  if (p.acks.has_any()) c.ack = p.acks.cross_frame(p.id, now);
  c.next_at = now;
  closed_paths_.push_back(std::move(c));
  remove_path(p.id, now);
}

// Each copy takes another way than the one before, where there is one.
bool Session::close_due(const ClosedPath& c, const SessionPath& via, Time now) const {
  if (c.next_at > now) return false;
  const bool other_way = std::any_of(paths_.begin(), paths_.end(), [&](const auto& o) {
    return o->id != via.id && o->writable() && o->works();
  });
  return !other_way || c.told_by != via.id;
}

void Session::write_path_closes(SessionPath& p, wire::FrameWriter& w, Time now) {
  for (ClosedPath& c : closed_paths_) {
    if (!close_due(c, p, now)) continue;
    // The ack comes first: with the path everything unacknowledged is sent again.
    if (c.ack) w.write(*c.ack);
    if (!w.write(c.frame)) break;
    --c.copies;
    c.told_by = p.id;
    c.next_at = now + kPathCloseRetry;
  }
  std::erase_if(closed_paths_, [](const ClosedPath& c) { return c.copies <= 0; });
}

}  // namespace hawser
