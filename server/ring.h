// A bounded queue of byte records from one thread to one other, without a lock: what a worker got that belongs to another.
// Records lie in one piece of memory each, aligned to 8 bytes, and are read where they lie.
#pragma once

#include <atomic>
#include <memory>

#include "common/types.h"

namespace hawser::server {

class Ring {
 public:
  // `capacity` in bytes, a power of two. Memory that was never written to costs nothing yet.
  explicit Ring(size_t capacity)
      : capacity_(capacity), memory_(std::make_unique_for_overwrite<uint8_t[]>(capacity)) {}

  // ---- the sending thread ----
  // Room for a record of `size` bytes; empty when the ring is too full for it. Seen by the other thread after publish().
  MutableByteSpan reserve(size_t size) {
    const size_t whole = kHeader + rounded(size);
    const size_t to_end = capacity_ - position(reserved_);
    const size_t skipped = to_end < whole ? to_end : 0;
    if (!has_room(skipped + whole)) return {};
    if (skipped != 0) {
      header(reserved_) = kSkip;
      reserved_ += skipped;
    }
    header(reserved_) = size;
    const MutableByteSpan record(memory_.get() + position(reserved_) + kHeader, size);
    reserved_ += whole;
    return record;
  }
  void publish() { written_.store(reserved_, std::memory_order_release); }

  // ---- the receiving thread ----
  // The next record, or nothing (a null span). Valid until release().
  MutableByteSpan next() {
    if (taken_ == seen_) seen_ = written_.load(std::memory_order_acquire);
    if (taken_ == seen_) return {};
    if (header(taken_) == kSkip) taken_ += capacity_ - position(taken_);
    const size_t size = header(taken_);
    const MutableByteSpan record(memory_.get() + position(taken_) + kHeader, size);
    taken_ += kHeader + rounded(size);
    return record;
  }
  // Gives the room of all records taken so far back to the sender.
  void release() { released_.store(taken_, std::memory_order_release); }

 private:
  static constexpr size_t kHeader = sizeof(uint64_t);
  static constexpr uint64_t kSkip = ~uint64_t{0};  // nothing up to the end of the memory

  static size_t rounded(size_t size) { return (size + 7) & ~size_t{7}; }
  size_t position(size_t count) const { return count & (capacity_ - 1); }
  uint64_t& header(size_t count) { return *reinterpret_cast<uint64_t*>(memory_.get() + position(count)); }
  bool has_room(size_t bytes) {
    if (capacity_ - (reserved_ - free_until_) >= bytes) return true;
    free_until_ = released_.load(std::memory_order_acquire);
    return capacity_ - (reserved_ - free_until_) >= bytes;
  }

  const size_t capacity_;
  const std::unique_ptr<uint8_t[]> memory_;
  // Counts of bytes that only grow; apart, so that the threads do not pull one cache line to and fro.
  alignas(64) size_t reserved_ = 0;
  size_t free_until_ = 0;  // the sender's last look at released_
  alignas(64) std::atomic<size_t> written_{0};
  alignas(64) size_t taken_ = 0;
  size_t seen_ = 0;  // the receiver's last look at written_
  alignas(64) std::atomic<size_t> released_{0};
};

}  // namespace hawser::server
