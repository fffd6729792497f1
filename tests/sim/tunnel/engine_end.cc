// Drives an Endpoint in virtual time.
#include "tests/sim/tunnel/engine_end.h"

namespace hawser::sim {

void EngineEnd::send(ByteSpan packet) {
  Packet p = engine_->pool().copy_of(packet);
  if (!p) return;  // the pool is at its bound: the TUN reader would leave the packet in the kernel's queue, which then drops
  from_tun_.push_back(std::move(p));
  if (from_tun_.size() == 1) loop_.at(loop_.now(), *this);
}

void EngineEnd::on_event(uint64_t) {
  engine_->on_packets(from_tun_, loop_.now());
  from_tun_.clear();
  pump();
}

void EngineEnd::receive(MutableByteSpan datagram, const UdpTuple& from, uint8_t ecn) {
  ReceivedDatagram d;
  d.bytes = datagram;
  d.from = from;
  d.ecn = ecn;
  d.received_at = loop_.now();
  engine_->on_datagrams(std::span(&d, 1), loop_.now());
  pump();
}

void EngineEnd::pump() {
  while (pump_once()) {
  }
  wake_.set(engine_->next_timeout());
}

bool EngineEnd::pump_once() {
  bool worked = false;
  while (engine_->poll_deliver(deliveries_)) {
    worked = true;
    for (ByteSpan packet : deliveries_.packets) deliver(packet);
  }
  Event event;
  while (engine_->poll_event(event)) {
    worked = true;
    on_event_(event);
  }
  while (engine_->poll_transmit(batch_, loop_.now())) {
    worked = true;
    for (size_t i = 0; i < batch_.count; ++i) transmit_(batch_.to, batch_.ecn, batch_.datagram(i));
  }
  return worked;
}

}  // namespace hawser::sim
