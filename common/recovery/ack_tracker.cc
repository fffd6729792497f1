// Received ranges, kept in a fixed array: the oldest ranges fall off, never memory grows.
#include "common/recovery/ack_tracker.h"

#include <algorithm>

namespace hawser {

void AckTracker::insert(PacketNumber pn) {
  size_t i = 0;
  while (i < range_count_ && ranges_[i].first.value > pn.value) ++i;
  // ranges_[i] is the first range that begins at or below pn (or the end).
  if (i < range_count_ && pn.value <= ranges_[i].last.value) return;
  const bool joins_below = i < range_count_ && ranges_[i].last.value + 1 == pn.value;
  const bool joins_above = i > 0 && ranges_[i - 1].first.value == pn.value + 1;
  if (joins_below && joins_above) {
    ranges_[i - 1].first = ranges_[i].first;
    std::move(ranges_.begin() + static_cast<ptrdiff_t>(i) + 1, ranges_.begin() + static_cast<ptrdiff_t>(range_count_),
              ranges_.begin() + static_cast<ptrdiff_t>(i));
    --range_count_;
  } else if (joins_below) {
    ranges_[i].last = pn;
  } else if (joins_above) {
    ranges_[i - 1].first = pn;
  } else {
    if (i >= ranges_.size()) return;  // older than anything we still report
    const size_t keep = std::min(range_count_, ranges_.size() - 1);
    std::move_backward(ranges_.begin() + static_cast<ptrdiff_t>(i), ranges_.begin() + static_cast<ptrdiff_t>(keep),
                       ranges_.begin() + static_cast<ptrdiff_t>(keep) + 1);
    ranges_[i] = {pn, pn};
    range_count_ = keep + 1;
  }
}

void AckTracker::on_received(PacketNumber pn, bool ack_eliciting, uint8_t ecn, Duration rtt, Time now) {
  const bool newest = range_count_ == 0 || pn.value > ranges_[0].last.value;
  const bool in_order = range_count_ == 0 || pn.value == ranges_[0].last.value + 1;
  insert(pn);
  if (newest) largest_received_at_ = now;
  if (ecn == 1) ++ecn_.ect1;
  if (ecn == 2) ++ecn_.ect0;
  if (ecn == 3) ++ecn_.ce;
  if (!in_order) gap_pending_ = true;
  if (!ack_eliciting) return;
  cross_news_ = true;
  ++eliciting_pending_;
  // A gap, or something that fills one, or a congestion mark: the sender should know at once (RFC 9000, 13.2.1).
  if (gap_pending_ || ecn == 3 || eliciting_pending_ >= kMostPerAck) {
    due_ = now;
  } else if (eliciting_pending_ >= kAckElicitingThreshold) {
    due_ = std::min(due_, std::max(now, sent_at_ + rtt / kAcksPerRoundTrip));
  } else {
    due_ = std::min(due_, now + kMaxAckDelay);
  }
}

wire::AckFrame AckTracker::frame(PathId path, Time now) const {
  wire::AckFrame f;
  f.path = path;
  f.ack_delay = std::max(Duration{}, now - largest_received_at_);
  f.largest_received_at = largest_received_at_;
  f.ecn = ecn_;
  f.ranges = ranges_;
  f.range_count = range_count_;
  return f;
}

void AckTracker::mark_sent(Time now) {
  sent_at_ = now;
  eliciting_pending_ = 0;
  gap_pending_ = false;
  due_ = Time::infinite();
}

}  // namespace hawser
