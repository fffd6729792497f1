// The life of the paths: opening, following addresses, what a change of state sets in motion, reinjection, estimates.
#include <algorithm>

#include "common/session/session.h"

namespace hawser {

SessionPath* Session::find_path(PathId id) {
  for (auto& p : paths_) {
    if (p->id == id) return p.get();
  }
  return nullptr;
}

SessionPath* Session::find_path_or_leaving(PathId id) {
  if (SessionPath* p = find_path(id)) return p;
  for (auto& p : leaving_) {
    if (p->id == id) return p.get();
  }
  return nullptr;
}

SessionPath* Session::path_of_link(LinkId link) {
  for (auto& p : paths_) {
    if (p->address.tuple.link == link) return p.get();
  }
  return nullptr;
}

SessionPath& Session::add_path(PathId id, const UdpTuple& tuple, uint16_t max_datagram, Time now) {
  // Whoever holds the new keys has received our answer, and it went to this address. That proves the first path's address;
  // for later ones anybody could have brought the initiation there, so they are challenged.
  const bool trusted = !any_path_seen_ && std::find(trusted_.begin(), trusted_.end(), tuple) != trusted_.end();
  if (!any_path_seen_) {
    highest_path_id_ = id.value;
    opened_ids_ = 1;
    any_path_seen_ = true;
  } else if (id.value > highest_path_id_) {
    const uint32_t step = id.value - highest_path_id_;
    opened_ids_ = (step < 64 ? opened_ids_ << step : 0) | 1;
    highest_path_id_ = id.value;
  } else {
    opened_ids_ |= uint64_t{1} << (highest_path_id_ - id.value);
  }
  paths_.push_back(std::make_unique<SessionPath>(id, tuple, max_datagram, congestion_, context_.rng.next_u64(), now));
  SessionPath& p = *paths_.back();
  // The server knows no gateways: links behind one public address are taken to be one link's.
  coupling_.join(id, context_.role == Role::server ? std::hash<IpAddress>{}(tuple.remote.ip) : 0);
  if (context_.role == Role::server && trusted) {
    p.address.validated = true;
    validate_path(p, now);
  }
  return p;
}

void Session::trust_address(const UdpTuple& tuple) {
  if (trusted_.size() < kMaxPaths && !any_path_seen_) trusted_.push_back(tuple);
}

void Session::distrust_addresses(const UdpTuple& other) {
  if (std::find(trusted_.begin(), trusted_.end(), other) == trusted_.end()) trusted_.clear();
}

PathId Session::open_path(const LinkUp& link, bool validated, Time now) {
  // An id is never used twice, and its low bits must tell it from every live path.
  uint32_t id = any_path_seen_ ? highest_path_id_ + 1 : 0;
  while (path_for_low8(static_cast<uint8_t>(id))) ++id;
  const uint16_t headers = link.remote.ip.is_v6() ? 48 : 28;
  const int ceiling = std::min<int>(link.interface_mtu, 1500) - headers;
  SessionPath& p = add_path(PathId{id}, {link.link, link.local, link.remote}, static_cast<uint16_t>(std::max<int>(ceiling, kBaseDatagram)), now);
  p.interface = link.interface;
  p.type = link.type;
  p.metered = link.metered;
  p.gateway_group = link.gateway_group;
  p.twins = link.twins;
  coupling_.join(p.id, link.gateway_group);
  p.priority = link.priority;
  p.address.validated = true;  // the client chose the server's address; it need not limit what it sends there
  elect_leader(p.twins, now);
  if (p.priority == wire::PathPriority::backup) apply(p, p.machine.on_event(PathInput::wants_standby, now), now);
  if (p.priority == wire::PathPriority::never) {
    apply(p, p.machine.on_event(PathInput::paused, now), now);
    p.challenge.next_at = Time::infinite();
  } else if (validated) {
    p.challenge.next_at = Time::infinite();
    validate_path(p, now);
    p.ping_due = true;  // confirms the keys and measures
  }
  if (p.priority != wire::PathPriority::automatic && p.priority != wire::PathPriority::always) send_status(p, now);
  return p.id;
}

void Session::start_challenge(Challenge& c, Time now) {
  if (c.sent > 0) c.earlier[(c.sent - 1) % c.earlier.size()] = c.data;
  ++c.sent;
  context_.rng.fill(c.data);
  c.outstanding = true;
  c.sent_at = now;
  const Duration most = longest_probe_step(now);
  c.next_at = now + std::min(c.back_off, most);
  c.back_off = std::min(c.back_off * 2, most);
}

// While somebody uses the tunnel a path that comes back should be found within a second; else it costs less to wait. With no path
// left traffic shows more and more seldom that somebody still waits, and of a download the client hears nothing.
Duration Session::longest_probe_step(Time now) const {
  const bool cut_off = context_.role == Role::client && !any_path_works();
  const bool in_use = last_inner_traffic_.is_set() && now - last_inner_traffic_ < (cut_off ? kTrafficWaits : kTrafficIsRecent);
  if (!in_use) return kValidationRetryMax;
  return cut_off ? std::clamp((now - last_progress()) * kProbeLostOfOutage, kProbeLostInUse, kValidationRetryMax) : kProbeLostInUse;
}

void Session::validate_path(SessionPath& p, Time now) {
  p.mtu.on_validated(now);
  p.ever_validated = true;
  p.probes_unanswered = 0;
  p.note_progress(now);
  p.last_own_ack = now;
  if (!p.rtt.has_sample()) p.ping_due = true;
  const FlapCount* flaps = flaps_of(p);
  const Duration penalty = flaps ? flaps->penalty(now) : Duration{};
  if (penalty.ns > 0 && p.machine.state() != PathState::active) {
    p.settle_at = now + penalty;
    apply(p, p.machine.on_event(PathInput::flapping, now), now);
  } else if (p.settle_at == Time::infinite()) {
    apply(p, p.machine.on_event(PathInput::settled, now), now);
  }
  apply(p, p.machine.on_event(PathInput::validated, now), now);
  // That it stands by from its first answer on (a spare, or of a flapping interface) has not been told yet.
  if (context_.role == Role::client && p.machine.wants_standby()) send_status(p, now);
}

// ---- a change of state -------------------------------------------------------------------------------------------

void Session::apply(SessionPath& p, const PathAction& a, Time now) {
  if (!a.changed) return;
  const Duration gap = now - p.last_received;
  coupling_.set_live(p.id, a.to == PathState::active);
  if (a.to != PathState::active) drop_copies(p), drop_second_half(p);
  if (a.reinject) reinject_unacked(p);
  if (a.abandon) p.sent.abandon_in_flight();
  if (a.to == PathState::lost) {
    p.settle_at = Time::infinite();
    FlapCount* flaps = a.reinject ? flaps_of(p) : nullptr;
    if (flaps) flaps->on_lost(now);
  }
  if (a.from == PathState::lost && a.to != PathState::validating) p.controller->on_path_revived(now);
  switch (a.to) {
    case PathState::suspect:
      p.probe_at = now;
      p.probes_unanswered = 0;
      break;
    case PathState::lost:
      p.probe_at = Time::infinite();
      p.challenge = Challenge{};
      // A link that is gone is not probed; a silent one is, by the client's challenges. The server waits to hear of it.
      p.challenge.next_at = a.reason == PathReason::link_down || context_.role == Role::server ? Time::infinite() : now + kProbeLostFirst;
      p.challenge.back_off = kProbeLostFirst;
      break;
    case PathState::validating:
      p.challenge = Challenge{};
      p.challenge.next_at = now;
      break;
    case PathState::active:
    case PathState::standby:
    case PathState::paused:
      p.probe_at = Time::infinite();
      break;
  }
  if (context_.role == Role::client && a.from != PathState::validating) send_status(p, now);
  context_.events.push_back(PathChanged{identity_.user, p.id, p.address.tuple.link, a.from, a.to, a.reason, gap});
  follow_path_mtu(now);
  elect_leader(p.twins, now);
}

// IPv4 and IPv6 of one interface are two ways over one line: together they carry no more than one, and two controllers
// would probe it twice. The first that works carries, until it is lost, or silent while a spare answers; a benched one is
// not replaced, for its line is benched. Only the client knows interfaces; the server hears PATH_STATUS.
void Session::elect_leader(uint32_t twins, Time now) {
  if (twins == 0) return;
  SessionPath* leader = nullptr;
  for (auto& p : paths_) {
    if (p->twins == twins && p->leads) leader = p.get();
  }
  const bool suspect = leader && leader->machine.state() == PathState::suspect;
  if (!leader || !leader->works()) {
    for (auto& p : paths_) {
      if (p->twins != twins || !p->works()) continue;
      if (suspect && p->last_progress <= leader->machine.since()) {
        if (p->asked_at < leader->machine.since()) p->ping_due = true;
        continue;
      }
      if (leader) leader->leads = false;
      leader = p.get();
      leader->leads = true;
      break;
    }
    if (leader && !leader->works() && !suspect) leader = nullptr;
  }
  // With none that works the next one to answer shall carry at once.
  for (auto& p : paths_) {
    if (p->twins != twins) continue;
    const bool spare = leader && p.get() != leader;
    if (spare == p->machine.is_spare()) continue;
    apply(*p, p->machine.on_event(spare ? PathInput::spare : PathInput::leads, now), now);
    if (p->ever_validated) send_status(*p, now);
    return elect_leader(twins, now);
  }
}

wire::PathIntent Session::intent(const SessionPath& p) const {
  switch (p.machine.state()) {
    case PathState::suspect: return wire::PathIntent::suspect;
    case PathState::lost: return wire::PathIntent::lost;
    case PathState::paused: return wire::PathIntent::paused;
    case PathState::validating:
    case PathState::standby:
    case PathState::active: break;
  }
  return p.machine.wants_standby() ? wire::PathIntent::standby : wire::PathIntent::active;
}

void Session::send_status(SessionPath& p, Time now) {
  ++p.status_sequence;
  p.status_acked = false;
  p.status_due_at = now;
  p.status_back_off = kControlRetry;
}

// A path that the server has not answered on may be unknown to it: then only the path's own datagrams can tell of it.
bool Session::may_tell(const SessionPath& by, const SessionPath& of) {
  return by.works() && by.writable() && (of.peer_knows || &by == &of);
}

// The client's wishes leave on every path that works, because one of them may just have died; again until they are acknowledged.
void Session::spread_wishes(Time now) {
  const auto spread = [&](Time& due_at, Duration& back_off, const auto& may, const auto& mark) {
    if (due_at > now) return;
    Duration quickest = Duration::infinite();
    for (auto& by : paths_) {
      if (!may(*by)) continue;
      mark(*by);
      quickest = std::min(quickest, by->rtt.probe_timeout());
    }
    if (quickest == Duration::infinite()) return;
    due_at = now + std::max(back_off, quickest);
    back_off = std::min(back_off * 2, kValidationRetryMax);
  };
  for (auto& p : paths_) {
    if (p->status_acked) continue;
    spread(p->status_due_at, p->status_back_off, [&](SessionPath& by) { return may_tell(by, *p); },
           [&](SessionPath& by) { by.statuses_due |= status_bit(*p); });
  }
  if (policy_acked_) return;
  spread(policy_due_at_, policy_back_off_, [](SessionPath& by) { return by.works() && by.writable(); },
         [](SessionPath& by) { by.policy_due = true; });
}

int Session::tier(const SessionPath& p) const {
  if (p.machine.is_spare()) return 3;
  if (p.machine.state() == PathState::standby) return 2;
  return p.priority == wire::PathPriority::secondary ? 1 : 0;
}

// A path that is lost is kept, because its client may come back to it; but not at the price of a new one.
bool Session::drop_lost_path() {
  SessionPath* oldest = nullptr;
  for (auto& p : paths_) {
    if (p->machine.state() == PathState::lost && (!oldest || p->last_received < oldest->last_received)) oldest = p.get();
  }
  if (!oldest) return false;
  coupling_.leave(oldest->id);
  std::erase_if(paths_, [&](const auto& p) { return p.get() == oldest; });
  return true;
}

// Half of what is unacknowledged has arrived or still will, and only the other paths can say so.
void Session::remove_path(PathId id, Time now) {
  const auto owned = std::find_if(paths_.begin(), paths_.end(), [&](const auto& p) { return p->id == id; });
  if (owned == paths_.end()) return;
  SessionPath& p = **owned;
  apply(p, p.machine.on_event(PathInput::link_down, now), now);
  coupling_.leave(id);
  p.forget_at = now + kReinjectFor;
  p.challenge = p.previous_challenge = Challenge{};
  p.cross_ack_at = Time{};
  if (leaving_.size() >= kMostLeaving) leaving_.erase(leaving_.begin());
  leaving_.push_back(std::move(*owned));
  paths_.erase(owned);
  elect_leader(leaving_.back()->twins, now);
}

// ---- links (client) ----------------------------------------------------------------------------------------------

bool Session::never_answered(LinkId link) const {
  return std::any_of(paths_.begin(), paths_.end(), [&](const auto& p) {
    return p->address.tuple.link == link && p->machine.state() == PathState::lost && !p->ever_validated;
  });
}

bool Session::link_works(LinkId link, bool active_only) const {
  return std::any_of(paths_.begin(), paths_.end(), [&](const auto& p) {
    return p->address.tuple.link == link && (active_only ? p->carries_data() : p->works());
  });
}

Duration Session::lost_for(LinkId link, Time now) const {
  for (const auto& p : paths_) {
    if (p->address.tuple.link == link && p->machine.state() == PathState::lost) return now - p->machine.since();
  }
  return {};
}

bool Session::on_link_answered(LinkId link, Time now) {
  SessionPath* p = path_of_link(link);
  if (!p) return false;
  validate_path(*p, now);
  p->ping_due = true;
  return true;
}

void Session::on_link_down(LinkId link, Time now) {
  SessionPath* p = path_of_link(link);
  if (!p) return;
  close_path(*p, now);
}

void Session::on_link_priority(LinkId link, wire::PathPriority priority, Time now) {
  SessionPath* p = path_of_link(link);
  if (!p || p->priority == priority) return;
  p->priority = priority;
  const bool standby = priority == wire::PathPriority::backup;
  if (priority == wire::PathPriority::never) {
    apply(*p, p->machine.on_event(PathInput::paused, now), now);
    p->challenge.next_at = Time::infinite();
  } else {
    apply(*p, p->machine.on_event(PathInput::resumed, now), now);
    apply(*p, p->machine.on_event(standby ? PathInput::wants_standby : PathInput::wants_active, now), now);
  }
  send_status(*p, now);
}

void Session::on_link_trouble(LinkId link, Time now) {
  // Anybody can cause an ICMP error: it is a reason to look, never to believe.
  SessionPath* p = path_of_link(link);
  if (p && now - p->last_sent > kGranularity && !p->sent.has_eliciting_in_flight()) p->ping_due = true;
}

void Session::on_writable(LinkId link, bool writable) {
  for (auto& p : paths_) {
    if (p->address.tuple.link == link) p->blocked = !writable;
  }
}

// ---- addresses (server) --------------------------------------------------------------------------------------------

// NAT rebinding and roaming: the newest authentic datagram moves the address provisionally; a challenge decides.
void Session::follow_address(SessionPath& p, const ReceivedDatagram& d, bool newest, Time now) {
  if (p.gone()) return;
  if (d.from == p.address.tuple) {
    p.address.received_bytes += d.bytes.size();
    return;
  }
  if (p.previous_address && d.from == p.previous_address->tuple) {
    p.previous_address->received_bytes += d.bytes.size();
    return;
  }
  // A delayed or forwarded copy of an old datagram moves nothing. The client's own sockets do not move by themselves.
  if (!newest || context_.role == Role::client) return;
  const bool port_only = d.from.remote.ip == p.address.tuple.remote.ip;
  // A chain of moves keeps the last address that was proved, so that an attacker cannot push it out.
  if (!p.previous_address && p.address.validated) p.previous_address = p.address;
  p.address = PathAddress{d.from, false, d.bytes.size(), 0};
  p.challenge = Challenge{};
  p.challenge.next_at = now;
  p.previous_challenge = Challenge{};
  if (p.previous_address) p.previous_challenge.next_at = now;
  // What is under way to the old address may never arrive: repair it on the other paths.
  reinject_unacked(p);
  if (!port_only) {
    // Another network: nothing learnt about the old one holds (RFC 9000, 9.4).
    p.controller = make_controller(congestion_, p.mtu.datagram(), context_.rng.next_u64());
    coupling_.join(p.id, std::hash<IpAddress>{}(d.from.remote.ip));
    coupling_.set_live(p.id, p.carries_data());
    p.rtt = RttEstimator{};
    p.one_way_delay = OneWayDelay{};
    p.mtu.reset(now);
  }
}

// ---- repair --------------------------------------------------------------------------------------------------------

void Session::reinject(std::vector<SegmentRef>& segments) {
  for (SegmentRef& s : segments) {
    if (s->copies_pending > 0) s->half_lost = true;
    if (s->delivered || s->waiting || s->copies_pending > 0) continue;
    s->waiting = true;
    repairs_.push(std::move(s));
  }
  segments.clear();
}

void Session::reinject_unacked(SessionPath& p) {
  const bool elsewhere = std::any_of(paths_.begin(), paths_.end(), [&](const auto& other) { return other.get() != &p && other->works(); });
  // With nowhere to go the segments wait where they are: they are repaired when a path works again.
  std::vector<SegmentRef> unacked;
  p.sent.collect_unacked(unacked);
  if (elsewhere || p.machine.state() == PathState::lost) reinject(unacked);
}

// ---- estimates -----------------------------------------------------------------------------------------------------

void Session::update_estimates(Time now) {
  if (now < estimates_at_) return;
  estimates_at_ = now + Duration::millis(10);
  // A path that stopped carrying a moment ago still has packets under way, which others wait for.
  constexpr Duration kStillMatters = Duration::seconds(1);
  size_t carrying = 0;
  Duration slowest{}, slowest_used{}, slowest_carrying{}, longest_rtt{}, patience{}, low = Duration::infinite(), high{-Duration::infinite().ns};
  bool any_owd = false, lossy = false;
  for (const auto& p : paths_) {
    if (!p->rtt.has_sample() || (!p->carries_data() && now - p->last_received > kStillMatters)) continue;
    if (p->carries_data()) {
      ++carrying;
      lossy = lossy || p->loss.ratio(now) > kLossyPath;
      // An inner flow has to keep its rate through the path's jitter, too (four variances, as RFC 6298, 2.3 has them), and while
      // others in the network's queue, which is then longer than we alone leave, take and give back.
      const Duration others = std::max(Duration{}, p->rtt.smoothed() - p->rtt.min() * kOwnQueueOfRtt);
      const Duration with_jitter = p->rtt.smoothed() + p->rtt.variance() * 4;
      slowest_carrying = std::max(slowest_carrying, with_jitter);
      slowest_used = std::max(slowest_used, with_jitter + others * kOthersQueueCounts);
    }
    slowest = std::max(slowest, p->rtt.smoothed());
    longest_rtt = std::max(longest_rtt, p->rtt.smoothed() + p->rtt.variance() * 2);
    patience = std::max(patience, p->rtt.suspect_timeout());
    if (!p->one_way_delay.has_sample()) continue;
    low = std::min(low, p->one_way_delay.min());
    high = std::max(high, p->one_way_delay.smoothed());
    any_owd = true;
  }
  if (longest_rtt.ns == 0) return;
  // What an inner flow sees: order makes it as slow as the slowest path it uses, and repairs of frequent losses add a trip.
  const double trips = lossy ? 2.5 : 1;
  const Duration queue_rtt = queue_rtt_.update(slowest_used * trips, carrying, now);
  if (queue_rtt.ns > 0) ingress_.set_rtt(slowest_carrying * trips, queue_rtt);
  // The peer notices a dead path after its patience, then repairs within a trip; two paths may differ by the spread.
  const Duration spread = any_owd ? std::max(Duration{}, high - low) : slowest / 2;
  resequencer_.set_wait(patience + longest_rtt + spread);
}

// The tunnel's MTU is that of the smallest path that works, standby ones included: a failover should not move it. A path
// whose search goes on has no say; meanwhile it carries large packets in two pieces.
void Session::follow_path_mtu(Time now) {
  uint16_t smallest = 0;
  for (const auto& p : paths_) {
    const uint16_t known = p->mtu.known();
    if (known == 0 || !p->works()) continue;
    const auto fits = static_cast<uint16_t>(known - wire::kFullDatagramOverhead);
    smallest = smallest == 0 ? fits : std::min(smallest, fits);
  }
  if (!tunnel_mtu_.on_paths(smallest, now) || context_.role == Role::server) return;
  context_.events.push_back(TunnelMtuChanged{tunnel_mtu_.mtu()});
}

bool Session::any_path_works() const {
  return std::any_of(paths_.begin(), paths_.end(), [](const auto& p) { return p->works(); });
}

bool Session::has_active_path() const {
  return std::any_of(paths_.begin(), paths_.end(), [](const auto& p) { return p->carries_data(); });
}

Time Session::last_progress() const {
  Time t = created_;
  for (const auto& p : paths_) t = std::max(t, p->last_progress);
  return t;
}

}  // namespace hawser
