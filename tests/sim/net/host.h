// A machine that sends and receives IPv4 packets: behind a tunnel's end, or directly at a link.
#pragma once

#include <unordered_map>

#include "tests/sim/net/frame.h"

namespace hawser::sim {

class PacketHandler {
 public:
  virtual void on_packet(ByteSpan packet) = 0;

 protected:
  ~PacketHandler() = default;
};

class Host {
 public:
  explicit Host(IpAddress address) : address_(address) {}
  virtual ~Host() = default;

  virtual void send(ByteSpan packet) = 0;
  // The largest IP packet that this host's interface carries, bytes.
  virtual size_t mtu() const = 0;
  IpAddress address() const { return address_; }

  // Packets to `port` from `peer_port` go to `handler`, whatever their protocol. The handler must outlive the traffic.
  void listen(uint16_t port, uint16_t peer_port, PacketHandler& handler) { handlers_[key(port, peer_port)] = &handler; }
  void deliver(ByteSpan packet) {
    if (packet.size() < 24) return;
    const uint32_t ports = key(static_cast<uint16_t>(packet[22] << 8 | packet[23]), static_cast<uint16_t>(packet[20] << 8 | packet[21]));
    if (const auto it = handlers_.find(ports); it != handlers_.end()) it->second->on_packet(packet);
  }

 private:
  const IpAddress address_;
  static uint32_t key(uint16_t port, uint16_t peer_port) { return static_cast<uint32_t>(port) << 16 | peer_port; }
  std::unordered_map<uint32_t, PacketHandler*> handlers_;
};

// A host whose packets travel over links as they are: no tunnel. For competitors and for the simulator's own tests.
class DirectHost final : public Host, private FrameSink {
 public:
  explicit DirectHost(IpAddress address) : Host(address) {}
  // The way to `peer`; the hops must outlive this host.
  void connect(DirectHost& peer, std::vector<Direction*> hops) { route_ = {std::move(hops), &peer}; }

  void send(ByteSpan packet) override {
    auto frame = std::make_unique<Frame>();
    frame->bytes.assign(packet.begin(), packet.end());
    frame->wire_bytes = packet.size() + kEthernetHeader;
    frame->ecn = packet[1] & 3;
    frame->route = &route_;
    launch(std::move(frame));
  }
  size_t mtu() const override { return 1500; }

 private:
  void on_frame(FramePtr frame) override { deliver(frame->bytes); }
  Route route_;
};

}  // namespace hawser::sim
