// Buffers for frames in flight, all of one size, grown by chunks and never given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace hawser::netlab {

// A buffer of the pool; whoever holds it must release it exactly once.
using FrameSlot = uint32_t;

class FramePool {
 public:
  // At most `limit` buffers of `slot_bytes`.
  FramePool(size_t slot_bytes, size_t limit) : slot_bytes_(slot_bytes), limit_(limit) {}

  // Nothing when all buffers are in use.
  std::optional<FrameSlot> acquire() {
    if (free_.empty() && !grow()) return std::nullopt;
    FrameSlot slot = free_.back();
    free_.pop_back();
    return slot;
  }

  void release(FrameSlot slot) { free_.push_back(slot); }
  uint8_t* data(FrameSlot slot) { return chunks_[slot / kChunk].get() + (slot % kChunk) * slot_bytes_; }
  size_t slot_bytes() const { return slot_bytes_; }
  size_t in_use() const { return chunks_.size() * kChunk - free_.size(); }

 private:
  static constexpr size_t kChunk = 256;

  bool grow() {
    size_t first = chunks_.size() * kChunk;
    if (first + kChunk > limit_) return false;
    chunks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(kChunk * slot_bytes_));
    for (size_t i = kChunk; i > 0; --i) free_.push_back(static_cast<FrameSlot>(first + i - 1));
    return true;
  }

  size_t slot_bytes_;
  size_t limit_;
  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
  std::vector<FrameSlot> free_;
};

}  // namespace hawser::netlab
