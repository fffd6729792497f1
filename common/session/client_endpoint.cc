// Racing the handshake over all links, opening the paths, noticing that the server is gone, and the pumping of the session.
#include "common/session/client_endpoint.h"

#include <algorithm>

namespace hawser {

std::unique_ptr<Endpoint> Endpoint::make_client(ClientConfig config, Rng& rng) {
  return std::make_unique<ClientEndpoint>(std::move(config), rng);
}

ClientEndpoint::ClientEndpoint(ClientConfig config, Rng& rng)
    : EndpointBase(Role::client, config, rng), config_(std::move(config)), session_nonce_(rng.next_u64()) {}

ClientEndpoint::Link* ClientEndpoint::find_link(LinkId id) {
  for (Link& l : links_) {
    if (l.up.link == id) return &l;
  }
  return nullptr;
}

// ---- handshake ---------------------------------------------------------------------------------------------------

void ClientEndpoint::begin_handshake(Time now) {
  InitiatorParams params;
  params.local = &config_.static_key;
  params.responder = config_.server_key;
  params.own_index = SessionIndex{static_cast<uint32_t>(rng_.next_u64())};
  params.payload.session_nonce = session_nonce_;
  params.payload.ciphers = config_.ciphers;
  if (config_.enrolment_token && !enrolled_) params.token = *config_.enrolment_token;
  params.psk = &config_.psk;
  initiator_ = Initiator::begin(params, rng_);
  if (!initiator_) {
    stopped_ = true;  // the server's key is a low-order point: nothing can ever answer
    return;
  }
  ++info_.handshakes_started;
  initiation_began_ = now;
  initiation_next_ = now;
  initiation_interval_ = kHandshakeRetryFirst;
  send_initiations(now);
}

// The same bytes on every link at once; only mac2 differs, where a server under load asked for it.
void ClientEndpoint::send_initiations(Time now) {
  // A session that works renews its keys over the links that work; else every link is tried.
  const bool some_work = session_ && session_->any_path_works();
  for (Link& l : links_) {
    if (l.up.priority == wire::PathPriority::never) continue;  // carries not even a handshake
    if (some_work && !l.has_path) continue;
    // Standby paths are kept warm at least cost: the first attempt spares them.
    if (some_work && now == initiation_began_ && session_->has_active_path() && !session_->link_works(l.up.link, true)) continue;
    queue_initiation(l, now);
  }
  initiation_next_ = now + initiation_interval_;
  initiation_interval_ = std::min(initiation_interval_ * 2, kHandshakeRetryMax);
}

void ClientEndpoint::queue_initiation(Link& l, Time now) {
  if (!initiator_) return;
  const ByteSpan bytes = initiator_->datagram();
  OutgoingDatagram d{{l.up.link, l.up.local, l.up.remote}, {bytes.begin(), bytes.end()}};
  if (l.cookie && now - l.cookie_at < kCookieLifetime) set_mac2(d.bytes, *l.cookie);
  outgoing_.push_back(std::move(d));
  ++l.initiations_sent;
}

bool ClientEndpoint::needs_handshake(Time now) const {
  return !stopped_ && !links_.empty() && !initiator_ && handshake_wanted_at() <= now;
}

// When the keys are old, or when nothing has been heard on any path for so long that the server may have forgotten us.
Time ClientEndpoint::handshake_wanted_at() const {
  if (!session_ || !session_->keys().current()) return Time{1};
  Time t = session_->keys().current()->established + kRekeyAfter;
  if (session_->wants_rekey(now_)) return Time{1};
  if (!session_->any_path_works()) {
    const Time silent_since = std::max(session_->last_progress(), session_->last_received());
    t = std::min(t, silent_since + kReconnectAfter);
  }
  return t;
}

void ClientEndpoint::handshake_timer(Time now) {
  if (initiator_ && now >= initiation_next_) {
    if (now - initiation_began_ >= kInitiationLife) {
      begin_handshake(now);  // the server's cached answer is gone: new bytes
    } else {
      send_initiations(now);
    }
  }
  if (needs_handshake(now)) begin_handshake(now);
}

void ClientEndpoint::on_cookie(const ReceivedDatagram& d, Time now) {
  Link* l = find_link(d.from.link);
  if (!initiator_ || !l) {
    info_.drops.count(DropReason::unknown_index);
    return;
  }
  const auto cookie = initiator_->open_cookie(d.bytes);
  if (!cookie) {
    info_.drops.count(DropReason::handshake_auth);
    return;
  }
  l->cookie = *cookie;
  l->cookie_at = now;
  queue_initiation(*l, now);
}

void ClientEndpoint::on_response(const ReceivedDatagram& d, Time now) {
  if (!initiator_) {
    info_.drops.count(DropReason::unknown_index);
    return;
  }
  auto done = initiator_->consume_response(d.bytes, config_.cipher_factory);
  if (!done) {
    const auto why = done.why();
    info_.drops.count(why == HandshakeReject::malformed ? DropReason::malformed
                      : why == HandshakeReject::version ? DropReason::version
                      : why == HandshakeReject::mac1    ? DropReason::mac1
                      : why == HandshakeReject::index   ? DropReason::unknown_index
                                                        : DropReason::handshake_auth);
    return;
  }
  if (const auto* refused = std::get_if<wire::RefusedPayload>(&done->payload)) {
    ++info_.handshakes_refused;
    initiator_.reset();
    stopped_ = true;
    clear_session();
    events_.push_back(Refused{refused->reason});
    return;
  }
  on_accepted(std::move(*done), d.from, now);
}

void ClientEndpoint::on_accepted(Initiator::Completed done, const UdpTuple& via, Time now) {
  accept_ = std::get<wire::AcceptPayload>(done.payload);
  ++info_.handshakes_completed;
  SessionKey key{initiator_->own_index(), done.peer_index, std::move(*done.keys), now};
  initiator_.reset();
  initiation_next_ = Time::infinite();
  // The server's nonce tells whether it still knows the session; if not, everything starts from zero on both sides.
  resumed_ = session_ && session_->peer_nonce() == accept_.session_nonce;
  if (!resumed_) {
    clear_session();
    SessionIdentity identity{UserId{}, "", accept_.inner_v4, accept_.inner_v6, accept_.server_v4, accept_.server_v6};
    const uint16_t mtu = accept_.mtu ? std::min(accept_.mtu, config_.tunnel_mtu) : config_.tunnel_mtu;
    session_ = std::make_unique<Session>(context(), std::move(identity), session_nonce_, accept_.session_nonce, mtu, now);
  }
  session_->keys().install(std::move(key));
  accepted_via_ = via;
  confirmed_ = false;
  open_paths(via, now);
  session_->confirm_keys(now);
  if (!resumed_ && policy_.set) session_->set_policy(policy_.mode, policy_.scheduler, policy_.congestion, now);
}

// ---- paths -------------------------------------------------------------------------------------------------------

void ClientEndpoint::open_paths(const UdpTuple& via, Time now) {
  Link* first = find_link(via.link);
  if (first) {
    if (!first->has_path) {
      session_->open_path(first->up, true, now);
      first->has_path = true;
      ++first->tried;
    } else {
      session_->on_link_answered(via.link, now);
    }
  }
  open_spare_paths(now);
}

// One path for each group of links: the one that answered, else the one to the same server address, else the first. Spares
// of an interface that has a path already leave room for other interfaces' paths.
void ClientEndpoint::open_spare_paths(Time now) {
  for (Link& l : links_) {
    const auto paths = std::count_if(links_.begin(), links_.end(), [](const Link& o) { return o.has_path; });
    const bool served = std::any_of(links_.begin(), links_.end(), [&](const Link& o) {
      const bool same_line = l.up.twins != 0 && o.up.twins == l.up.twins;
      return o.has_path && (o.up.group == l.up.group || (same_line && paths >= static_cast<ptrdiff_t>(kMaxPaths / 2)));
    });
    if (served || session_->closing()) continue;
    Link* choice = &l;
    for (Link& o : links_) {
      if (o.up.group != l.up.group) continue;
      const bool better = o.tried < choice->tried || (o.tried == choice->tried && o.up.remote == accepted_via_.remote);
      if (better) choice = &o;
    }
    session_->open_path(choice->up, false, now);
    choice->has_path = true;
    ++choice->tried;
  }
}

// A link that never answered gives way to the next one of its group (another address of the server). So does one that fell
// silent, when the server answers elsewhere under an address that this group has too: it has moved.
void ClientEndpoint::replace_silent_paths(Time now) {
  for (Link& l : links_) {
    const bool has_alternative = std::any_of(links_.begin(), links_.end(), [&](const Link& o) { return &o != &l && o.up.group == l.up.group; });
    if (!l.has_path || !has_alternative) continue;
    const auto leads_on = [&](const Link& o) {
      return o.up.group != l.up.group && o.has_path && o.up.remote != l.up.remote && session_->link_works(o.up.link, false) &&
             std::any_of(links_.begin(), links_.end(), [&](const Link& a) { return a.up.group == l.up.group && a.up.remote == o.up.remote; });
    };
    const auto moved_to = std::find_if(links_.begin(), links_.end(), leads_on);
    const bool moved = moved_to != links_.end() && session_->lost_for(l.up.link, now) > kFollowServerAfter;
    if (moved) accepted_via_.remote = moved_to->up.remote;
    // An address whose provider is gone stays lost for good, although the interface has others.
    const bool other_source = std::any_of(links_.begin(), links_.end(), [&](const Link& o) {
      return o.up.group == l.up.group && o.up.local.ip != l.up.local.ip;
    });
    const bool gone = other_source && session_->any_path_works() && session_->lost_for(l.up.link, now) > kTryOtherSourceAfter;
    if (!moved && !gone && !session_->never_answered(l.up.link)) continue;
    session_->on_link_down(l.up.link, now);
    l.has_path = false;
    open_spare_paths(now);
  }
}

void ClientEndpoint::clear_session() {
  session_.reset();
  for (Link& l : links_) l.has_path = false;
  was_working_ = false;
}

void ClientEndpoint::on_path_event(const PathEvent& event, Time now) {
  now_ = now;
  if (const auto* up = std::get_if<LinkUp>(&event)) {
    links_.push_back({*up, {}, {}, 0, false, 0});
    if (initiator_) {
      if (up->priority != wire::PathPriority::never) queue_initiation(links_.back(), now);
    } else if (session_) {
      open_spare_paths(now);
    } else if (needs_handshake(now)) {
      begin_handshake(now);
    }
  } else if (const auto* down = std::get_if<LinkDown>(&event)) {
    if (session_) session_->on_link_down(down->link, now);
    std::erase_if(links_, [&](const Link& l) { return l.up.link == down->link; });
    if (session_ && session_->keys().current()) open_spare_paths(now);
  } else if (const auto* priority = std::get_if<LinkPriority>(&event)) {
    if (Link* l = find_link(priority->link)) l->up.priority = priority->priority;
    if (session_) session_->on_link_priority(priority->link, priority->priority, now);
  } else if (const auto* trouble = std::get_if<LinkTrouble>(&event)) {
    if (session_) session_->on_link_trouble(trouble->link, now);
  }
}

// ---- the pump ----------------------------------------------------------------------------------------------------

void ClientEndpoint::on_datagrams(std::span<ReceivedDatagram> batch, Time now) {
  now_ = now;
  handed_out_.clear();
  for (ReceivedDatagram& d : batch) {
    const auto type = wire::datagram_type(d.bytes);
    if (type == wire::DatagramType::data) {
      const auto header = wire::parse_data_header(d.bytes);
      if (!header) {
        info_.drops.count(DropReason::malformed);
      } else if (!session_) {
        info_.drops.count(DropReason::unknown_index);
      } else if (session_->on_datagram(d, *header, info_.drops, now) && !confirmed_) {
        // An authentic datagram under the new keys: the server has them too.
        confirmed_ = true;
        enrolled_ = true;
        reconnecting_ = false;
        events_.push_back(Connected{accept_, accepted_via_, resumed_, session_->tunnel_mtu()});
      }
    } else if (type == wire::DatagramType::response) {
      on_response(d, now);
    } else if (type == wire::DatagramType::cookie_reply) {
      on_cookie(d, now);
    } else {
      info_.drops.count(DropReason::malformed);
    }
  }
  after_session_input(now);
}

void ClientEndpoint::after_session_input(Time now) {
  if (!session_) return;
  session_->take_released_indices();
  if (const auto announced = session_->take_announced()) {
    accept_.endpoints.assign(announced->endpoints.begin(), announced->endpoints.begin() + static_cast<ptrdiff_t>(announced->count));
    if (confirmed_) events_.push_back(Connected{accept_, accepted_via_, true, session_->tunnel_mtu()});
  }
  if (const auto reason = session_->take_peer_close()) {
    events_.push_back(Closed{UserId{}, *reason});
    clear_session();
    const bool for_good = *reason == wire::CloseReason::removed || *reason == wire::CloseReason::disabled || *reason == wire::CloseReason::replaced;
    if (for_good) {
      stopped_ = true;
    } else if (needs_handshake(now)) {
      begin_handshake(now);
    }
    return;
  }
  const bool works = session_->any_path_works();
  if (was_working_ && !works) {
    events_.push_back(Reconnecting{});
    reconnecting_ = true;
  } else if (reconnecting_ && works && confirmed_) {
    events_.push_back(Connected{accept_, accepted_via_, true, session_->tunnel_mtu()});
    reconnecting_ = false;
  }
  was_working_ = works;
}

void ClientEndpoint::on_packets(std::span<Packet> from_tun, Time now) {
  now_ = now;
  for (Packet& p : from_tun) {
    const auto headers = parse_packet(p.bytes(), hash_seed_);
    if (!headers) {
      info_.drops.count(DropReason::bad_packet);
    } else if (!session_) {
      info_.drops.count(DropReason::not_connected);
    } else {
      session_->on_packet(std::move(p), *headers, now);
    }
  }
}

void ClientEndpoint::on_writable(LinkId link, bool writable, Time now) {
  now_ = now;
  if (session_) session_->on_writable(link, writable);
}

void ClientEndpoint::on_timer(Time now) {
  now_ = now;
  const bool held_up = was_held_up(now);
  if (session_) {
    if (held_up) session_->on_held_up(now);
    session_->on_timer(now);
    if (session_->keys().current()) replace_silent_paths(now);
  }
  after_session_input(now);
  handshake_timer(now);
}

Time ClientEndpoint::next_timeout() const {
  Time t = Time::infinite();
  if (initiator_) t = std::min(t, initiation_next_);
  if (!stopped_ && !links_.empty() && !initiator_) t = std::min(t, handshake_wanted_at());
  if (session_) t = std::min(t, session_->next_timeout(now_));
  promise(t);
  return t;
}

bool ClientEndpoint::poll_transmit(TransmitBatch& batch, Time now) {
  now_ = now;
  if (pop_outgoing(batch)) return true;
  return session_ && session_->poll_transmit(batch, now);
}

void ClientEndpoint::set_policy(wire::Mode mode, wire::SchedulerKind scheduler, wire::CongestionKind congestion, Time now) {
  policy_ = {mode, scheduler, congestion, true};
  if (session_) session_->set_policy(mode, scheduler, congestion, now);
}

void ClientEndpoint::close_all(wire::CloseReason reason, Time now) {
  stopped_ = true;
  initiator_.reset();
  outgoing_.clear();
  if (session_) session_->close(reason, now);
}

std::vector<SessionInfo> ClientEndpoint::sessions(Time now) const {
  std::vector<SessionInfo> out;
  if (session_) {
    out.push_back(session_->info(now));
    out.back().connected = out.back().connected && confirmed_;
  } else if (!links_.empty()) {
    out.emplace_back();
  }
  // Links that have no path yet show how often they were asked.
  for (const Link& l : links_) {
    if (l.has_path || out.empty()) continue;
    PathInfo p;
    p.link = l.up.link;
    p.interface = l.up.interface;
    p.type = l.up.type;
    p.metered = l.up.metered;
    p.priority = l.up.priority;
    p.local = l.up.local;
    p.remote = l.up.remote;
    p.reason = PathReason::no_answer;
    p.sent_packets = l.initiations_sent;
    const bool spare = session_ && std::any_of(links_.begin(), links_.end(), [&](const Link& o) { return o.has_path && o.up.group == l.up.group; });
    if (!spare) out.back().paths.push_back(p);
  }
  return out;
}

}  // namespace hawser
