// Memory for secrets: locked against swapping, guarded at both ends, wiped on every way out.
// SecretSlab hands out slots of it; Secret<N> is the move-only value that everybody uses.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "common/types.h"

namespace hawser {

// Prepares libsodium. Every program (and test) calls it first; false means that no cryptography may be used.
// Repeated calls are harmless.
bool init();

// Overwrites with zeros in a way that no compiler leaves out.
void wipe(MutableByteSpan bytes);
void wipe(std::string& text);

// Equal length and content, in a time that does not depend on the content.
bool equal_secrets(ByteSpan a, ByteSpan b);

// Lets one thread at a time touch a slab's list; a waiter sleeps.
class SlabLock {
 public:
  explicit SlabLock(std::atomic_flag& flag) : flag_(flag) {
    while (flag_.test_and_set(std::memory_order_acquire)) flag_.wait(true, std::memory_order_relaxed);
  }
  ~SlabLock() {
    flag_.clear(std::memory_order_release);
    flag_.notify_one();
  }
  SlabLock(const SlabLock&) = delete;
  SlabLock& operator=(const SlabLock&) = delete;

 private:
  std::atomic_flag& flag_;
};

// Slots of one size, taken from chunks of sodium_malloc memory (guard pages around each chunk). Chunks are kept
// until the slab goes. Safe for several threads: a worker may take a handshake and hand its keys over to another.
class SecretSlab {
 public:
  // The slot size is rounded up to a multiple of 64, which is also the slots' alignment.
  explicit SecretSlab(size_t slot_size);
  ~SecretSlab();
  SecretSlab(const SecretSlab&) = delete;
  SecretSlab& operator=(const SecretSlab&) = delete;

  // A zeroed slot; throws std::bad_alloc when the system gives no memory.
  uint8_t* acquire();
  // Wipes the slot, then lends it again.
  void release(uint8_t* slot);

  size_t slot_size() const { return slot_size_; }
  size_t in_use() const;
  size_t chunk_count() const;
  // Whether all memory so far is locked. False under a low RLIMIT_MEMLOCK: secrets may then reach the swap device,
  // which is worth a warning but no reason not to run.
  bool locked() const;

  // The process-wide slab whose slots hold `size` bytes. It is never destroyed, so that secrets in static objects
  // may outlive main().
  static SecretSlab& shared(size_t size);
  // Whether every process-wide slab is locked.
  static bool all_shared_locked();

 private:
  void add_chunk();

  const size_t slot_size_;
  mutable std::atomic_flag busy_;
  std::vector<uint8_t*> chunks_;
  std::vector<uint8_t*> free_;
  size_t in_use_ = 0;
  bool locked_ = true;
};

// N secret bytes in a slab. A moved-from secret may only be assigned to or destroyed.
template <size_t N>
class Secret {
 public:
  static constexpr size_t kSize = N;

  // All zeros, in the process-wide slab or the given one (which must outlive the secret).
  Secret() : Secret(SecretSlab::shared(N)) {}
  explicit Secret(SecretSlab& slab) : slab_(&slab), slot_(slab.acquire()) {}
  explicit Secret(std::span<const uint8_t, N> from) : Secret() { std::copy(from.begin(), from.end(), slot_); }
  Secret(Secret&& o) noexcept : slab_(o.slab_), slot_(std::exchange(o.slot_, nullptr)) {}
  Secret& operator=(Secret&& o) noexcept {
    std::swap(slab_, o.slab_);
    std::swap(slot_, o.slot_);
    o.reset();  // what was held here is wiped now, not at some later end of scope
    return *this;
  }
  ~Secret() { reset(); }

  // A second copy; explicit, because each copy is one more place to keep secret.
  Secret clone() const {
    Secret copy(*slab_);
    std::copy(slot_, slot_ + N, copy.slot_);
    return copy;
  }
  std::span<uint8_t, N> bytes() { return std::span<uint8_t, N>(slot_, N); }
  std::span<const uint8_t, N> bytes() const { return std::span<const uint8_t, N>(slot_, N); }
  bool equals(const Secret& o) const { return equal_secrets(bytes(), o.bytes()); }

 private:
  void reset() {
    if (slot_ != nullptr) slab_->release(std::exchange(slot_, nullptr));
  }

  SecretSlab* slab_;
  uint8_t* slot_;
};

using SecretKey = Secret<32>;

// Secret bytes on the stack that are wiped at the end of their scope.
template <size_t N>
struct Scratch {
  std::array<uint8_t, N> bytes;
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { wipe(bytes); }
};

}  // namespace hawser
