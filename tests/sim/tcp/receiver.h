// A TCP receiver: puts the stream together, acknowledges every second segment or after 40 ms, reports gaps (SACK) and
// duplicates (DSACK), offers a window, rejects what an old timestamp takes for a stray of long ago (PAWS).
#pragma once

#include <map>
#include <vector>

#include "tests/sim/core/event_loop.h"

namespace hawser::sim {

struct TcpReceiverStats {
  uint64_t segments = 0, bytes = 0;
  uint64_t reordered = 0;   // arrived below something that had arrived before, and was new
  uint64_t duplicates = 0;  // nothing in it was new
  uint64_t outdated = 0;    // rejected by PAWS, whatever was in it
  uint64_t max_out_of_order = 0;  // bytes held
  Duration longest_hold{};  // a segment waited this long for the gap below it
};

class TcpReceiver {
 public:
  using SendAck = std::function<void()>;
  using OnBytes = std::function<void(uint64_t fresh)>;

  // `window`: the receive buffer, bytes; the application reads at once.
  TcpReceiver(EventLoop& loop, uint64_t window, SendAck send_ack, OnBytes on_bytes)
      : loop_(loop), buffer_(window), send_ack_(std::move(send_ack)), on_bytes_(std::move(on_bytes)),
        delayed_(loop, [this] { acknowledge(); }) {}

  // PAWS (RFC 7323, section 5): how many ticks `timestamp` is behind the newest that came in order; one is allowed, as in Linux.
  int32_t behind(uint32_t timestamp) const { return echo_ ? static_cast<int32_t>(echo_ - timestamp) : 0; }
  static constexpr int32_t kPawsWindow = 1;
  // A data segment that PAWS rejects: dropped, and answered at once.
  void reject(uint64_t begin, uint64_t length);
  // For every segment that passed: the echo is of the one at the left edge of what is being acknowledged (4.3), never older.
  void on_timestamp(uint64_t begin, uint32_t timestamp) {
    if (begin <= last_report_ && behind(timestamp) <= 0) echo_ = timestamp;
  }
  void on_segment(uint64_t begin, uint64_t length);
  // An acknowledgement leaves (alone or with data): what it has to say, and nothing is owed any more.
  struct Report {
    uint64_t next = 0, window = 0;
    uint32_t echo = 0;
    std::vector<std::pair<uint64_t, uint64_t>> blocks;  // at most 3, the most recent first
  };
  Report report();

  const TcpReceiverStats& stats() const { return stats_; }
  uint64_t next() const { return next_; }

 private:
  struct Range {
    uint64_t end;
    Time since;  // when its first byte came
  };
  void acknowledge() {
    if (owed_) send_ack_();
  }
  void store(uint64_t begin, uint64_t end);
  void advance();

  EventLoop& loop_;
  const uint64_t buffer_;
  SendAck send_ack_;
  OnBytes on_bytes_;
  Timer delayed_;
  TcpReceiverStats stats_;
  uint64_t next_ = 0, highest_ = 0, held_ = 0;
  std::map<uint64_t, Range> ranges_;  // above next_, by begin
  std::vector<uint64_t> recent_;      // begins of ranges, the most recent first
  std::pair<uint64_t, uint64_t> duplicate_{};  // to report
  uint32_t echo_ = 0;                 // TS.Recent; zero: none yet
  uint64_t last_report_ = 0;
  uint64_t owed_ = 0;                 // segments since the last acknowledgement
  int quick_ = kQuickAcks;            // acknowledge each of the first ones at once, as Linux does
  static constexpr int kQuickAcks = 16;
};

}  // namespace hawser::sim
