// Received ranges: the oldest fall off before memory grows beyond a bound.
#include "common/recovery/ack_tracker.h"

#include <algorithm>

namespace hawser {
namespace {

constexpr size_t kMostRanges = 256, kUsualRanges = 64;
constexpr int kTellTimes = 3;  // a frame may be lost
constexpr int kMostChanges = (wire::kMaxAckRanges - AckTracker::kNewest) / kTellTimes;  // between two frames, where each makes a range
constexpr double kLateMemory = 128;  // datagrams
constexpr double kMuchComesLate = 0.05;  // of them

}  // namespace

void AckTracker::insert(PacketNumber pn) {
  auto at = ranges_.begin();
  while (at != ranges_.end() && at->first.value > pn.value) ++at;
  // The first range that begins at or below pn, or the end.
  if (at != ranges_.end() && pn.value <= at->last.value) return;
  const bool joins_below = at != ranges_.end() && at->last.value + 1 == pn.value;
  const bool joins_above = at != ranges_.begin() && (at - 1)->first.value == pn.value + 1;
  if (joins_below && joins_above) {
    static_cast<wire::AckRange&>(*(at - 1)) = {at->first, (at - 1)->last};
    (at - 1)->told = (at - 1)->cross_told = 0;
    ranges_.erase(at);
  } else if (joins_below) {
    *at = Range{{at->first, pn}};
  } else if (joins_above) {
    *(at - 1) = Range{{pn, (at - 1)->last}};
  } else {
    if (at == ranges_.end() && ranges_.size() >= kMostRanges) return;  // older than anything that is still known
    ranges_.insert(at, Range{{pn, pn}});
    // The gaps of what was lost for good stay for ever; what has been told need not.
    const auto told = [this](const Range& r) { return r.told >= kTellTimes && (r.cross_told >= kTellTimes || ranges_.size() > 2 * kUsualRanges); };
    while (ranges_.size() > kMostRanges || (ranges_.size() > kUsualRanges && told(ranges_.back()))) ranges_.pop_back();
  }
}

size_t AckTracker::changed(Told told) const {
  if (ranges_.size() <= kNewest) return 0;
  return static_cast<size_t>(std::count_if(ranges_.begin() + kNewest, ranges_.end(), [&](const Range& r) { return r.*told < kTellTimes; }));
}

size_t AckTracker::frame_bytes() const { return changed(&Range::told) > 0 ? 64 + 4 * (wire::kMaxAckRanges - kNewest) : 64; }

// The newest ranges always; of the others those that changed of late, for where much is reordered there are more than a frame
// holds; then what there is room for. What is left out looks like what has not come yet.
template <typename Ranges, typename F>
void AckTracker::each_told(Ranges& ranges, Told told, F&& f) const {
  size_t room = wire::kMaxAckRanges;
  size_t others = room - std::min(room, kNewest + changed(told));  // neither new nor changed, that fit besides
  for (size_t i = 0; i < ranges.size() && room > 0; ++i) {
    const bool must = i < kNewest || ranges[i].*told < kTellTimes;
    if (!must && others == 0) continue;
    if (!must) --others;
    --room;
    f(ranges[i]);
  }
}

void AckTracker::count_told(Told told) {
  each_told(ranges_, told, [&](Range& r) { r.*told = static_cast<uint8_t>(std::min<int>(r.*told + 1, kTellTimes)); });
}

void AckTracker::on_received(PacketNumber pn, bool ack_eliciting, uint8_t ecn, Duration rtt, Time now) {
  const bool newest = ranges_.empty() || pn.value > ranges_[0].last.value;
  const bool in_order = ranges_.empty() || pn.value == ranges_[0].last.value + 1;
  insert(pn);
  late_share_ += ((newest ? 0.0 : 1.0) - late_share_) / kLateMemory;
  if (newest) largest_received_at_ = now;
  if (ecn == 1) ++ecn_.ect1;
  if (ecn == 2) ++ecn_.ect0;
  if (ecn == 3) ++ecn_.ce;
  // Where much comes late a gap is no news, and an ack for each would fill the way back.
  const bool disorder = late_share_ > kMuchComesLate;
  if (!in_order && !disorder) gap_pending_ = true;
  if (!ack_eliciting) return;
  cross_news_ = true;
  ++eliciting_pending_;
  // A gap, or something that fills one, or a congestion mark: the sender should know at once (RFC 9000, 13.2.1).
  if (gap_pending_ || ecn == 3 || eliciting_pending_ >= (disorder ? kMostChanges : kMostPerAck)) {
    due_ = now;
  } else if (eliciting_pending_ >= kAckElicitingThreshold) {
    due_ = std::min(due_, std::max(now, sent_at_ + rtt / kAcksPerRoundTrip));
  } else {
    due_ = std::min(due_, now + kMaxAckDelay);
  }
}

wire::AckFrame AckTracker::frame_of(PathId path, Time now, Told told) const {
  wire::AckFrame f;
  f.path = path;
  f.ack_delay = std::max(Duration{}, now - largest_received_at_);
  f.largest_received_at = largest_received_at_;
  f.ecn = ecn_;
  each_told(ranges_, told, [&](const Range& r) { f.ranges[f.range_count++] = r; });
  return f;
}

void AckTracker::mark_sent(Time now) {
  count_told(&Range::told);
  sent_at_ = now;
  eliciting_pending_ = 0;
  gap_pending_ = false;
  due_ = Time::infinite();
}

void AckTracker::mark_cross_sent() {
  count_told(&Range::cross_told);
  cross_news_ = false;
}

}  // namespace hawser
