// Secrets: slots are aligned, apart, wiped on every way out; a refusal to lock is told and survived.
#include "common/crypto/secret.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>

#include "tests/unit/crypto/support.h"

using namespace hawser;
using namespace hawser::test;

namespace {

// The address sanitizer replaces mlock by a function that does nothing and says "locked".
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMlockIsReal = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kMlockIsReal = false;
#else
constexpr bool kMlockIsReal = true;
#endif
#else
constexpr bool kMlockIsReal = true;
#endif

bool all_zero(const uint8_t* p, size_t n) {
  return std::all_of(p, p + n, [](uint8_t b) { return b == 0; });
}

}  // namespace

TEST_CASE("libsodium is ready, and asking twice is harmless") {
  REQUIRE(init());
  REQUIRE(init());
}

TEST_CASE("slots are aligned, apart, zeroed, and reused") {
  SecretSlab slab(40);
  CHECK(slab.slot_size() == 64);
  std::set<uint8_t*> slots;
  for (int i = 0; i < 600; ++i) {
    uint8_t* slot = slab.acquire();
    CHECK(reinterpret_cast<uintptr_t>(slot) % 64 == 0);
    CHECK(all_zero(slot, 64));
    std::fill_n(slot, 64, uint8_t{0xa5});
    CHECK(slots.insert(slot).second);
  }
  auto previous = *slots.begin();
  for (auto it = std::next(slots.begin()); it != slots.end(); ++it) {
    CHECK(*it - previous >= 64);
    previous = *it;
  }
  const size_t chunks = slab.chunk_count();
  CHECK(chunks > 1);
  CHECK(slab.in_use() == 600);
  for (uint8_t* slot : slots) slab.release(slot);
  CHECK(slab.in_use() == 0);
  for (int i = 0; i < 600; ++i) CHECK(slots.contains(slab.acquire()));
  CHECK(slab.chunk_count() == chunks);
}

TEST_CASE("a slot is zero after its release") {
  SecretSlab slab(32);
  uint8_t* slot = slab.acquire();
  std::fill_n(slot, 64, uint8_t{0x5a});
  slab.release(slot);
  CHECK(all_zero(slot, 64));  // the chunk is still mapped: the slab lives
}

TEST_CASE("a secret is wiped on every way out") {
  SecretSlab slab(32);
  const uint8_t* slot = nullptr;
  const auto fill = [&](SecretKey& key) {
    std::fill(key.bytes().begin(), key.bytes().end(), uint8_t{0x77});
    slot = key.bytes().data();
  };

  SECTION("end of scope") {
    SecretKey key(slab);
    fill(key);
    { const SecretKey gone = std::move(key); }
    CHECK(all_zero(slot, 32));
  }
  SECTION("another secret is moved over it") {
    SecretKey key(slab), other(slab);
    fill(key);
    key = std::move(other);
    CHECK(all_zero(slot, 32));
  }
  SECTION("an exception") {
    try {
      SecretKey key(slab);
      fill(key);
      throw 1;
    } catch (int) {
    }
    CHECK(all_zero(slot, 32));
  }
  CHECK(slab.in_use() <= 1);
}

TEST_CASE("a moved secret keeps its place, a clone has its own") {
  SecretSlab slab(32);
  SecretKey key(slab);
  std::fill(key.bytes().begin(), key.bytes().end(), uint8_t{9});
  const uint8_t* slot = key.bytes().data();
  SecretKey copy = key.clone();
  CHECK(copy.bytes().data() != slot);
  CHECK(copy.equals(key));
  SecretKey moved = std::move(key);
  CHECK(moved.bytes().data() == slot);
  CHECK(slab.in_use() == 2);
  copy.bytes()[31] ^= 1;
  CHECK_FALSE(copy.equals(moved));
}

TEST_CASE("a scratch array and a text are wiped") {
  alignas(Scratch<32>) uint8_t place[sizeof(Scratch<32>)];
  auto* scratch = new (place) Scratch<32>;
  scratch->bytes.fill(0x33);
  scratch->~Scratch<32>();
  CHECK(all_zero(place, 32));

  std::string text(100, 'k');
  const auto* data = reinterpret_cast<const uint8_t*>(text.data());
  wipe(text);
  CHECK(text.empty());
  CHECK(all_zero(data, 1));
}

TEST_CASE("secrets compare by length and content") {
  const auto a = counting<32>(), b = counting<32>(1);
  CHECK(equal_secrets(a, a));
  CHECK_FALSE(equal_secrets(a, b));
  CHECK_FALSE(equal_secrets(a, ByteSpan(a).first(31)));
  CHECK(equal_secrets({}, {}));
}

TEST_CASE("one process-wide slab per size") {
  CHECK(&SecretSlab::shared(32) == &SecretSlab::shared(64));
  CHECK(&SecretSlab::shared(32) != &SecretSlab::shared(65));
  CHECK(SecretSlab::shared(512).slot_size() == 512);
}

TEST_CASE("several threads share a slab") {
  SecretSlab slab(32);
  std::atomic<int> torn{0}, ready{0};
  const auto work = [&](uint8_t mark) {
    for (++ready; ready < 4;) {
    }  // all at once, or the first is done before the last begins
    std::array<uint8_t*, 8> held;
    for (int i = 0; i < 50'000; ++i) {
      for (uint8_t*& slot : held) {
        slot = slab.acquire();
        if (!all_zero(slot, 64)) ++torn;
        std::fill_n(slot, 64, mark);
      }
      for (uint8_t* slot : held) {
        if (!std::all_of(slot, slot + 64, [&](uint8_t b) { return b == mark; })) ++torn;
        slab.release(slot);
      }
    }
  };
  std::vector<std::thread> threads;
  for (uint8_t mark = 1; mark <= 4; ++mark) threads.emplace_back(work, mark);
  for (std::thread& t : threads) t.join();
  CHECK(torn == 0);
  CHECK(slab.in_use() == 0);
}

// In a child without the right to lock memory: exit codes 0 = works and says so, anything else = not.
TEST_CASE("a refusal to lock memory is survived and reported") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit none{0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) _exit(2);
    if (geteuid() == 0 && setuid(65534) != 0) _exit(3);  // root is above the limit
    SecretSlab slab(32);
    uint8_t* slot = slab.acquire();
    slot[0] = 1;
    slab.release(slot);
    if (slot[0] != 0) _exit(4);
    _exit(slab.locked() && kMlockIsReal ? 5 : 0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
