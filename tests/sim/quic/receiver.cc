// Ranges of packet numbers; stream pieces in order.
#include "tests/sim/quic/receiver.h"

#include <algorithm>
#include <iterator>

namespace hawser::sim {

void QuicReceiver::on_packet(const QuicData& d) {
  const bool in_order = ranges_.empty() ? d.number == 0 : d.number == largest_ + 1;
  auto next = ranges_.upper_bound(d.number);
  if (next != ranges_.begin() && std::prev(next)->second >= d.number) return;  // a copy
  if (d.number < largest_) ++reordered_;
  largest_ = std::max(largest_, d.number);
  uint64_t first = d.number, last = d.number;
  if (next != ranges_.begin() && std::prev(next)->second + 1 == d.number) first = std::prev(next)->first;
  if (next != ranges_.end() && next->first == d.number + 1) {
    last = next->second;
    ranges_.erase(next);
  }
  ranges_[first] = last;
  while (ranges_.size() > kQuicMaxRanges) ranges_.erase(ranges_.begin());

  if (d.offset >= readable_) waiting_.insert(d.offset);
  const uint64_t before = readable_;
  while (!waiting_.empty() && *waiting_.begin() == readable_) {
    waiting_.erase(waiting_.begin());
    readable_ += piece_;
  }
  if (readable_ > before) on_bytes_(readable_ - before);

  if (++owed_ >= 2 || !in_order) {  // RFC 9000, 13.2.1 and 13.2.2
    acknowledge();
  } else if (!delayed_.is_set()) {
    delayed_.set(loop_.now() + Duration::millis(25));
  }
}

void QuicReceiver::acknowledge() {
  if (owed_ == 0) return;
  owed_ = 0;
  delayed_.cancel();
  QuicRanges ranges;
  for (auto it = ranges_.rbegin(); it != ranges_.rend(); ++it) ranges.push_back({it->first, it->second});
  send_ack_(ranges);
}

}  // namespace hawser::sim
