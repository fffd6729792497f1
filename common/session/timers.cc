// Every deadline of a session, and what happens when it passes. The table:
//   loss detection      RACK's window on each path                        -> declare lost, reinject
//   suspect             data unanswered for about two round trips          -> reinject elsewhere, probe
//   probe timeout       something unanswered (also while suspect)          -> ping; after some: lost
//   liveness            50 ms on the bench, 1 s while there is inner traffic, else keepalive   -> ping
//   challenge           validation, lost paths, address moves              -> challenge again
//   flapping            the penalty ends                                  -> may carry again
//   path closed         told three times                                  -> again
//   path gone           what was under way has come or never will          -> forgotten
//   path MTU            the next probe size                                -> padded ping
//   tunnel MTU          paths that carried more for a minute               -> event to the client
//   ack, cross-ack      held-back acknowledgements                         -> ack datagram
//   status, policy      wishes not yet acknowledged                        -> again
//   resequencer         gaps                                               -> give up
//   early repair        a much slower path owes an ack, nothing waits      -> copies on a quick one
//   pacing              something waits for the pacer                      -> send
//   keys                past their life                                    -> wipe
#include <algorithm>

#include "common/session/session.h"

namespace hawser {
namespace {
constexpr Duration kValidationPatience = Duration::seconds(3);
}

Session::Session(SessionContext context, SessionIdentity identity, uint64_t own_nonce, uint64_t peer_nonce, uint16_t tunnel_mtu, Time now)
    : context_(context),
      identity_(std::move(identity)),
      own_nonce_(own_nonce),
      peer_nonce_(peer_nonce),
      tunnel_mtu_(tunnel_mtu),
      created_(now),
      scheduler_(make_scheduler(wire::SchedulerKind::automatic)),
      resequencer_(context.pool),
      reassembly_(context.pool),
      last_received_(now) {}

void Session::on_held_up(Time now) { held_up_until_ = now + Duration::millis(30); }

// What was sent before a path died is still answered for a round trip, so the last answer alone would tell a round trip late. But
// something must have been sent since then, or have found a full window, and have had its time too: the end of a burst may be lost
// on a path that works. What was sent while the path did not work says nothing.
Time Session::suspect_at(const SessionPath& p) const {
  if (!p.works()) return Time::infinite();
  const Time oldest = p.sent.oldest_unacked();
  if (!oldest.is_set()) return Time::infinite();
  const Time unanswered = std::max(oldest, p.machine.since()) + p.rtt.suspect_timeout();
  const bool stopped = !p.unanswered_since.is_set() && p.window_room() >= p.mtu.datagram();
  const Time silent = stopped ? p.last_progress + p.rtt.suspect_timeout() : std::max(p.unanswered_since, p.last_progress) + p.rtt.probe_timeout();
  return std::max({unanswered, silent, p.last_progress + kSilenceFloor, held_up_until_});
}

// Unanswered: ask for an ack, so that loss detection can judge the tail; sooner when nothing was sent since the last answer, whose own
// answer could tell. While suspect: the probes that decide.
Time Session::probe_timeout_at(const SessionPath& p) const {
  if (p.machine.state() == PathState::suspect) return p.probe_at;
  if (!p.works() || !p.sent.has_eliciting_in_flight()) return Time::infinite();
  const Duration back_off = p.rtt.probe_timeout() * (int64_t{1} << std::min(p.probes_unanswered, 6));
  const Time timeout = std::max({p.sent.last_eliciting_sent(), p.last_progress, p.asked_at}) + back_off;
  if (p.unanswered_since.is_set() || p.probes_unanswered > 0) return timeout;
  const Duration late = p.rtt.smoothed() / 4;
  return std::min(timeout, std::max(p.sent.oldest_unacked() + p.rtt.probe_timeout(), p.last_progress + p.rtt.variance() * 4) + late);
}

Time Session::liveness_at(const SessionPath& p) const {
  if (!p.works()) return Time::infinite();
  // One that was ejected or flaps must show that it is better: its probes are all that is sent there, and do not wait for
  // each other's answers.
  const bool benched = p.machine.ejected() || p.machine.is_flapping();
  if (benched && last_inner_traffic_.is_set() && p.last_sent < last_inner_traffic_ + kTrafficIsRecent) {
    return std::max(p.sent.last_eliciting_sent(), p.asked_at) + kProbeBenched;
  }
  if (p.sent.has_eliciting_in_flight()) return Time::infinite();
  const Time quiet_since = std::max({p.last_own_ack, p.sent.last_eliciting_sent(), p.asked_at});
  const Time busy_until = last_inner_traffic_ + kTrafficIsRecent;
  if (last_inner_traffic_.is_set() && p.carries_data() && quiet_since + kActiveProbe < busy_until) return quiet_since + kActiveProbe;
  // The client keeps its address translations open; the server only answers.
  if (context_.role == Role::server) return Time::infinite();
  return std::max(p.last_sent, quiet_since) + p.keepalive;
}

Time Session::cross_ack_at(const SessionPath& p) const {
  if (!p.acks.has_cross_news() || !cross_ack_path(p)) return Time::infinite();
  const Duration apart = p.gone() ? Duration{} : p.rtt.smoothed() / 4;
  return p.cross_ack_at + std::max(Duration::millis(10), apart);
}

// When the pacer lets something that waits go.
Time Session::data_at(Time now) const {
  if (closing_) return Time::infinite();
  const bool waits = !ingress_.empty() || !repairs_.empty();
  Time t = Time::infinite();
  for (const auto& p : paths_) {
    if (!waits && !p->owes()) continue;
    if (!p->works() || !p->writable() || p->window_room() < p->mtu.datagram()) continue;
    // Room, and yet nothing went: the scheduler waits for a better path; ask it again soon, without spinning.
    t = std::min(t, p->pacer.may_send(now) ? now + Duration::millis(1) : p->pacer.next_send());
  }
  return t;
}

// The old address has answered its challenge, the new one has not.
bool Session::move_unconfirmed(const SessionPath& p) {
  return p.previous_address && p.challenge.outstanding && !p.previous_challenge.outstanding && p.previous_challenge.sent_at.is_set();
}

void Session::path_timers(SessionPath& p, Time now) {
  if (p.sent.loss_time() <= now) {
    lost_.clear();
    const AckResult r = p.sent.on_loss_timer(p.rtt, now, lost_);
    apply_ack_result(p, r, false, now);
  }
  if (suspect_at(p) <= now) apply(p, p.machine.on_event(PathInput::no_progress, now), now);
  if (probe_timeout_at(p) <= now) {
    ++p.probes_unanswered;
    p.ping_due = true;
    p.asked_at = now;
    if (p.machine.state() == PathState::suspect) {
      p.probe_at = now + std::max(p.rtt.probe_timeout(), Duration::millis(50));
      if (p.probes_unanswered > kLostAfterProbes) {
        p.ping_due = false;
        apply(p, p.machine.on_event(PathInput::probes_failed, now), now);
      }
    }
  }
  if (p.settle_at <= now) {
    p.settle_at = Time::infinite();
    apply(p, p.machine.on_event(PathInput::settled, now), now);
  }
  if (liveness_at(p) <= now) {
    p.ping_due = true;
    p.asked_at = now;
  }
  // A path that never answered: the user should read "lost" and not "validating" for ever.
  if (p.machine.state() == PathState::validating && p.challenge.outstanding && now - p.machine.since() > kValidationPatience) {
    apply(p, p.machine.on_event(PathInput::probes_failed, now), now);
  }
  // An address move that the new address did not confirm: back to the old one, which did answer.
  if (move_unconfirmed(p) && now - p.challenge.sent_at > p.rtt.probe_timeout() * 2) {
    p.address = *p.previous_address;
    p.previous_address.reset();
    p.challenge = Challenge{};
  }
}

void Session::on_timer(Time now) {
  for (size_t i = 0; i < paths_.size(); ++i) path_timers(*paths_[i], now);
  if (resequencer_.next_deadline() <= now) resequencer_.on_timer(now, context_.deliveries);
  if (tunnel_mtu_.raise_at() <= now) follow_path_mtu(now);
  std::erase_if(leaving_, [&](const auto& p) { return p->forget_at <= now; });
  keys_.expire(now, [&](SessionIndex i) { released_indices_.push_back(i); });
}

Time Session::next_timeout(Time now) const {
  Time t = std::min(resequencer_.next_deadline(), keys_.next_expiry());
  // What cannot be sent has no deadline: without a key, or when only the goodbye is left, asking again would change nothing.
  if (closing_ || !keys_.current() || keys_.current()->expired(now)) return t;
  t = std::min({t, data_at(now), next_early_repair(now).at, tunnel_mtu_.raise_at()});
  const bool may_write_control = std::any_of(paths_.begin(), paths_.end(), [](const auto& p) {
    return p->writable() && p->works();
  });
  for (const auto& owned : paths_) {
    const SessionPath& p = *owned;
    t = std::min({t, p.sent.loss_time(), suspect_at(p), probe_timeout_at(p), liveness_at(p), cross_ack_at(p), p.settle_at});
    const auto tells = [&](const auto& by) { return may_tell(*by, p); };
    if (!p.status_acked && std::any_of(paths_.begin(), paths_.end(), tells)) t = std::min(t, p.status_due_at);
    if (!p.writable()) continue;
    t = std::min({t, p.acks.due(), p.challenge.next_at});
    if (p.previous_address) {
      t = std::min(t, p.previous_challenge.next_at);
      if (move_unconfirmed(p)) t = std::min(t, p.challenge.sent_at + p.rtt.probe_timeout() * 2 + kGranularity);
    }
    if (p.works()) t = std::min(t, p.mtu.next_probe());
    if (p.machine.state() == PathState::validating && p.challenge.outstanding) {
      t = std::min(t, p.machine.since() + kValidationPatience + kGranularity);
    }
  }
  for (const auto& p : leaving_) t = std::min({t, cross_ack_at(*p), p->forget_at});
  if (!policy_acked_ && may_write_control) t = std::min(t, policy_due_at_);
  for (const ClosedPath& c : closed_paths_) {
    if (may_write_control) t = std::min(t, c.next_at);
  }
  return t;
}

void Session::confirm_keys(Time) {
  for (auto& p : paths_) {
    if (p->works()) p->ping_due = true;
  }
}

size_t Session::memory_bytes() const {
  size_t n = sizeof *this + ingress_.memory_bytes() + resequencer_.memory_bytes() + reassembly_.memory_bytes();
  n += repairs_.memory_bytes();
  for (const auto* list : {&paths_, &leaving_}) {
    for (const auto& p : *list) n += sizeof *p + p->sent.memory_bytes() + p->acks.memory_bytes() + p->copies.capacity() * sizeof(SegmentRef);
  }
  for (const auto& b : lane_next_) n += b ? sizeof *b : 0;
  return n;
}

}  // namespace hawser
