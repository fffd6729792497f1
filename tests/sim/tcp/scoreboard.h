// What a TCP sender knows of each segment it sent: acknowledged selectively, lost, sent again; and RACK's verdicts (RFC 8985).
#pragma once

#include <deque>

#include "tests/sim/tcp/rtt.h"

namespace hawser::sim {

struct SentSegment {
  uint64_t begin = 0;
  uint32_t length = 0;
  Time sent_at;             // the latest transmission
  Time first_sent_at;
  uint16_t transmissions = 1;
  bool sacked = false;
  bool lost = false;        // and not yet sent again
  uint64_t end() const { return begin + length; }
};

// What one acknowledgement changed.
struct AckOutcome {
  uint64_t delivered = 0;      // bytes newly acknowledged or selectively acknowledged
  Duration rtt{-1};            // of the latest segment acknowledged that was sent once
  bool advanced = false;       // the cumulative point moved
};

class Scoreboard {
 public:
  void on_sent(uint64_t begin, uint32_t length, Time now);
  void on_resent(SentSegment& segment, Time now);

  // All below `ack` has arrived. `least`: the shortest round trip ever measured.
  void on_cumulative(uint64_t ack, Duration least, Time now, AckOutcome& outcome);
  // [begin, end) has arrived.
  void on_selective(uint64_t begin, uint64_t end, Duration least, Time now, AckOutcome& outcome);
  // RACK: marks as lost what was sent long enough before something that has arrived; returns the bytes newly lost. When
  // some segments may only be lost later, `check_again` is set to that moment.
  uint64_t detect_losses(const RttEstimator& rtt, bool in_recovery, Time now, Time& check_again);
  // A timeout: everything not acknowledged is lost.
  void mark_all_lost();
  // The losses were none: what was not sent again yet is in flight after all.
  void unmark_lost();
  void on_duplicate_reported() { ++reorder_steps_; }  // DSACK: the reordering window was too small

  SentSegment* next_lost();
  SentSegment* last() { return segments_.empty() ? nullptr : &segments_.back(); }
  bool empty() const { return segments_.empty(); }
  size_t count() const { return segments_.size(); }
  uint64_t pipe() const { return pipe_; }        // bytes in flight
  uint64_t unacked() const { return unacked_; }  // the cumulative point
  bool reordering_seen() const { return reordering_seen_; }
  bool any_sacked() const { return sacked_ > 0; }

 private:
  void arrived(SentSegment& s, Duration least, Time now, AckOutcome& outcome);

  std::deque<SentSegment> segments_;
  uint64_t unacked_ = 0;
  uint64_t pipe_ = 0;
  uint64_t highest_sacked_ = 0;  // end of the highest range that has arrived
  size_t sacked_ = 0, lost_ = 0;
  // RACK: the latest sent segment that has arrived.
  Time rack_sent_;
  uint64_t rack_end_ = 0;
  Duration rack_rtt_{};
  bool reordering_seen_ = false;
  int reorder_steps_ = 1;
};

}  // namespace hawser::sim
