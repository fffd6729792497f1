// A TCP sender as Linux has it: SACK, RACK, tail loss probes, proportional rate reduction, undo of spurious recoveries.
#pragma once

#include "tests/sim/core/event_loop.h"
#include "tests/sim/tcp/congestion_window.h"
#include "tests/sim/tcp/scoreboard.h"
#include "tests/sim/tcp/segment.h"

namespace hawser::sim {

struct TcpSenderStats {
  uint64_t segments = 0, retransmissions = 0, timeouts = 0, recoveries = 0, undone = 0, tail_probes = 0;
};

class TcpSender {
 public:
  // `transmit` puts [offset, offset + length) of the stream into the network.
  using Transmit = std::function<void(uint64_t offset, uint32_t length)>;

  TcpSender(EventLoop& loop, CongestionControl kind, uint32_t mss, Transmit transmit);

  // `bytes` more to send; nothing is sent before start().
  void write(uint64_t bytes);
  void start(uint64_t peer_window);
  void stop() { written_ = next_; }  // what has not been sent yet never is
  // The peer's cumulative point, its SACK blocks as stream offsets, its window, and the echoed timestamp (zero: none).
  void on_ack(uint64_t ack, std::span<const std::pair<uint64_t, uint64_t>> sack, uint64_t peer_window, Time echo);

  uint64_t acknowledged() const { return board_.unacked(); }
  uint64_t peer_window() const { return peer_window_; }
  uint64_t next_offset() const { return next_; }
  const TcpSenderStats& stats() const { return stats_; }
  const CongestionWindow& window() const { return window_; }
  void on_handshake(Duration rtt) { rtt_.on_sample(rtt); }
  const RttEstimator& rtt() const { return rtt_; }
  static constexpr uint64_t kForever = uint64_t{1} << 60;

 private:
  enum class State : uint8_t { open, recovery, loss };

  void send_what_fits();
  void resend(SentSegment& segment);
  void enter_recovery();
  void leave_recovery();
  void reduce(uint64_t delivered);  // PRR
  bool undo_if_spurious(bool advanced, Time echo);
  void count_duplicates(uint64_t ack, std::span<const std::pair<uint64_t, uint64_t>> sack);
  void on_timeout();
  void on_reordering_timer();
  void arm();

  EventLoop& loop_;
  const uint32_t mss_;
  Transmit transmit_;
  CongestionWindow window_;
  RttEstimator rtt_;
  Scoreboard board_;
  TcpSenderStats stats_;
  Timer timeout_;     // retransmission timeout or tail loss probe
  Timer reordering_;  // RACK's

  bool started_ = false;
  uint64_t written_ = 0, next_ = 0, peer_window_ = 0;
  uint64_t round_end_ = 0;
  Time last_sent_;
  Time timer_base_;       // the retransmission timeout counts from here: the last ack that advanced
  bool limited_ = false;  // by the window, when last asked
  State state_ = State::open;
  uint64_t recovery_point_ = 0;
  int backoff_ = 0;
  bool probe_is_next_ = false;  // timeout_ means a tail loss probe
  bool probed_ = false;         // one per flight

  // PRR (RFC 6937)
  double recover_flight_ = 0, prr_delivered_ = 0, prr_sent_ = 0;
  // Undo: what it was before, when the first retransmission went out, how many of them nobody called duplicates yet.
  double undo_window_ = 0, undo_ssthresh_ = 0;
  Time first_resent_;
  int64_t resent_unaccounted_ = 0;
};

}  // namespace hawser::sim
