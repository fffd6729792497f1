// Segments that wait to be sent again, oldest first; calls and the like before downloads, whose repairs may take a slow
// path seconds when another died. Steady state allocates nothing.
#pragma once

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
  class Fifo {
   public:
    bool empty() const { return head_ == items_.size(); }
    const SegmentRef& front() const { return items_[head_]; }
    void push(SegmentRef s) {
      if (head_ > 0 && items_.size() == items_.capacity()) {
        items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(head_));
        head_ = 0;
      }
      items_.push_back(std::move(s));
    }
    SegmentRef pop() {
      SegmentRef s = std::move(items_[head_++]);
      if (empty()) {
        items_.clear();
        head_ = 0;
      }
      return s;
    }
    size_t memory_bytes() const { return items_.capacity() * sizeof(SegmentRef); }

   private:
    std::vector<SegmentRef> items_;  // [head_, end) wait
    size_t head_ = 0;
  };
  Fifo urgent_, bulk_;
};

}  // namespace hawser
