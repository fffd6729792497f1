// Plays sockets, NAT and registry for two engines.
#include "tests/sim/tunnel/tunnel.h"

#include <cstdio>

#include "common/crypto/secret.h"

namespace hawser::sim {
namespace {

const IpAddress kClientInner = IpAddress::v4(10, 9, 0, 2);
const IpAddress kServerInner = IpAddress::v4(10, 9, 0, 1);
const SocketAddress kServerOuter{IpAddress::v4(203, 0, 113, 1), 443, 0};
const char* const kClientName = "laptop";

std::string path_line(const PathChanged& c) {
  char text[120];
  std::snprintf(text, sizeof text, "path %u (link %u) %s -> %s: %s", c.path.value, c.link.value, name(c.from), name(c.to), name(c.reason));
  return text;
}

std::string stamp(Time now, const char* who, const std::string& what) {
  char text[40];
  std::snprintf(text, sizeof text, "%9.3f s %s ", (now - EventLoop::kStart).to_seconds(), who);
  return text + what;
}

}  // namespace

Tunnel::Tunnel(EventLoop& loop, const TunnelSettings& settings)
    : loop_(loop),
      random_(settings.seed, "engines"),
      client_keys_(StaticKeyPair::generate(random_)),
      server_keys_(StaticKeyPair::generate(random_)) {
  const auto common = [&](CommonConfig& c) {
    c.ciphers = settings.real_cipher ? supported_ciphers() : static_cast<uint8_t>(wire::kCipherChaCha20);
    c.cipher_factory = settings.real_cipher ? make_cipher : make_null_cipher;
    c.tunnel_mtu = settings.mtu;
    c.packet_pool_bytes = settings.packet_pool_bytes;
  };
  ServerConfig server;
  common(server);
  server.static_key = server_keys_.clone();
  server.server_v4 = kServerInner;
  server_ = std::make_unique<EngineEnd>(
      loop, kServerInner, Endpoint::make_server(std::move(server), random_), settings.mtu,
      [this](const UdpTuple& to, uint8_t ecn, ByteSpan d) { from_server(to, ecn, d); },
      [this](const Event& e) { on_server_event(e); });

  ClientConfig client;
  common(client);
  client.static_key = client_keys_.clone();
  client.server_key = server_keys_.public_key();
  client_ = std::make_unique<EngineEnd>(
      loop, kClientInner, Endpoint::make_client(std::move(client), random_), settings.mtu,
      [this](const UdpTuple& to, uint8_t ecn, ByteSpan d) { from_client(to, ecn, d); },
      [this](const Event& e) { on_client_event(e); });
  client_->engine().set_policy(settings.mode, settings.scheduler, settings.congestion, loop.now());
}

size_t Tunnel::add_interface(const InterfaceSettings& settings, std::vector<Direction*> to_server, std::vector<Direction*> to_client) {
  auto i = std::make_unique<Interface>();
  const auto n = static_cast<uint8_t>(interfaces_.size() + 1);
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
  client_->engine().on_path_event(i.up, loop_.now());
  client_->pump();
}

void Tunnel::interface_down(size_t index) {
  Interface& i = *interfaces_[index];
  if (!i.is_up) return;
  i.is_up = false;
  client_->engine().on_path_event(LinkDown{i.up.link}, loop_.now());
  client_->pump();
}

void Tunnel::set_priority(size_t index, wire::PathPriority priority) {
  client_->engine().on_path_event(LinkPriority{interfaces_[index]->up.link, priority}, loop_.now());
  client_->pump();
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
    if (i->up.link == frame->to.link && i->is_up) client_->receive(frame->bytes, frame->to, frame->ecn);
  }
}

void Tunnel::on_client_event(const Event& event) {
  if (const auto* c = std::get_if<Connected>(&event)) {
    connected_ = true;
    log_.push_back(stamp(loop_.now(), "client", c->resumed ? "resumed" : "connected"));
  } else if (std::holds_alternative<Reconnecting>(event)) {
    log_.push_back(stamp(loop_.now(), "client", "reconnecting"));
  } else if (const auto* p = std::get_if<PathChanged>(&event)) {
    log_.push_back(stamp(loop_.now(), "client", path_line(*p)));
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
  if (key == client_keys_.public_key()) {
    a.verdict = RegistryAnswer::Verdict::accepted;
    a.user = UserId{1};
    a.name = kClientName;
    a.inner_v4 = kClientInner;
  }
  server_->engine().on_registry_answer(a, loop_.now());
}

}  // namespace hawser::sim
