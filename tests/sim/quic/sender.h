// A QUIC-like sender (RFC 9002): packet threshold 3, time threshold 9/8, probe timeouts, CUBIC, pacing.
#pragma once

#include <deque>
#include <functional>

#include "tests/sim/core/event_loop.h"
#include "tests/sim/quic/packet.h"
#include "tests/sim/tcp/congestion_window.h"
#include "tests/sim/tcp/rtt.h"

namespace hawser::sim {

struct QuicSenderStats {
  uint64_t packets = 0, retransmissions = 0, spurious = 0, timeouts = 0;
};

class QuicSender {
 public:
  // `transmit` sends one full packet.
  QuicSender(EventLoop& loop, CongestionControl kind, size_t packet_bytes, uint64_t stream_bytes, uint64_t window,
             std::function<void(const QuicData&)> transmit);
  void start() { send_what_fits(); }
  // Acknowledged ranges of packet numbers, descending.
  void on_ack(const QuicRanges& ranges);
  void stop() { stream_bytes_ = next_offset_; }
  const QuicSenderStats& stats() const { return stats_; }

 private:
  struct Sent {
    uint64_t offset = 0;
    Time at;
    bool acked = false, lost = false;
  };

  void detect_losses();
  void declare_lost(Sent& s);
  void send_what_fits();
  bool send_one();
  void arm();
  void on_timer();
  double payload() const { return static_cast<double>(packet_bytes_ - kUdpIpHeaders - kQuicDataHeader); }

  EventLoop& loop_;
  const size_t packet_bytes_;
  uint64_t stream_bytes_;
  const uint64_t flow_window_;
  std::function<void(const QuicData&)> transmit_;
  CongestionWindow window_;
  RttEstimator rtt_;
  QuicSenderStats stats_;
  Timer timer_;   // time threshold or probe timeout
  Timer pacer_;
  std::deque<Sent> sent_;  // from number first_
  uint64_t first_ = 0, largest_acked_ = 0;
  bool any_acked_ = false;
  uint64_t next_offset_ = 0, round_end_ = 0;
  std::deque<uint64_t> lost_offsets_;
  double in_flight_ = 0;
  bool limited_ = false;
  uint64_t recovery_until_ = 0;  // losses of packets below this number belong to a reduction already made
  Time loss_time_ = Time::infinite(), last_sent_;
  Time pace_next_;
  int probes_ = 0;
};

}  // namespace hawser::sim
