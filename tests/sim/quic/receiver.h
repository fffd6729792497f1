// A QUIC-like receiver: acknowledges every second packet, after 25 ms, or at once when a number is missing; puts the stream in order.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "tests/sim/core/event_loop.h"
#include "tests/sim/quic/packet.h"

namespace hawser::sim {

class QuicReceiver {
 public:
  // `on_bytes`: bytes of the stream that became readable.
  QuicReceiver(EventLoop& loop, uint64_t piece, std::function<void(const QuicRanges&)> send_ack, std::function<void(uint64_t)> on_bytes)
      : loop_(loop), piece_(piece), send_ack_(std::move(send_ack)), on_bytes_(std::move(on_bytes)), delayed_(loop, [this] { acknowledge(); }) {}

  void on_packet(const QuicData& d);
  uint64_t reordered() const { return reordered_; }

 private:
  void acknowledge();

  EventLoop& loop_;
  const uint64_t piece_;  // payload of a packet, bytes
  std::function<void(const QuicRanges&)> send_ack_;
  std::function<void(uint64_t)> on_bytes_;
  Timer delayed_;
  std::map<uint64_t, uint64_t> ranges_;  // of packet numbers: first to last
  std::set<uint64_t> waiting_;           // stream offsets above readable_
  uint64_t readable_ = 0, largest_ = 0, reordered_ = 0;
  int owed_ = 0;
};

}  // namespace hawser::sim
