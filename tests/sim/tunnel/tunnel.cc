// Plays sockets, NAT and registry for two engines.
#include "tests/sim/tunnel/tunnel.h"

#include <cstdio>

#include "common/crypto/secret.h"

namespace hawser::sim {
namespace {

const IpAddress kServerInner = IpAddress::v4(10, 9, 0, 1);
const SocketAddress kServerOuter{IpAddress::v4(203, 0, 113, 1), 443, 0};

IpAddress inner_address(size_t user) { return IpAddress::v4(10, 9, 0, static_cast<uint8_t>(2 + user)); }

void fill(CommonConfig& c, const TunnelSettings& settings) {
  c.ciphers = settings.real_cipher ? supported_ciphers() : static_cast<uint8_t>(wire::kCipherChaCha20);
  c.cipher_factory = settings.real_cipher ? make_cipher : make_null_cipher;
  c.tunnel_mtu = settings.mtu;
  c.packet_pool_bytes = settings.packet_pool_bytes;
}

std::string path_line(const PathChanged& c) {
  char text[120];
  std::snprintf(text, sizeof text, "path %u (link %u) %s -> %s: %s", c.path.value, c.link.value, name(c.from), name(c.to), name(c.reason));
  return text;
}

std::string stamp(Time now, const std::string& who, const std::string& what) {
  char text[40];
  std::snprintf(text, sizeof text, "%9.3f s %s ", (now - EventLoop::kStart).to_seconds(), who.c_str());
  return text + what;
}

}  // namespace

Tunnel::Tunnel(EventLoop& loop, const TunnelSettings& settings)
    : loop_(loop), random_(settings.seed, "engines"), settings_(settings), server_keys_(StaticKeyPair::generate(random_)) {
  ServerConfig server;
  fill(server, settings);
  server.static_key = server_keys_.clone();
  server.server_v4 = kServerInner;
  server_ = std::make_unique<EngineEnd>(
      loop, kServerInner, Endpoint::make_server(std::move(server), random_), settings.mtu,
      [this](const UdpTuple& to, uint8_t ecn, ByteSpan d) { from_server(to, ecn, d); },
      [this](const Event& e) { on_server_event(e); });
  for (size_t i = 0; i < settings.users; ++i) add_user();
}

void Tunnel::add_user() {
  const size_t user = users_.size();
  StaticKeyPair keys = StaticKeyPair::generate(random_);
  ClientConfig client;
  fill(client, settings_);
  client.static_key = keys.clone();
  client.server_key = server_keys_.public_key();
  auto engine = std::make_unique<EngineEnd>(
      loop_, inner_address(user), Endpoint::make_client(std::move(client), random_), settings_.mtu,
      [this](const UdpTuple& to, uint8_t ecn, ByteSpan d) { from_client(to, ecn, d); },
      [this, user](const Event& e) { on_client_event(user, e); });
  engine->engine().set_policy(settings_.mode, settings_.scheduler, settings_.congestion, loop_.now());
  users_.push_back({std::move(keys), std::move(engine)});
}

size_t Tunnel::add_interface(size_t user, const InterfaceSettings& settings, std::vector<Direction*> to_server, std::vector<Direction*> to_client) {
  auto i = std::make_unique<Interface>();
  const auto n = static_cast<uint8_t>(interfaces_.size() + 1);
  i->user = user;
  i->up.local = {IpAddress::v4(192, 168, n, 2), static_cast<uint16_t>(40'000 + 100 * n), 0};
  i->up.remote = kServerOuter;
  i->up.group = n;
  i->up.interface = settings.name;
  i->up.type = settings.type;
  i->up.metered = settings.metered;
  i->up.gateway_group = settings.gateway_group;
  i->up.priority = settings.priority;
  i->outside = {IpAddress::v4(198, 51, 100, n), static_cast<uint16_t>(20'000 + 100 * n), 0};
  i->to_server = {std::move(to_server), this};
  i->to_client = {std::move(to_client), this};
  interfaces_.push_back(std::move(i));
  return interfaces_.size() - 1;
}

// A new socket each time, as the platform opens one: a new link id and a new port.
void Tunnel::interface_up(size_t index) {
  Interface& i = *interfaces_[index];
  if (i.is_up) return;
  i.is_up = true;
  i.up.link = LinkId{next_link_++};
  ++i.up.local.port;
  ++i.outside.port;
  client_of(i).engine().on_path_event(i.up, loop_.now());
  client_of(i).pump();
}

void Tunnel::interface_down(size_t index) {
  Interface& i = *interfaces_[index];
  if (!i.is_up) return;
  i.is_up = false;
  client_of(i).engine().on_path_event(LinkDown{i.up.link}, loop_.now());
  client_of(i).pump();
}

void Tunnel::set_priority(size_t index, wire::PathPriority priority) {
  Interface& i = *interfaces_[index];
  client_of(i).engine().on_path_event(LinkPriority{i.up.link, priority}, loop_.now());
  client_of(i).pump();
}

void Tunnel::from_client(const UdpTuple& to, uint8_t ecn, ByteSpan datagram) {
  for (const auto& i : interfaces_) {
    if (i->up.link != to.link || !i->is_up) continue;
    send_frame(i->to_server, UdpTuple{LinkId{0}, kServerOuter, i->outside}, ecn, datagram);
    return;
  }
}

void Tunnel::from_server(const UdpTuple& to, uint8_t ecn, ByteSpan datagram) {
  for (const auto& i : interfaces_) {
    if (i->outside.ip != to.remote.ip) continue;
    // The NAT decides when the datagram arrives there, which is before the link to the client.
    if (i->outside.port != to.remote.port || !i->is_up) return;
    send_frame(i->to_client, UdpTuple{i->up.link, i->up.local, kServerOuter}, ecn, datagram);
    return;
  }
}

void Tunnel::send_frame(const Route& route, const UdpTuple& as_received, uint8_t ecn, ByteSpan datagram) {
  // A hash of the first bytes (they hold index, path and packet number) and the last (the tag).
  const auto mix = [this](uint64_t v) { fingerprint_ = (fingerprint_ ^ v) * 0x100000001b3ull; };
  mix(static_cast<uint64_t>(loop_.now().ns));
  mix(datagram.size());
  for (size_t i = 0; i < datagram.size(); i += i < 16 ? 1 : 61) mix(datagram[i]);
  auto frame = std::make_unique<Frame>();
  frame->bytes.assign(datagram.begin(), datagram.end());
  frame->wire_bytes = datagram.size() + kUdpIpv4Headers + kEthernetHeader;
  frame->ecn = ecn;
  frame->to = as_received;
  frame->route = &route;
  launch(std::move(frame));
}

void Tunnel::on_frame(FramePtr frame) {
  if (frame->to.link == LinkId{0}) {
    server_->receive(frame->bytes, frame->to, frame->ecn);
    return;
  }
  for (const auto& i : interfaces_) {
    // A socket that was closed meanwhile gets nothing.
    if (i->up.link == frame->to.link && i->is_up) client_of(*i).receive(frame->bytes, frame->to, frame->ecn);
  }
}

void Tunnel::on_client_event(size_t user, const Event& event) {
  const std::string who = user == 0 ? "client" : "client " + std::to_string(user + 1);
  if (const auto* c = std::get_if<Connected>(&event)) {
    users_[user].connected = true;
    log_.push_back(stamp(loop_.now(), who, c->resumed ? "resumed" : "connected"));
  } else if (std::holds_alternative<Reconnecting>(event)) {
    log_.push_back(stamp(loop_.now(), who, "reconnecting"));
  } else if (const auto* p = std::get_if<PathChanged>(&event)) {
    log_.push_back(stamp(loop_.now(), who, path_line(*p)));
  }
}

void Tunnel::on_server_event(const Event& event) {
  if (const auto* lookup = std::get_if<RegistryLookup>(&event)) {
    answer(lookup->id, lookup->key);
  } else if (const auto* p = std::get_if<PathChanged>(&event)) {
    log_.push_back(stamp(loop_.now(), "server", path_line(*p)));
  }
}

void Tunnel::answer(LookupId id, const PublicKey& key) {
  RegistryAnswer a;
  a.id = id;
  for (size_t i = 0; i < users_.size(); ++i) {
    if (key != users_[i].keys.public_key()) continue;
    a.verdict = RegistryAnswer::Verdict::accepted;
    a.user = UserId{static_cast<uint32_t>(i + 1)};
    a.name = "user" + std::to_string(i + 1);
    a.inner_v4 = inner_address(i);
  }
  server_->engine().on_registry_answer(a, loop_.now());
}

}  // namespace hawser::sim
