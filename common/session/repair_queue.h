// Segments that wait to be sent again, oldest first; calls and the like before downloads, whose repairs may take a slow
// path seconds when another died. Steady state allocates nothing.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "common/recovery/segment.h"

namespace hawser {

class RepairQueue {
 public:
  void push(SegmentRef s) { (s->packet_class.traffic == TrafficClass::bulk ? bulk_ : urgent_).push(std::move(s)); }
  bool empty() const { return urgent_.empty() && bulk_.empty(); }
  // Only when it is not empty.
  const SegmentRef& front() const { return urgent_.empty() ? bulk_.front() : urgent_.front(); }
  SegmentRef pop() { return urgent_.empty() ? bulk_.pop() : urgent_.pop(); }
  size_t memory_bytes() const { return urgent_.memory_bytes() + bulk_.memory_bytes(); }

 private:
  // A heap: what is lost again is older than what waits for its first repair.
  class Heap {
   public:
    bool empty() const { return items_.empty(); }
    const SegmentRef& front() const { return items_.front(); }
    void push(SegmentRef s) {
      items_.push_back(std::move(s));
      std::push_heap(items_.begin(), items_.end(), later);
    }
    SegmentRef pop() {
      std::pop_heap(items_.begin(), items_.end(), later);
      SegmentRef s = std::move(items_.back());
      items_.pop_back();
      return s;
    }
    size_t memory_bytes() const { return items_.capacity() * sizeof(SegmentRef); }

   private:
    static bool later(const SegmentRef& a, const SegmentRef& b) {
      return std::pair(a->first_sent.ns, a->seq.value) > std::pair(b->first_sent.ns, b->seq.value);
    }
    std::vector<SegmentRef> items_;
  };
  Heap urgent_, bulk_;
};

}  // namespace hawser
