// The pool behind Packet: chunks of equal buffers on a free list.
#include "common/queue/packet.h"

#include <algorithm>
#include <new>

namespace hawser {
namespace {
constexpr size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
}  // namespace

PacketPool::PacketPool(size_t buffer_size, size_t max_bytes)
    : buffer_size_(buffer_size),
      stride_(round_up(sizeof(detail::PacketBuffer) + buffer_size, alignof(std::max_align_t))),
      max_chunks_(std::max<size_t>(1, max_bytes / (stride_ * kPerChunk))) {}

void PacketPool::grow() {
  auto chunk = std::make_unique<std::byte[]>(stride_ * kPerChunk);
  for (size_t i = kPerChunk; i-- > 0;) {
    auto* b = new (chunk.get() + i * stride_) detail::PacketBuffer;
    b->pool = this;
    b->next_free = free_;
    free_ = b;
  }
  chunks_.push_back(std::move(chunk));
}

Packet PacketPool::allocate() {
  if (!free_) {
    if (chunks_.size() >= max_chunks_) return {};
    grow();
  }
  detail::PacketBuffer* b = free_;
  free_ = b->next_free;
  ++in_use_;
  return Packet{b, static_cast<uint32_t>(buffer_size_)};
}

Packet PacketPool::copy_of(ByteSpan bytes) {
  if (bytes.size() > buffer_size_) return {};
  Packet p = allocate();
  if (p) {
    std::copy(bytes.begin(), bytes.end(), p.writable().begin());
    p.resize(bytes.size());
  }
  return p;
}

}  // namespace hawser
