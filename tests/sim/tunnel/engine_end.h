// One end of the tunnel: a real engine, driven as a daemon drives it. Datagrams and packets in, everything polled out.
#pragma once

#include <functional>

#include "common/session/endpoint.h"
#include "tests/sim/core/event_loop.h"
#include "tests/sim/net/host.h"

namespace hawser::sim {

class EngineEnd final : public Host, private EventHandler {
 public:
  // Where datagrams go, and who hears events.
  using Transmit = std::function<void(const UdpTuple& to, uint8_t ecn, ByteSpan datagram)>;
  using OnEvent = std::function<void(const Event&)>;

  EngineEnd(EventLoop& loop, IpAddress address, std::unique_ptr<Endpoint> engine, size_t mtu, Transmit transmit, OnEvent on_event)
      : Host(address),
        loop_(loop),
        engine_(std::move(engine)),
        mtu_(mtu),
        transmit_(std::move(transmit)),
        on_event_(std::move(on_event)),
        wake_(loop, [this] {
          engine_->on_timer(loop_.now());
          pump();
        }) {}

  Endpoint& engine() { return *engine_; }
  size_t mtu() const override { return mtu_; }

  // An inner packet from this end's machine. What is sent at one moment reaches the engine as one batch, as from a TUN.
  void send(ByteSpan packet) override;
  // A datagram from a link.
  void receive(MutableByteSpan datagram, const UdpTuple& from, uint8_t ecn);
  // Polls everything out and sets the timer. After any other call into the engine.
  void pump();

 private:
  void on_event(uint64_t) override;  // the batch from the TUN is due
  bool pump_once();

  EventLoop& loop_;
  std::unique_ptr<Endpoint> engine_;
  const size_t mtu_;
  Transmit transmit_;
  OnEvent on_event_;
  Timer wake_;
  TransmitBatch batch_;
  DeliverBatch deliveries_;
  std::vector<Packet> from_tun_;
};

}  // namespace hawser::sim
