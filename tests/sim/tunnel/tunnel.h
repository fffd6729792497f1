// Client and server engines joined by links, with what lies between them: NAT, interfaces that come and go, a registry.
#pragma once

#include <string>

#include "tests/sim/core/random.h"
#include "tests/sim/net/link.h"
#include "tests/sim/tunnel/engine_end.h"

namespace hawser::sim {

struct TunnelSettings {
  uint64_t seed = 1;
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

  // An interface of the client whose datagrams pass these hops. All hops must outlive the tunnel.
  size_t add_interface(const InterfaceSettings& settings, std::vector<Direction*> to_server, std::vector<Direction*> to_client);
  void interface_up(size_t index);
  // Carrier lost: the client's machine knows it, datagrams on the way to it are lost.
  void interface_down(size_t index);
  // The NAT before the client forgets its mapping: the next datagram leaves from another port, answers to the old one are lost.
  void nat_rebind(size_t index) { ++interfaces_[index]->outside.port; }
  void set_priority(size_t index, wire::PathPriority priority);

  EngineEnd& client() { return *client_; }
  EngineEnd& server() { return *server_; }
  bool connected() const { return connected_; }
  // A line per event, with its time: what happened to paths and sessions.
  const std::vector<std::string>& log() const { return log_; }
  // An order-sensitive hash over all datagrams sent and when.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  struct Interface {
    LinkUp up;
    SocketAddress outside;  // as the server sees it
    Route to_server, to_client;
    bool is_up = false;
  };

  void on_frame(FramePtr frame) override;
  void from_client(const UdpTuple& to, uint8_t ecn, ByteSpan datagram);
  void from_server(const UdpTuple& to, uint8_t ecn, ByteSpan datagram);
  void send_frame(const Route& route, const UdpTuple& as_received, uint8_t ecn, ByteSpan datagram);
  void on_client_event(const Event& event);
  void on_server_event(const Event& event);
  void answer(LookupId id, const PublicKey& key);

  EventLoop& loop_;
  Random random_;
  StaticKeyPair client_keys_, server_keys_;
  std::unique_ptr<EngineEnd> client_, server_;
  std::vector<std::unique_ptr<Interface>> interfaces_;
  uint32_t next_link_ = 1;
  bool connected_ = false;
  std::vector<std::string> log_;
  uint64_t fingerprint_ = 0xcbf29ce484222325ull;
};

}  // namespace hawser::sim
