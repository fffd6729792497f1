// Initiations: cheap checks first (layout, mac1, cookie), then the curve, then the registry's word, then the answer.
// Nothing here displaces a live session: that happens only when the client's first datagram under the new keys came.
#include <algorithm>

#include "common/crypto/hash.h"
#include "common/session/handover.h"
#include "common/session/server_endpoint.h"

namespace hawser {

size_t ServerEndpoint::MacHash::operator()(const Mac& m) const noexcept {
  size_t h = 0;
  for (size_t i = 0; i < sizeof h; ++i) h = h << 8 | m[i];
  return h;
}

bool ServerEndpoint::answer_from_cache(const Mac& mac1, const UdpTuple& from, Time now) {
  if (auto it = cache_.find(mac1); it != cache_.end() && now - it->second.at < kInitiationLife) {
    if (it->second.owner) {
      // Bounded: who sends one initiation again and again does not make the workers write to each other without end.
      if (++it->second.copies <= kMaxHandedCopies) {
        events_.push_back(Handover{*it->second.owner, std::make_shared<HandedHandshake>(mac1, std::vector{from})});
      } else {
        info_.drops.count(DropReason::handshake_budget);
      }
      return true;
    }
    outgoing_.push_back({from, it->second.datagram});
    // More than one address holds the answer now: none of them is proved by it.
    if (auto e = entries_.find(it->second.entry_id); e != entries_.end()) e->second->session.distrust_addresses(from);
    return true;
  }
  if (auto it = lookup_by_mac_.find(mac1); it != lookup_by_mac_.end()) {
    auto& from_list = lookups_.at(it->second).from;
    if (from_list.size() < kMaxPaths && std::find(from_list.begin(), from_list.end(), from) == from_list.end()) from_list.push_back(from);
    return true;
  }
  return false;
}

bool ServerEndpoint::was_answered_before(const Mac& mac1) const { return answered_.contains(MacHash{}(mac1)); }

void ServerEndpoint::remember(const Mac& mac1) {
  const uint64_t h = MacHash{}(mac1);
  if (!answered_.insert(h).second) return;
  answered_age_.push_back(h);
  if (answered_age_.size() <= kRememberedInitiations) return;
  answered_.erase(answered_age_.front());
  answered_age_.pop_front();
}

void ServerEndpoint::on_initiation(const ReceivedDatagram& d, Time now) {
  const auto view = responder_.check_mac1(d.bytes);
  if (!view) {
    // Without our public key nobody gets past here, and nobody gets an answer.
    info_.drops.count(view.why() == HandshakeReject::version  ? DropReason::version
                      : view.why() == HandshakeReject::mac1 ? DropReason::mac1
                                                              : DropReason::malformed);
    return;
  }
  auto checked = view;
  Mac mac1;
  std::copy(checked->mac1.begin(), checked->mac1.end(), mac1.begin());
  if (answer_from_cache(mac1, d.from, now)) return;

  if (was_answered_before(mac1)) {
    info_.drops.count(DropReason::replay);
    return;
  }
  bool proved = false;
  if (budget_.under_load(now)) {
    proved = cookies_.verify_mac2(*checked, d.from.remote, now);
    if (!proved) {
      const auto reply = cookies_.reply(*checked, d.from.remote, now);
      outgoing_.push_back({d.from, {reply.begin(), reply.end()}});
      ++info_.cookies_sent;
      info_.drops.count(DropReason::cookie_required);
      return;
    }
  }
  if (!budget_.take(proved, now) || lookups_.size() >= kMaxLookups) {
    info_.drops.count(DropReason::handshake_budget);
    return;
  }
  auto pending = responder_.open(*checked);
  if (!pending) {
    info_.drops.count(DropReason::handshake_auth);
    return;
  }
  ++info_.handshakes_started;
  const uint64_t id = next_lookup_++;
  RegistryLookup question{LookupId{id}, pending->initiator(), std::nullopt};
  if (pending->payload().enrolment) question.token_id = pending->payload().enrolment->token_id;
  lookups_.emplace(id, Lookup{std::move(*pending), mac1, {d.from}, now});
  lookup_by_mac_.emplace(mac1, id);
  lookup_age_.push_back({now, id});
  events_.push_back(question);
}

void ServerEndpoint::on_registry_answer(const RegistryAnswer& answer, Time now) {
  now_ = now;
  if (auto c = commits_.find(answer.id.value); c != commits_.end()) {
    const uint64_t entry_id = c->second;
    commits_.erase(c);
    on_commit_answer(entry_id, answer, now);
    return;
  }
  auto it = lookups_.find(answer.id.value);
  if (it == lookups_.end()) return;  // took too long
  Lookup lookup = std::move(it->second);
  lookup_by_mac_.erase(lookup.mac1);
  lookups_.erase(it);
  switch (answer.verdict) {
    case RegistryAnswer::Verdict::unknown:
      info_.drops.count(DropReason::unknown_user);
      return;
    case RegistryAnswer::Verdict::removed: return refuse(lookup, wire::RefusalReason::removed, now);
    case RegistryAnswer::Verdict::disabled: return refuse(lookup, wire::RefusalReason::disabled, now);
    case RegistryAnswer::Verdict::token_used:
    case RegistryAnswer::Verdict::token_expired: {
      const bool used = answer.verdict == RegistryAnswer::Verdict::token_used;
      return refuse(lookup, used ? wire::RefusalReason::token_used : wire::RefusalReason::token_expired, now);
    }
    case RegistryAnswer::Verdict::accepted: break;
  }
  const uint32_t owner = config_.steering.of_user(answer.inner_v4, answer.inner_v6);
  if (owner != config_.worker) return hand_over(lookup, owner, answer, now);
  accept(lookup, answer, now);
}

// ---- between workers: whoever took it asks the registry, the user's owner answers and has the session ---------------------

void ServerEndpoint::hand_over(Lookup& lookup, uint32_t owner, const RegistryAnswer& answer, Time now) {
  auto what = std::make_shared<HandedHandshake>(lookup.mac1, std::move(lookup.from));
  what->handshake = std::move(lookup.handshake);
  what->answer = answer;
  CachedResponse elsewhere{{}, now};
  elsewhere.owner = owner;
  cache(lookup.mac1, std::move(elsewhere));
  remember(lookup.mac1);  // a replay costs neither curve operations nor a question, here as with the owner
  events_.push_back(Handover{owner, std::move(what)});
}

void ServerEndpoint::on_handover(HandedHandshake& what, Time now) {
  now_ = now;
  // Another worker may have taken a copy of what was answered from here: it gets the same answer.
  bool answered = false;
  for (const UdpTuple& from : what.from) answered = answer_from_cache(what.mac1, from, now) || answered;
  if (answered || !what.handshake) return;
  // Only here is it sure that these bytes made no keys before: who took them now may not have taken them then.
  if (was_answered_before(what.mac1)) {
    info_.drops.count(DropReason::replay);
    return;
  }
  Lookup lookup{std::move(*what.handshake), what.mac1, std::move(what.from), now};
  accept(lookup, what.answer, now);
}

SessionIndex ServerEndpoint::fresh_index() {
  while (true) {
    const SessionIndex i{static_cast<uint32_t>(rng_.next_u64())};
    if (config_.steering.of_index(i) == config_.worker && !by_index_.contains(i)) return i;
  }
}

wire::AcceptPayload ServerEndpoint::accept_payload(const RegistryAnswer& answer, uint64_t nonce, uint8_t cipher,
                                                   const SocketAddress& observed) const {
  wire::AcceptPayload p;
  p.session_nonce = nonce;
  p.cipher = cipher;
  p.mtu = config_.tunnel_mtu;
  p.inner_v4 = answer.inner_v4;
  p.inner_v6 = answer.inner_v6;
  p.server_v4 = config_.server_v4;
  p.server_v6 = config_.server_v6;
  p.observed = observed;
  p.endpoints = config_.endpoints;
  p.routes = config_.routes;
  p.dns = config_.dns;
  return p;
}

void ServerEndpoint::accept(Lookup& lookup, const RegistryAnswer& answer, Time now) {
  const auto& payload = lookup.handshake.payload();
  if (payload.enrolment && !lookup.handshake.proves(SecretKey(std::span<const uint8_t, 32>(answer.verifier)))) {
    // Knows the token's name but not the token.
    info_.drops.count(DropReason::handshake_auth);
    return;
  }
  const auto known = users_.find(answer.user);
  Entry* live = known == users_.end() ? nullptr : known->second.live;
  const bool continues = live && !live->session.closing() && live->session.peer_nonce() == payload.session_nonce;
  if (!continues && entries_.size() >= config_.max_sessions + kMaxPendingHandshakes) return refuse(lookup, wire::RefusalReason::full, now);
  if (!live && is_full()) return refuse(lookup, wire::RefusalReason::full, now);

  const uint8_t cipher = choose_cipher(payload.ciphers, config_.ciphers);
  const SessionIndex index = fresh_index();
  const uint64_t own_nonce = continues ? live->session.own_nonce() : rng_.next_u64();
  auto response = lookup.handshake.respond(accept_payload(answer, own_nonce, cipher, lookup.from.front().remote),
                                           SecretKey(std::span<const uint8_t, 32>(answer.psk)), index, rng_, config_.cipher_factory);
  if (!response || !response->keys) {
    info_.drops.count(DropReason::handshake_auth);
    return;
  }
  Entry* entry = live;
  uint64_t entry_id = continues ? id_of(*live) : 0;
  if (!continues) {
    if (known != users_.end() && known->second.pending.size() >= kMaxPendingPerUser) destroy(id_of(*known->second.pending.front()));
    SessionIdentity identity{answer.user, answer.name, answer.inner_v4, answer.inner_v6, config_.server_v4, config_.server_v6};
    auto made = std::make_unique<Entry>(context(), std::move(identity), own_nonce, payload.session_nonce, config_.tunnel_mtu, now);
    entry = made.get();
    entry->key = lookup.handshake.initiator();
    if (payload.enrolment) entry->token_id = payload.enrolment->token_id;
    entry_id = next_entry_id_++;
    entry_ids_.emplace(entry, entry_id);
    entries_.emplace(entry_id, std::move(made));
    users_[answer.user].pending.push_back(entry);
  }
  SessionKey key{index, lookup.handshake.peer_index(), std::move(*response->keys), now};
  if (auto gone = entry->session.keys().install_next(std::move(key))) by_index_.erase(*gone);
  bind_index(*entry, index, entry_id);
  // The keys prove that the answer was received, at the one address it went to. With several copies nobody knows at which.
  if (lookup.from.size() == 1) entry->session.trust_address(lookup.from.front());
  remember(lookup.mac1);
  touch(*entry, entry_id);
  respond(lookup, std::move(response->datagram), entry_id, now);
}

// The one exception to silence: a key or token that the registry knows as no longer welcome is told so, sealed.
void ServerEndpoint::refuse(Lookup& lookup, wire::RefusalReason reason, Time now) {
  if (!budget_.may_refuse(now)) {
    info_.drops.count(DropReason::handshake_budget);
    return;
  }
  ++info_.handshakes_refused;
  auto response = lookup.handshake.respond(wire::RefusedPayload{reason}, SecretKey{}, fresh_index(), rng_, config_.cipher_factory);
  if (response) respond(lookup, std::move(response->datagram), 0, now);
}

void ServerEndpoint::respond(const Lookup& lookup, std::vector<uint8_t> datagram, uint64_t entry_id, Time now) {
  for (const UdpTuple& from : lookup.from) outgoing_.push_back({from, datagram});
  cache(lookup.mac1, {std::move(datagram), now, entry_id});
}

void ServerEndpoint::cache(const Mac& mac1, CachedResponse response) {
  if (cache_age_.size() >= kMaxPendingHandshakes) {
    cache_.erase(cache_age_.front().second);
    cache_age_.pop_front();
  }
  cache_age_.push_back({response.at, mac1});
  cache_[mac1] = std::move(response);
}

void ServerEndpoint::on_commit_answer(uint64_t entry_id, const RegistryAnswer& answer, Time now) {
  auto it = entries_.find(entry_id);
  if (it == entries_.end()) return;
  Entry& e = *it->second;
  e.committing = false;
  if (answer.verdict == RegistryAnswer::Verdict::accepted) {
    e.token_id.reset();
    go_live(e, {}, now);
    return;
  }
  const bool expired = answer.verdict == RegistryAnswer::Verdict::token_expired;
  retire(e, expired ? wire::CloseReason::expired : wire::CloseReason::used, now);
}

void ServerEndpoint::expire_handshakes(Time now) {
  while (!cache_age_.empty() && now - cache_age_.front().first >= kInitiationLife) {
    cache_.erase(cache_age_.front().second);
    cache_age_.pop_front();
  }
  while (!lookup_age_.empty() && now - lookup_age_.front().first >= kLookupLife) {
    if (auto it = lookups_.find(lookup_age_.front().second); it != lookups_.end()) {
      lookup_by_mac_.erase(it->second.mac1);
      lookups_.erase(it);
    }
    lookup_age_.pop_front();
  }
}

}  // namespace hawser
