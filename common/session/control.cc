// The frames that are not data: acks, challenges, the client's wishes, closing. What each received one changes, and when
// each sent one is due.
#include <algorithm>

#include "common/session/session.h"

namespace hawser {
namespace {

constexpr size_t kMaxQueuedControl = 64;  // acknowledgements of wishes, give-up notices: beyond it the oldest are forgotten
constexpr size_t kControlBuffer = kMaxDatagram - wire::kDataHeaderSize - kAeadTagSize;

template <typename T>
void push_bounded(std::vector<T>& v, const T& item) {
  if (v.size() >= kMaxQueuedControl) v.erase(v.begin());
  v.push_back(item);
}

}  // namespace

// ---- received ----------------------------------------------------------------------------------------------------

void Session::on_ack(SessionPath& arrived_on, const wire::AckFrame& f, Time now) {
  SessionPath* p = find_path_or_leaving(f.path);
  if (!p) return;  // a path that was closed a while ago
  const bool own = p == &arrived_on;
  lost_.clear();
  const AckResult r = p->sent.on_ack(f, own, p->rtt, p->one_way_delay, now, lost_);
  if (!r.valid) {
    drops_.count(DropReason::bad_frame);
    return;
  }
  if (!p->gone()) apply_ack_result(*p, r, own, now);
}

void Session::apply_ack_result(SessionPath& p, const AckResult& r, bool own_path, Time now) {
  p.loss.add(r.acked_packets, r.lost_packets, r.spurious_packets, now);
  p.loss_judge.window.add(r.acked_packets, r.lost_packets, r.spurious_packets, now);
  const uint16_t known = p.mtu.known();
  p.mtu.on_full_size(r.full_size_acked, r.full_size_lost, p.rtt.suspect_timeout(), now);
  if (r.mtu_probe_acked) p.mtu.on_probe_acked(r.mtu_probe_acked, now);
  if (p.mtu.known() != known) follow_path_mtu(now);
  if (r.acked_bytes > 0) {
    p.peer_knows = true;
    p.note_progress(now);
    if (own_path) p.last_own_ack = now;
    p.probes_unanswered = 0;
    apply(p, p.machine.on_event(PathInput::progress, now), now);
    if (p.machine.is_spare()) elect_leader(p.twins, now);
  }
  if (p.rtt.take_longer()) p.one_way_delay.restart(now);
  const BitRate before = p.pacing_rate();
  coupling_.on_sample(p.id, *p.controller, {r, p.rtt, p.sent.bytes_in_flight(), p.sent.delivered(), now, {}, delays_call(p, now)});
  p.pacer.on_rate_changed(now, before, p.pacing_rate());
  reinject(lost_);
  judge_path(p, now);
  update_estimates(now);
}

void Session::on_path_response(SessionPath& p, const wire::PathResponseFrame& f, const UdpTuple& from, Time now) {
  if (p.challenge.is_answer(f.data)) {
    p.challenge.outstanding = false;
    p.challenge.sent = 0;
    p.challenge.next_at = Time::infinite();
    p.challenge.back_off = kValidationRetryFirst;
    p.address.validated = true;
    p.peer_knows = true;
    p.previous_address.reset();  // the move is committed
    p.previous_challenge = Challenge{};
    validate_path(p, now);
  } else if (p.previous_address && p.previous_challenge.is_answer(f.data)) {
    p.previous_challenge.outstanding = false;
    // Only the old address answers: whoever sent from the new one cannot hear us there.
    if (from == p.previous_address->tuple && now - p.challenge.sent_at > p.rtt.probe_timeout() * 2) {
      p.address = *p.previous_address;
      p.previous_address.reset();
      p.challenge = Challenge{};
    }
  }
}

void Session::on_path_status(const wire::PathStatusFrame& f, Time now) {
  SessionPath* p = find_path(f.path);
  // It may overtake the first datagram of its path: not applied is not acknowledged, and told again.
  if (!p && !was_opened(f.path)) return;
  queue_control_ack({false, f.path, f.sequence});
  if (!p || f.sequence <= p->status_sequence) return;  // the newest wins
  p->status_sequence = f.sequence;
  p->peer_intent = f.intent;
  p->priority = f.priority;
  p->rate_cap = f.rate_cap;
  switch (f.intent) {
    case wire::PathIntent::active:
      apply(*p, p->machine.on_event(PathInput::resumed, now), now);
      apply(*p, p->machine.on_event(PathInput::wants_active, now), now);
      break;
    case wire::PathIntent::standby:
      apply(*p, p->machine.on_event(PathInput::resumed, now), now);
      apply(*p, p->machine.on_event(PathInput::wants_standby, now), now);
      break;
    case wire::PathIntent::suspect:
    case wire::PathIntent::lost:
      // The way from the client is dead. Ours may work: then cross-acks have come all the time, and it goes on. If not,
      // our own probes decide.
      if (now - p->last_progress > p->rtt.smoothed() + p->rtt.variance() * 2 + kMaxAckDelay * 3) {
        apply(*p, p->machine.on_event(PathInput::no_progress, now), now);
      }
      break;
    case wire::PathIntent::paused:
      apply(*p, p->machine.on_event(PathInput::paused, now), now);
      break;
  }
}

void Session::on_policy(const wire::PolicyFrame& f) {
  queue_control_ack({true, PathId{}, f.sequence});
  if (f.sequence <= policy_.sequence) return;
  policy_ = f;
  obey_policy();
}

// What runs follows the policy at once, on the paths that exist too.
void Session::obey_policy() {
  const wire::SchedulerKind scheduler = scheduler_for(policy_.mode, policy_.scheduler);
  if (scheduler_->kind() != scheduler) {
    scheduler_ = make_scheduler(scheduler);
    for (auto& p : paths_) drop_copies(*p);
  }
  congestion_ = policy_.congestion;
  for (auto& p : paths_) {
    if (p->controller->kind() == congestion_) continue;
    auto next = make_controller(congestion_, p->mtu.datagram(), context_.rng.next_u64());
    next->take_over(*p->controller);
    p->controller = std::move(next);
    coupling_.on_controller_changed(p->id, *p->controller);
  }
}

void Session::on_control_ack(const wire::ControlAckFrame& f) {
  if (f.policy) {
    if (f.sequence == policy_.sequence) policy_acked_ = true;
    return;
  }
  SessionPath* p = find_path(f.path);
  if (p && f.sequence == p->status_sequence) p->status_acked = true;
}

void Session::on_path_close(const wire::PathCloseFrame& f, Time now) {
  if (context_.role == Role::server) remove_path(f.path, now);
}

void Session::queue_control_ack(const wire::ControlAckFrame& f) { push_bounded(control_acks_, f); }

void Session::give_up(const Segment& s) {
  drops_.count(DropReason::expired);
  // Nobody waits for these, and what comes late after all is still delivered; acks of TCP share a lane with data.
  if (s.packet_class.unordered && s.packet_class.traffic != TrafficClass::bulk) return;
  const auto seq24 = static_cast<uint32_t>(s.seq.value & 0xffffff);
  push_bounded(gave_up_, wire::GaveUpFrame{s.lane, seq24, 1});
}

// ---- sent --------------------------------------------------------------------------------------------------------

void Session::set_policy(wire::Mode mode, wire::SchedulerKind scheduler, wire::CongestionKind congestion, Time now) {
  policy_.mode = mode;
  policy_.scheduler = scheduler;
  policy_.congestion = congestion;
  ++policy_.sequence;
  policy_acked_ = false;
  policy_due_at_ = now;
  policy_back_off_ = kControlRetry;
  obey_policy();
}

void Session::close(wire::CloseReason reason, Time) {
  closing_ = reason;
  for (auto& p : paths_) p->ping_due = false;
}

void Session::announce(const std::vector<SocketAddress>& endpoints) { announce_due_ = endpoints; }

bool Session::control_due(const SessionPath& p, Time now) const {
  if (p.ping_due || p.challenge.next_at <= now || p.previous_challenge.next_at <= now || p.response_due) return true;
  if (!p.works()) return false;
  if (p.mtu.probe_size(now)) return true;
  if (!control_acks_.empty() || !gave_up_.empty() || !announce_due_.empty()) return true;
  if (context_.role != Role::client) return false;
  if (std::any_of(closed_paths_.begin(), closed_paths_.end(), [&](const ClosedPath& c) { return close_due(c, p, now); })) return true;
  return p.policy_due || p.statuses_due != 0;
}

// Frames about the session that may travel on any working path. Returns whether something was written.
bool Session::write_control_frames(SessionPath& p, wire::FrameWriter& w, Time now) {
  const size_t before = w.size();
  while (!control_acks_.empty() && w.write(control_acks_.back())) control_acks_.pop_back();
  write_path_closes(p, w, now);
  while (!gave_up_.empty() && w.write(gave_up_.back())) gave_up_.pop_back();
  if (!announce_due_.empty()) {
    wire::AnnounceFrame f;
    for (const SocketAddress& a : announce_due_) {
      if (f.count < f.endpoints.size()) f.endpoints[f.count++] = a;
    }
    if (w.write(f)) announce_due_.clear();
  }
  if (context_.role == Role::client) {
    if (p.policy_due && !policy_acked_ && !w.write(policy_)) return w.size() > before;
    p.policy_due = false;
    for (auto& other : paths_) {
      if (other->status_acked || !(p.statuses_due & status_bit(*other))) continue;
      wire::PathStatusFrame f;
      f.path = other->id;
      f.sequence = other->status_sequence;
      f.intent = intent(*other);
      f.priority = other->priority;
      f.rate_cap = other->rate_cap;
      if (!w.write(f)) return w.size() > before;
      p.statuses_due &= ~status_bit(*other);
    }
    p.statuses_due = 0;  // the others are acknowledged already
  }
  return w.size() > before;
}

// Challenges and responses go to the very address they are about, which may not be the path's present one.
bool Session::transmit_to_addresses(TransmitBatch& batch, SessionPath& p, Time now) {
  std::array<uint8_t, kControlBuffer> buffer;
  if (p.response_due) {
    wire::FrameWriter w(MutableByteSpan{buffer}.first(kBaseDatagram - wire::kDataHeaderSize - kAeadTagSize));
    w.write(wire::PathResponseFrame{*p.response_due});
    w.write(wire::ObservedAddressFrame{p.response_to.remote});
    p.response_due.reset();
    // Our own challenge rides along when it is due for the same address.
    if (p.challenge.next_at <= now && p.response_to == p.address.tuple) {
      start_challenge(p.challenge, now);
      w.write(wire::PathChallengeFrame{p.challenge.data});
    }
    const bool proved = p.response_to == p.address.tuple && p.address.validated;
    if (proved && p.acks.has_any()) write_acks(w, p, now, false);
    return seal_frames(batch, p, p.response_to, w, true, now);
  }
  struct Target {
    Challenge* challenge;
    PathAddress* address;
  };
  for (Target t : {Target{&p.challenge, &p.address}, Target{&p.previous_challenge, p.previous_address ? &*p.previous_address : nullptr}}) {
    if (!t.address || t.challenge->next_at > now) continue;
    start_challenge(*t.challenge, now);
    if (p.previous_address) t.challenge->next_at = std::min(t.challenge->next_at, now + p.rtt.probe_timeout());
    wire::FrameWriter w(MutableByteSpan{buffer});
    w.write(wire::PathChallengeFrame{t.challenge->data});
    if (!t.address->may_send(w.size() + wire::kDataHeaderSize + kAeadTagSize)) continue;
    return seal_frames(batch, p, t.address->tuple, w, true, now);
  }
  return false;
}

bool Session::transmit_control(TransmitBatch& batch, Time now) {
  if (context_.role == Role::client) spread_wishes(now);
  for (auto& owned : paths_) {
    SessionPath& p = *owned;
    if (!p.writable()) continue;
    std::array<uint8_t, kControlBuffer> buffer;
    if (closing_) {
      if (p.machine.state() == PathState::lost || p.machine.state() == PathState::paused || p.closed_told) continue;
      p.closed_told = true;
      wire::FrameWriter w{MutableByteSpan{buffer}};
      w.write(wire::CloseFrame{*closing_});
      if (p.address.may_send(64)) return seal_frames(batch, p, p.address.tuple, w, false, now);
      continue;
    }
    if (!control_due(p, now)) continue;
    if (transmit_to_addresses(batch, p, now)) return true;
    if (p.works()) {
      wire::FrameWriter w(MutableByteSpan{buffer}.first(kBaseDatagram - wire::kDataHeaderSize - kAeadTagSize));
      if (write_control_frames(p, w, now)) {
        p.ping_due = false;
        return seal_frames(batch, p, p.address.tuple, w, true, now);
      }
    }
    if (p.ping_due) {
      p.ping_due = false;
      wire::FrameWriter w{MutableByteSpan{buffer}};
      w.write(wire::PingFrame{});
      if (p.acks.has_news()) write_acks(w, p, now, false);
      if (p.address.may_send(64)) return seal_frames(batch, p, p.address.tuple, w, true, now);
    }
    if (const uint16_t size = p.works() ? p.mtu.probe_size(now) : uint16_t{0}) {
      p.mtu.on_probe_sent(now, p.rtt.probe_timeout());
      if (p.mtu.known()) follow_path_mtu(now);
      wire::FrameWriter w{MutableByteSpan{buffer}};
      w.write(wire::PingFrame{});
      w.padding(size - wire::kDataHeaderSize - kAeadTagSize - w.size());
      if (!p.address.may_send(size)) continue;
      if (SentPacket* sent = seal_into(batch, p, p.address.tuple, w.written(), true, now)) {
        sent->mtu_probe = true;
        return true;
      }
    }
  }
  return false;
}

}  // namespace hawser
