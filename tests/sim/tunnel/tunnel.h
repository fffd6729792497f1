// A server's engine and its clients' joined by links, with what lies between them: NAT, interfaces that come and go, a registry.
#pragma once

#include <string>

#include "tests/sim/core/random.h"
#include "tests/sim/net/link.h"
#include "tests/sim/tunnel/engine_end.h"

namespace hawser::sim {

struct TunnelSettings {
  uint64_t seed = 1;
  size_t users = 1;
  bool real_cipher = false;
  uint16_t mtu = 1400;
  size_t packet_pool_bytes = 64u << 20;
  wire::Mode mode = wire::Mode::automatic;
  wire::SchedulerKind scheduler = wire::SchedulerKind::automatic;
  wire::CongestionKind congestion = wire::CongestionKind::automatic;
};

// What the client's machine knows about one of its interfaces.
struct InterfaceSettings {
  std::string name;
  InterfaceType type = InterfaceType::other;
  bool metered = false;
  uint32_t gateway_group = 0;
  wire::PathPriority priority = wire::PathPriority::automatic;
};

class Tunnel final : private FrameSink {
 public:
  Tunnel(EventLoop& loop, const TunnelSettings& settings);

  // An interface of that user's client whose datagrams pass these hops. All hops must outlive the tunnel.
  size_t add_interface(size_t user, const InterfaceSettings& settings, std::vector<Direction*> to_server, std::vector<Direction*> to_client);
  void interface_up(size_t index);
  // Carrier lost: the client's machine knows it, datagrams on the way to it are lost.
  void interface_down(size_t index);
  // The NAT before the client forgets its mapping: the next datagram leaves from another port, answers to the old one are lost.
  void nat_rebind(size_t index) { ++interfaces_[index]->outside.port; }
  void set_priority(size_t index, wire::PathPriority priority);

  EngineEnd& client(size_t user = 0) { return *users_[user].engine; }
  EngineEnd& server() { return *server_; }
  bool connected(size_t user = 0) const { return users_[user].connected; }
  // A line per event, with its time: what happened to paths and sessions.
  const std::vector<std::string>& log() const { return log_; }
  // An order-sensitive hash over all datagrams sent and when.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  struct User {
    StaticKeyPair keys;
    std::unique_ptr<EngineEnd> engine;
    bool connected = false;
  };
  struct Interface {
    size_t user;
    LinkUp up;
    SocketAddress outside;  // as the server sees it
    Route to_server, to_client;
    bool is_up = false;
  };

  void on_frame(FramePtr frame) override;
  void add_user();
  EngineEnd& client_of(const Interface& i) { return client(i.user); }
  void from_client(const UdpTuple& to, uint8_t ecn, ByteSpan datagram);
  void from_server(const UdpTuple& to, uint8_t ecn, ByteSpan datagram);
  void send_frame(const Route& route, const UdpTuple& as_received, uint8_t ecn, ByteSpan datagram);
  void on_client_event(size_t user, const Event& event);
  void on_server_event(const Event& event);
  void answer(LookupId id, const PublicKey& key);

  EventLoop& loop_;
  Random random_;
  const TunnelSettings settings_;
  StaticKeyPair server_keys_;
  std::unique_ptr<EngineEnd> server_;
  std::vector<User> users_;
  std::vector<std::unique_ptr<Interface>> interfaces_;
  uint32_t next_link_ = 1;
  std::vector<std::string> log_;
  uint64_t fingerprint_ = 0xcbf29ce484222325ull;
};

}  // namespace hawser::sim
