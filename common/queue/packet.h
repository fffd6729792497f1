// Packet: a slice of a pooled, reference-counted buffer. The TUN reader fills one, the engine holds it until it is
// acknowledged or expired; copying a Packet copies a reference. Single-threaded, like the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/types.h"

namespace hawser {

class PacketPool;

namespace detail {
// One pooled buffer. `room` bytes follow it in memory.
struct PacketBuffer {
  PacketPool* pool = nullptr;
  PacketBuffer* next_free = nullptr;
  uint32_t references = 0;
};
}  // namespace detail

class Packet {
 public:
  Packet() = default;
  Packet(const Packet& o) : buffer_(o.buffer_), offset_(o.offset_), size_(o.size_) { retain(); }
  Packet(Packet&& o) noexcept : buffer_(std::exchange(o.buffer_, nullptr)), offset_(o.offset_), size_(o.size_) {}
  Packet& operator=(Packet o) noexcept {
    std::swap(buffer_, o.buffer_);
    offset_ = o.offset_;
    size_ = o.size_;
    return *this;
  }
  ~Packet() { release(); }

  explicit operator bool() const { return buffer_ != nullptr; }
  ByteSpan bytes() const { return {data(), size_}; }
  MutableByteSpan writable() { return {data(), size_}; }
  size_t size() const { return size_; }
  // Narrows the view after the buffer was filled; never beyond what was allocated.
  void resize(size_t size) { size_ = static_cast<uint32_t>(size); }
  // A view of a part, sharing the buffer.
  Packet slice(size_t offset, size_t size) const {
    Packet p = *this;
    p.offset_ += static_cast<uint32_t>(offset);
    p.size_ = static_cast<uint32_t>(size);
    return p;
  }

 private:
  friend class PacketPool;
  explicit Packet(detail::PacketBuffer* b, uint32_t size) : buffer_(b), size_(size) { retain(); }
  uint8_t* data() const { return reinterpret_cast<uint8_t*>(buffer_ + 1) + offset_; }
  void retain() {
    if (buffer_) ++buffer_->references;
  }
  void release();

  detail::PacketBuffer* buffer_ = nullptr;
  uint32_t offset_ = 0;
  uint32_t size_ = 0;
};

// Buffers of one size, allocated in chunks up to a bound in bytes and reused for ever: steady state allocates nothing.
// Must outlive every Packet taken from it.
class PacketPool {
 public:
  explicit PacketPool(size_t buffer_size = 2048, size_t max_bytes = 64u << 20);
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;

  // A packet whose view is the whole buffer (buffer_size bytes), or an empty Packet when the bound is reached.
  Packet allocate();
  // A packet holding a copy of `bytes`; empty when the bound is reached or the bytes do not fit.
  Packet copy_of(ByteSpan bytes);

  size_t buffer_size() const { return buffer_size_; }
  size_t in_use() const { return in_use_; }
  size_t most_packets() const { return max_chunks_ * kPerChunk; }
  // Other memory that grows with traffic counts against the same bound: false when there is no room for `bytes` more.
  bool charge(size_t bytes) {
    if (charged_ + bytes > max_chunks_ * kPerChunk * stride_ / 4) return false;
    charged_ += bytes;
    return true;
  }
  void refund(size_t bytes) { charged_ -= bytes; }
  size_t allocated_bytes() const { return chunks_.size() * kPerChunk * stride_; }

 private:
  friend class Packet;
  static constexpr size_t kPerChunk = 64;
  void grow();

  const size_t buffer_size_;
  const size_t stride_;
  const size_t max_chunks_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  detail::PacketBuffer* free_ = nullptr;
  size_t in_use_ = 0;
  size_t charged_ = 0;
};

inline void Packet::release() {
  if (buffer_ && --buffer_->references == 0) {
    buffer_->next_free = buffer_->pool->free_;
    buffer_->pool->free_ = buffer_;
    --buffer_->pool->in_use_;
  }
}

}  // namespace hawser
