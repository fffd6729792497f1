// What client and server endpoints have in common: pools, output queues, and the noticing of a loop that was held up.
#pragma once

#include <deque>

#include "common/session/endpoint.h"
#include "common/session/session.h"

namespace hawser {

// A datagram that is not a session's: handshake messages.
struct OutgoingDatagram {
  UdpTuple to;
  std::vector<uint8_t> bytes;
};

class EndpointBase : public Endpoint {
 public:
  EndpointBase(Role role, const CommonConfig& config, Rng& rng)
      : role_(role), rng_(rng), packet_pool_(kPacketBuffer, config.packet_pool_bytes), hash_seed_(rng.next_u64()) {}

  PacketPool& pool() override { return packet_pool_; }

  bool poll_deliver(DeliverBatch& batch) override {
    batch.packets.clear();
    handed_out_.clear();  // what the caller had until now goes back to the pool
    if (deliveries_.empty()) return false;
    handed_out_.swap(deliveries_);
    for (const Delivery& d : handed_out_) batch.packets.push_back(d.bytes);
    return true;
  }

  bool poll_event(Event& event) override {
    if (events_.empty()) return false;
    event = std::move(events_.front());
    events_.pop_front();
    return true;
  }

  EndpointInfo info() const override { return info_; }

 protected:
  SessionContext context() { return {role_, packet_pool_, segment_pool_, rng_, deliveries_, events_, hash_seed_}; }

  // True when the caller came much later than it was asked to: silence until now says nothing about the paths.
  bool was_held_up(Time now) {
    const bool late = promised_ < Time::infinite() && now - promised_ > Duration::millis(20);
    promised_ = Time::infinite();
    return late;
  }
  void promise(Time t) const { promised_ = t; }

  bool pop_outgoing(TransmitBatch& batch) {
    if (outgoing_.empty()) return false;
    OutgoingDatagram& d = outgoing_.front();
    batch.to = d.to;
    batch.clear();
    std::copy(d.bytes.begin(), d.bytes.end(), batch.room(d.bytes.size()).begin());
    batch.add(d.bytes.size());
    outgoing_.pop_front();
    return true;
  }

  const Role role_;
  Rng& rng_;
  PacketPool packet_pool_;
  SegmentPool segment_pool_;
  Deliveries deliveries_, handed_out_;
  std::deque<Event> events_;
  std::deque<OutgoingDatagram> outgoing_;
  EndpointInfo info_;
  const uint64_t hash_seed_;

 private:
  mutable Time promised_ = Time::infinite();
};

}  // namespace hawser
