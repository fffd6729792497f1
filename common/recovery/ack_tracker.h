// The receiver's side of acknowledgements of one path: which packet numbers came, and when an ack is due (RFC 9000, 13.2).
#pragma once

#include <array>

#include "common/constants.h"
#include "common/types.h"
#include "common/wire/frame.h"

namespace hawser {

class AckTracker {
 public:
  // An authentic, new datagram of this path. `ecn` as on the wire; `rtt` is the path's, which says how far apart acks may be.
  void on_received(PacketNumber pn, bool ack_eliciting, uint8_t ecn, Duration rtt, Time now);

  // An ack on the path itself should leave at this moment (Time::infinite(): nothing to acknowledge).
  Time due() const { return due_; }
  bool is_due(Time now) const { return due_ <= now; }
  // Something came since the last ack on the path itself.
  bool has_news() const { return eliciting_pending_ > 0; }
  // Something came since the last cross-ack.
  bool has_cross_news() const { return cross_news_; }

  // The present state as a frame; mark_sent / mark_cross_sent when it left.
  wire::AckFrame frame(PathId path, Time now) const;
  void mark_sent(Time now);
  void mark_cross_sent() { cross_news_ = false; }

  bool has_any() const { return range_count_ > 0; }
  PacketNumber largest() const { return ranges_[0].last; }

 private:
  void insert(PacketNumber pn);

  std::array<wire::AckRange, wire::kMaxAckRanges> ranges_{};  // descending
  size_t range_count_ = 0;
  Time largest_received_at_;
  wire::EcnCounts ecn_;
  int eliciting_pending_ = 0;
  bool gap_pending_ = false;  // a number that did not follow the one before, not told yet
  bool cross_news_ = false;
  Time sent_at_;
  Time due_ = Time::infinite();
};

}  // namespace hawser
