// A queue in a ring that grows and never shrinks: unlike std::deque it allocates nothing while it only turns.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace hawser {

template <typename T>
class RingQueue {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  T& front() { return ring_[head_]; }

  void push_back(T value) {
    if (size_ == ring_.size()) grow();
    ring_[(head_ + size_++) & (ring_.size() - 1)] = std::move(value);
  }
  void pop_front() {
    ring_[head_] = T{};
    head_ = (head_ + 1) & (ring_.size() - 1);
    --size_;
  }

 private:
  void grow() {
    std::vector<T> bigger(ring_.empty() ? 16 : ring_.size() * 2);
    for (size_t i = 0; i < size_; ++i) bigger[i] = std::move(ring_[(head_ + i) & (ring_.size() - 1)]);
    ring_ = std::move(bigger);
    head_ = 0;
  }

  std::vector<T> ring_;  // a power of two
  size_t head_ = 0, size_ = 0;
};

}  // namespace hawser
