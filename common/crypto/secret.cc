// The slab behind every secret: sodium_malloc gives guard pages, a canary, mlock and exclusion from core dumps.
#include "common/crypto/secret.h"

#include <sodium.h>

#include <map>
#include <new>

namespace hawser {
namespace {

constexpr size_t kSlotAlignment = 64;
// With the canary this fills four pages exactly. sodium_malloc puts the end of the chunk at a guard page.
constexpr size_t kChunkBytes = 4 * 4096 - kSlotAlignment;

struct SharedSlabs {
  std::atomic_flag busy;
  std::map<size_t, SecretSlab*> by_size;
};

// Leaked on purpose: see SecretSlab::shared.
SharedSlabs& shared_slabs() {
  static SharedSlabs& slabs = *new SharedSlabs;
  return slabs;
}

size_t round_up(size_t size) {
  return (size + kSlotAlignment - 1) / kSlotAlignment * kSlotAlignment;
}

}  // namespace

bool init() {
  return sodium_init() >= 0;
}

void wipe(MutableByteSpan bytes) {
  sodium_memzero(bytes.data(), bytes.size());
}

void wipe(std::string& text) {
  sodium_memzero(text.data(), text.size());
  text.clear();
}

bool equal_secrets(ByteSpan a, ByteSpan b) {
  // sodium_memcmp looks at every byte whatever they hold: the time it takes does not tell a forger how far he got.
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

SecretSlab::SecretSlab(size_t slot_size) : slot_size_(round_up(slot_size)) {}

SecretSlab::~SecretSlab() {
  for (uint8_t* chunk : chunks_) sodium_free(chunk);  // wipes, and aborts when a canary was overwritten
}

void SecretSlab::add_chunk() {
  if (!init()) throw std::bad_alloc();
  const size_t slots = std::max<size_t>(1, kChunkBytes / slot_size_);
  // sodium_malloc aligns the end of the memory to a page; a size that is a multiple of 64 aligns its beginning to 64.
  auto* chunk = static_cast<uint8_t*>(sodium_malloc(slots * slot_size_));
  if (chunk == nullptr) throw std::bad_alloc();
  // sodium_malloc has tried to lock but keeps silent about a refusal; asking again tells, and costs nothing.
  if (sodium_mlock(chunk, slots * slot_size_) != 0) locked_ = false;
  chunks_.push_back(chunk);
  sodium_memzero(chunk, slots * slot_size_);
  free_.reserve(chunks_.size() * slots);  // so that release() never allocates
  for (size_t i = slots; i-- > 0;) free_.push_back(chunk + i * slot_size_);
}

uint8_t* SecretSlab::acquire() {
  const SlabLock lock(busy_);
  if (free_.empty()) add_chunk();
  uint8_t* slot = free_.back();
  free_.pop_back();
  ++in_use_;
  return slot;
}

void SecretSlab::release(uint8_t* slot) {
  // The secret ends here, not when somebody else happens to need the slot.
  sodium_memzero(slot, slot_size_);
  const SlabLock lock(busy_);
  free_.push_back(slot);
  --in_use_;
}

size_t SecretSlab::in_use() const {
  const SlabLock lock(busy_);
  return in_use_;
}

size_t SecretSlab::chunk_count() const {
  const SlabLock lock(busy_);
  return chunks_.size();
}

bool SecretSlab::locked() const {
  const SlabLock lock(busy_);
  return locked_;
}

SecretSlab& SecretSlab::shared(size_t size) {
  SharedSlabs& slabs = shared_slabs();
  const SlabLock lock(slabs.busy);
  SecretSlab*& slab = slabs.by_size[round_up(size)];
  if (slab == nullptr) slab = new SecretSlab(size);
  return *slab;
}

bool SecretSlab::all_shared_locked() {
  SharedSlabs& slabs = shared_slabs();
  const SlabLock lock(slabs.busy);
  for (const auto& [size, slab] : slabs.by_size) {
    if (!slab->locked()) return false;
  }
  return true;
}

}  // namespace hawser
