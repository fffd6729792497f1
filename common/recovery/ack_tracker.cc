// Received ranges: the oldest fall off before memory grows beyond a bound.
#include "common/recovery/ack_tracker.h"

#include <algorithm>

namespace hawser {
namespace {

constexpr size_t kMostRanges = 256;
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
    (at - 1)->first = at->first;
    (at - 1)->told = 0;
    ranges_.erase(at);
  } else if (joins_below) {
    at->last = pn;
    at->told = 0;
  } else if (joins_above) {
    (at - 1)->first = pn;
    (at - 1)->told = 0;
  } else {
    if (ranges_.size() >= kMostRanges) {
      if (at == ranges_.end()) return;  // older than anything that is still known
      ranges_.pop_back();
    }
    ranges_.insert(at, Range{{pn, pn}, 0});
  }
}

// The newest ranges always; of the others those that changed of late, for where much is reordered there are more than a frame
// holds; then what there is room for. What is left out looks like what has not come yet.
template <typename Ranges, typename F>
void AckTracker::each_told(Ranges& ranges, F&& f) {
  size_t news = 0;
  for (size_t i = kNewest; i < ranges.size(); ++i) news += ranges[i].told < kTellTimes;
  size_t room = wire::kMaxAckRanges;
  size_t others = room - std::min(room, kNewest + news);  // neither new nor changed, that fit besides
  for (size_t i = 0; i < ranges.size() && room > 0; ++i) {
    const bool must = i < kNewest || ranges[i].told < kTellTimes;
    if (!must && others == 0) continue;
    if (!must) --others;
    --room;
    f(ranges[i]);
  }
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

wire::AckFrame AckTracker::frame(PathId path, Time now) const {
  wire::AckFrame f;
  f.path = path;
  f.ack_delay = std::max(Duration{}, now - largest_received_at_);
  f.largest_received_at = largest_received_at_;
  f.ecn = ecn_;
  each_told(ranges_, [&](const Range& r) { f.ranges[f.range_count++] = r; });
  return f;
}

void AckTracker::mark_sent(Time now) {
  each_told(ranges_, [](Range& r) { r.told = static_cast<uint8_t>(std::min<int>(r.told + 1, kTellTimes)); });
  sent_at_ = now;
  eliciting_pending_ = 0;
  gap_pending_ = false;
  due_ = Time::infinite();
}

}  // namespace hawser
