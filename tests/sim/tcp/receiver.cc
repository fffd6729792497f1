// Reassembly by ranges; when to acknowledge.
#include "tests/sim/tcp/receiver.h"

#include <algorithm>

namespace hawser::sim {

// As Linux answers it: what is below the stream's next byte is reported as a duplicate, and the next acks do not wait.
void TcpReceiver::reject(uint64_t begin, uint64_t length) {
  ++stats_.outdated;
  ++owed_;
  if (begin < next_) {
    duplicate_ = {begin, std::min(begin + length, next_)};
    quick_ = kQuickAcks;
  }
  acknowledge();
}

void TcpReceiver::on_segment(uint64_t begin, uint64_t length) {
  const uint64_t end = begin + length;
  ++stats_.segments;
  const bool was_whole = ranges_.empty();
  bool at_once = true;
  const auto covering = ranges_.upper_bound(begin);
  const bool inside = covering != ranges_.begin() && std::prev(covering)->second.end >= end;
  if (end <= next_ || inside) {
    ++stats_.duplicates;
    duplicate_ = {begin, end};
  } else {
    if (end < highest_) ++stats_.reordered;
    highest_ = std::max(highest_, end);
    if (begin <= next_) {
      const uint64_t before = next_;
      next_ = end;
      advance();
      stats_.bytes += next_ - before;
      at_once = !was_whole;  // filled a gap, or there still is one
      on_bytes_(next_ - before);
    } else {
      store(begin, end);
    }
  }
  ++owed_;
  if (quick_ > 0) {
    --quick_;
    at_once = true;
  }
  if (at_once || owed_ >= 2) {
    acknowledge();
  } else if (!delayed_.is_set()) {
    delayed_.set(loop_.now() + Duration::millis(40));
  }
}

void TcpReceiver::store(uint64_t begin, uint64_t end) {
  Time since = loop_.now();
  auto next = ranges_.upper_bound(begin);
  if (next != ranges_.begin() && std::prev(next)->second.end >= begin) {
    const auto below = std::prev(next);
    begin = below->first;
    since = below->second.since;
    end = std::max(end, below->second.end);
    held_ -= below->second.end - below->first;
    ranges_.erase(below);
  }
  while (next != ranges_.end() && next->first <= end) {
    end = std::max(end, next->second.end);
    held_ -= next->second.end - next->first;
    next = ranges_.erase(next);
  }
  ranges_[begin] = {end, since};
  held_ += end - begin;
  stats_.max_out_of_order = std::max(stats_.max_out_of_order, held_);
  recent_.insert(recent_.begin(), begin);
}

void TcpReceiver::advance() {
  while (!ranges_.empty() && ranges_.begin()->first <= next_) {
    const auto& [begin, range] = *ranges_.begin();
    next_ = std::max(next_, range.end);
    held_ -= range.end - begin;
    stats_.longest_hold = std::max(stats_.longest_hold, loop_.now() - range.since);
    ranges_.erase(ranges_.begin());
  }
}

TcpReceiver::Report TcpReceiver::report() {
  Report r;
  r.next = next_;
  r.window = buffer_ > held_ ? buffer_ - held_ : 0;
  r.echo = echo_;
  if (duplicate_.second) r.blocks.push_back(duplicate_);
  duplicate_ = {};
  std::vector<uint64_t> still;
  for (uint64_t begin : recent_) {
    const auto it = ranges_.find(begin);
    if (it == ranges_.end() || std::count(still.begin(), still.end(), begin)) continue;
    still.push_back(begin);
    if (r.blocks.size() < 3) r.blocks.emplace_back(begin, it->second.end);
    if (still.size() >= 8) break;
  }
  recent_ = std::move(still);
  owed_ = 0;
  last_report_ = next_;
  delayed_.cancel();
  return r;
}

}  // namespace hawser::sim
