// Many sessions: which one a datagram or packet belongs to, their coming and going, their timers, and their turns at the
// way out.
#include "common/session/server_endpoint.h"

#include <algorithm>

namespace hawser {

// The rules that steer datagrams to workers know the layouts by numbers of their own.
static_assert(Steering::kDataType == static_cast<uint8_t>(wire::DatagramType::data) &&
              Steering::kInitiationType == static_cast<uint8_t>(wire::DatagramType::initiation) &&
              Steering::kEphemeralOffset == wire::kHandshakePrefix);

namespace {
constexpr Duration kForgetSilentSession = kRejectKeyAfter + Duration::seconds(30);
}

std::unique_ptr<Endpoint> Endpoint::make_server(ServerConfig config, Rng& rng) {
  return std::make_unique<ServerEndpoint>(std::move(config), rng);
}

ServerEndpoint::ServerEndpoint(ServerConfig config, Rng& rng)
    : EndpointBase(Role::server, config, rng),
      config_(std::move(config)),
      responder_(config_.static_key),
      cookies_(config_.static_key.public_key(), rng, Time{}),
      budget_(config_.steering.workers) {}

// ---- in ----------------------------------------------------------------------------------------------------------

void ServerEndpoint::on_datagrams(std::span<ReceivedDatagram> batch, Time now) {
  now_ = now;
  handed_out_.clear();
  budget_.begin_turn();
  for (ReceivedDatagram& d : batch) {
    const auto type = wire::datagram_type(d.bytes);
    if (type == wire::DatagramType::data) {
      on_data(d, now);
    } else if (type == wire::DatagramType::initiation) {
      on_initiation(d, now);
    } else {
      info_.drops.count(DropReason::malformed);
    }
  }
}

void ServerEndpoint::on_data(ReceivedDatagram& d, Time now) {
  const auto header = wire::parse_data_header(d.bytes);
  if (!header) {
    info_.drops.count(DropReason::malformed);
    return;
  }
  const auto it = by_index_.find(header->receiver);
  if (it == by_index_.end()) {
    info_.drops.count(DropReason::unknown_index);
    return;
  }
  const uint64_t id = it->second;
  Entry& e = *entries_.at(id);
  if (e.committing) return;  // the registry is writing; the client sends again
  if (!e.session.on_datagram(d, *header, info_.drops, now)) return;
  if (e.session.closing()) {
    // A closed session that is still spoken to says why again, at most once a second.
    if (now - e.close_repeated_at >= Duration::seconds(1)) {
      e.close_repeated_at = now;
      e.session.repeat_close();
    }
  } else if (!e.live) {
    promote(e, d.from, now);
  }
  if (!entries_.contains(id)) return;
  release_indices(e);
  if (const auto reason = e.session.take_peer_close()) {
    if (e.live) events_.push_back(Closed{e.session.identity().user, *reason});
    destroy(id);
    return;
  }
  touch(e, id);
}

// The client's first datagram under the key: it has the key, so it is who it says, and it is alive.
void ServerEndpoint::promote(Entry& e, const UdpTuple& via, Time now) {
  if (e.token_id) {
    e.committing = true;
    const uint64_t id = next_lookup_++;
    commits_.emplace(id, id_of(e));
    events_.push_back(EnrolmentCommit{LookupId{id}, e.key, *e.token_id});
    return;
  }
  go_live(e, via, now);
}

void ServerEndpoint::go_live(Entry& e, const UdpTuple& via, Time) {
  const UserId user_id = e.session.identity().user;
  User& user = users_[user_id];
  std::erase(user.pending, &e);
  if (user.live && user.live != &e) {
    // The client began anew (restart, other device state): the old session ends silently, its client is gone.
    destroy(id_of(*user.live));
  }
  e.live = true;
  users_[user_id].live = &e;
  count_live(+1);
  ++info_.handshakes_completed;
  const uint64_t id = id_of(e);
  if (e.session.identity().inner_v4.is_set()) by_inner_[e.session.identity().inner_v4] = id;
  if (e.session.identity().inner_v6.is_set()) by_inner_[e.session.identity().inner_v6] = id;
  events_.push_back(SessionUp{user_id, e.session.identity().name, e.key, via});
  touch(e, id);
}

void ServerEndpoint::on_packets(std::span<Packet> from_tun, Time now) {
  now_ = now;
  for (Packet& p : from_tun) {
    const auto headers = parse_packet(p.bytes(), hash_seed_);
    if (!headers) {
      info_.drops.count(DropReason::bad_packet);
      continue;
    }
    const auto it = by_inner_.find(headers->destination);
    if (it == by_inner_.end()) {
      info_.drops.count(DropReason::no_route);
      continue;
    }
    Entry& e = *entries_.at(it->second);
    e.session.on_packet(std::move(p), *headers, now);
    touch(e, it->second);
  }
}

// ---- coming and going ----------------------------------------------------------------------------------------------

void ServerEndpoint::bind_index(Entry& e, SessionIndex index, uint64_t entry_id) {
  by_index_[index] = entry_id;
  e.indices.push_back(index);
}

void ServerEndpoint::release_indices(Entry& e) {
  for (SessionIndex i : e.session.take_released_indices()) {
    by_index_.erase(i);
    std::erase(e.indices, i);
  }
}

void ServerEndpoint::prune(UserId user) {
  auto u = users_.find(user);
  if (u != users_.end() && !u->second.live && u->second.pending.empty()) users_.erase(u);
}

void ServerEndpoint::destroy(uint64_t entry_id) {
  auto it = entries_.find(entry_id);
  if (it == entries_.end()) return;
  Entry& e = *it->second;
  const SessionIdentity& who = e.session.identity();
  for (SessionIndex i : e.indices) by_index_.erase(i);
  for (const IpAddress& a : {who.inner_v4, who.inner_v6}) {
    if (auto b = by_inner_.find(a); b != by_inner_.end() && b->second == entry_id) by_inner_.erase(b);
  }
  if (e.live) count_live(-1);
  if (auto u = users_.find(who.user); u != users_.end()) {
    if (u->second.live == &e) u->second.live = nullptr;
    std::erase(u->second.pending, &e);
  }
  prune(who.user);
  // Totals must not go down when a session ends.
  for (size_t i = 0; i < kDropReasons; ++i) info_.drops.values[i] += e.session.drops().values[i];
  entry_ids_.erase(&e);
  entries_.erase(it);
}

void ServerEndpoint::count_live(int change) {
  live_sessions_ += static_cast<size_t>(change);
  if (config_.all_sessions) config_.all_sessions->fetch_add(static_cast<size_t>(change), std::memory_order_relaxed);
}

bool ServerEndpoint::is_full() const {
  const size_t live = config_.all_sessions ? config_.all_sessions->load(std::memory_order_relaxed) : live_sessions_;
  return live >= config_.max_sessions;
}

// Cuts a session off at once; it stays only to tell its client why.
void ServerEndpoint::retire(Entry& e, wire::CloseReason reason, Time now) {
  const uint64_t id = id_of(e);
  const SessionIdentity& who = e.session.identity();
  for (const IpAddress& a : {who.inner_v4, who.inner_v6}) {
    if (auto b = by_inner_.find(a); b != by_inner_.end() && b->second == id) by_inner_.erase(b);
  }
  if (e.live) count_live(-1);
  e.live = false;
  if (auto u = users_.find(who.user); u != users_.end()) {
    if (u->second.live == &e) u->second.live = nullptr;
    std::erase(u->second.pending, &e);
  }
  prune(who.user);
  e.closed_at = e.close_repeated_at = now;
  e.session.close(reason, now);
  touch(e, id);
}

void ServerEndpoint::close(UserId user, wire::CloseReason reason, Time now, const PublicKey* device) {
  now_ = now;
  auto u = users_.find(user);
  if (u == users_.end()) return;
  const auto is_meant = [&](const Entry* e) { return device == nullptr || e->key == *device; };
  std::vector<uint64_t> doomed;
  // A pending handshake that waits for its own commit is what replaces the old key: it stays.
  for (Entry* e : u->second.pending) {
    if (!e->committing && is_meant(e)) doomed.push_back(id_of(*e));
  }
  Entry* live = u->second.live;
  for (uint64_t id : doomed) destroy(id);
  if (live && is_meant(live)) {
    events_.push_back(Closed{user, reason});
    retire(*live, reason, now);
  }
  // What was cached for this user's handshakes must not be handed out any more.
  for (auto it = cache_.begin(); it != cache_.end();) {
    it = it->second.entry_id && !entries_.contains(it->second.entry_id) ? cache_.erase(it) : std::next(it);
  }
}

void ServerEndpoint::close_all(wire::CloseReason reason, Time now) {
  std::vector<UserId> all;
  for (const auto& [id, user] : users_) all.push_back(id);
  for (UserId id : all) close(id, reason, now, nullptr);
}

void ServerEndpoint::set_announcements(std::vector<SocketAddress> endpoints, std::vector<IpPrefix> routes, std::vector<IpAddress> dns,
                                       Time) {
  config_.endpoints = std::move(endpoints);
  config_.routes = std::move(routes);
  config_.dns = std::move(dns);
  for (auto& [id, e] : entries_) {
    if (!e->live) continue;
    e->session.announce(config_.endpoints);
    touch(*e, id);
  }
}

// ---- time ----------------------------------------------------------------------------------------------------------

// The session may have something to send; its next deadline is taken when it has nothing (more) to send.
void ServerEndpoint::touch(Entry& e, uint64_t entry_id) {
  if (e.ready) return;
  e.ready = true;
  ready_.push_back(entry_id);
}

// When a session that is not heard of any more ends.
Time ServerEndpoint::end_of_life(const Entry& e) {
  if (e.session.closing()) return e.closed_at + kTombstoneLife;
  const Duration life = e.live ? kForgetSilentSession : kPendingLife;
  return std::max(e.session.last_received(), e.created) + life;
}

// Only a nearer deadline is put into the heap: an entry that fires early finds nothing due and is put back.
void ServerEndpoint::schedule(Entry& e, uint64_t entry_id, Time now) {
  const Time next = std::min(e.session.next_timeout(now), end_of_life(e));
  if (next < e.scheduled) {
    e.scheduled = next;
    timers_.push_back({next, entry_id});
    std::push_heap(timers_.begin(), timers_.end(), std::greater<>{});
  }
  // What a nearer one replaced wakes nobody: with every packet's it would be as many wake-ups as packets.
  while (!timers_.empty() && !is_valid(timers_.front())) pop_timer();
}

bool ServerEndpoint::is_valid(const Timer& t) const {
  const auto it = entries_.find(t.entry_id);
  return it != entries_.end() && it->second->scheduled == t.at;
}

void ServerEndpoint::pop_timer() {
  std::pop_heap(timers_.begin(), timers_.end(), std::greater<>{});
  timers_.pop_back();
}

void ServerEndpoint::on_timer(Time now) {
  now_ = now;
  const bool held_up = was_held_up(now);
  expire_handshakes(now);
  while (!timers_.empty() && timers_.front().at <= now) {
    const Timer t = timers_.front();
    pop_timer();
    if (!is_valid(t)) continue;
    Entry& e = *entries_.at(t.entry_id);
    e.scheduled = Time::infinite();
    if (held_up) e.session.on_held_up(now);
    e.session.on_timer(now);
    release_indices(e);
    if (end_of_life(e) <= now || (!e.live && !e.session.closing() && e.session.keys().empty())) {
      if (e.live) events_.push_back(Closed{e.session.identity().user, wire::CloseReason::idle});
      destroy(t.entry_id);
      continue;
    }
    touch(e, t.entry_id);
  }
}

Time ServerEndpoint::next_timeout() const {
  Time t = timers_.empty() ? Time::infinite() : timers_.front().at;
  if (!lookup_age_.empty()) t = std::min(t, lookup_age_.front().first + kLookupLife);
  promise(t);
  return t;
}

// ---- out -----------------------------------------------------------------------------------------------------------

// Sessions take turns, one burst each: nobody's download starves another's (a burst is about a millisecond of a path).
bool ServerEndpoint::poll_transmit(TransmitBatch& batch, Time now) {
  now_ = now;
  if (pop_outgoing(batch)) return true;
  while (!ready_.empty()) {
    const uint64_t id = ready_.front();
    ready_.pop_front();
    auto it = entries_.find(id);
    if (it == entries_.end()) continue;
    Entry& e = *it->second;
    if (e.session.poll_transmit(batch, now)) {
      ready_.push_back(id);
      return true;
    }
    e.ready = false;
    // Nothing more now: its next deadline (pacing, acks) decides when it is asked again.
    schedule(e, id, now);
  }
  return false;
}

void ServerEndpoint::on_writable(LinkId link, bool writable, Time now) {
  now_ = now;
  for (auto& [id, e] : entries_) {
    e->session.on_writable(link, writable);
    if (writable) touch(*e, id);
  }
}

EndpointInfo ServerEndpoint::info() const {
  EndpointInfo i = info_;
  i.sessions = live_sessions_;
  return i;
}

std::vector<SessionInfo> ServerEndpoint::sessions(Time now) const {
  std::vector<SessionInfo> out;
  for (const auto& [id, e] : entries_) {
    if (e->live) out.push_back(e->session.info(now));
  }
  return out;
}

}  // namespace hawser
