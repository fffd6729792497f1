// The replay window against WireGuard's list of cases, against a model that remembers everything, and at its borders.
#include "common/crypto/replay_window.h"

#include <set>

#include "tests/unit/crypto/support.h"

using namespace hawser;
using namespace hawser::test;

namespace {

constexpr uint64_t W = ReplayWindow::kWidth;
constexpr uint64_t kMax = (uint64_t{1} << 62) - 1;

// What the window should say, by remembering every number.
class Model {
 public:
  bool check(uint64_t n) const { return n <= kMax && (seen_.empty() || n + W > *seen_.rbegin()) && !seen_.contains(n); }
  void commit(uint64_t n) { seen_.insert(n); }

 private:
  std::set<uint64_t> seen_;
};

// Commits, and sees to it that check() said the same before.
bool take(ReplayWindow& window, uint64_t n) {
  const bool ok = window.check(PacketNumber{n});
  REQUIRE(window.commit(PacketNumber{n}) == ok);
  REQUIRE_FALSE(window.check(PacketNumber{n}));
  return ok;
}

}  // namespace

TEST_CASE("WireGuard's counter cases") {
  ReplayWindow w;
  const struct {
    uint64_t n;
    bool accepted;
  } cases[] = {
      {0, true},
      {1, true},
      {1, false},
      {9, true},
      {8, true},
      {7, true},
      {7, false},
      {W, true},
      {W - 1, true},
      {W - 1, false},
      {W - 2, true},
      {2, true},
      {2, false},
      {W + 16, true},
      {3, false},
      {W + 16, false},
      {W * 4, true},
      {W * 4 - (W - 1), true},
      {10, false},
      {W * 4 - W, false},
      {W * 4 - (W + 1), false},
      {W * 4 - (W - 2), true},
      {W * 4 + 1 - W, false},
      {0, false},
      {kMax + 1, false},
      {~uint64_t{0}, false},
      {kMax, true},
      {kMax, false},
      {kMax - 1, true},
      {kMax - W, false},
      {kMax - W + 1, true},
      {kMax - W + 1, false},
  };
  for (const auto& c : cases) {
    INFO("number " << c.n);
    CHECK(take(w, c.n) == c.accepted);
  }
}

TEST_CASE("backwards, and all but one, over a whole window") {
  SECTION("from the top down to zero") {
    ReplayWindow w;
    for (uint64_t n = W; n-- > 0;) CHECK(take(w, n));
    CHECK_FALSE(take(w, 0));
  }
  SECTION("from the top down, zero having fallen out") {
    ReplayWindow w;
    for (uint64_t n = W; n > 0; --n) CHECK(take(w, n));
    CHECK_FALSE(take(w, 0));
  }
  SECTION("zero is late by one less than the width") {
    ReplayWindow w;
    for (uint64_t n = 1; n < W; ++n) CHECK(take(w, n));
    CHECK(take(w, 0));
  }
  SECTION("zero is late by the width") {
    ReplayWindow w;
    for (uint64_t n = 1; n <= W; ++n) CHECK(take(w, n));
    CHECK_FALSE(take(w, 0));
  }
}

TEST_CASE("in order it takes no memory; the first gap remembers what came before it") {
  for (uint64_t run :
       {uint64_t{0}, uint64_t{1}, uint64_t{63}, uint64_t{64}, uint64_t{65}, W - 1, W, W + 1, 3 * W + 5}) {
    INFO("gap after " << run);
    ReplayWindow w;
    for (uint64_t n = 0; n < run; ++n) REQUIRE(w.commit(PacketNumber{n}));
    CHECK_FALSE(w.has_bitmap());
    CHECK(w.expected().value == run);
    for (uint64_t n = 0; n < run; ++n) REQUIRE_FALSE(w.check(PacketNumber{n}));
    REQUIRE(w.commit(PacketNumber{run + 2}));
    CHECK(w.has_bitmap());
    for (uint64_t n = 0; n < run; ++n) REQUIRE_FALSE(w.check(PacketNumber{n}));
    CHECK(w.check(PacketNumber{run}));
    CHECK(w.check(PacketNumber{run + 1}));
    CHECK_FALSE(w.check(PacketNumber{run + 2}));
    CHECK(w.check(PacketNumber{run + 3}));
  }
}

TEST_CASE("nothing of the old window is left after a jump, however far") {
  for (uint64_t jump = 1; jump < 3 * W; jump += 61) {
    INFO("jump of " << jump);
    ReplayWindow w;
    for (uint64_t n = 1; n <= 2 * W; ++n) w.commit(PacketNumber{n});  // the ring is full of ones
    const uint64_t top = 2 * W + jump;
    REQUIRE(w.commit(PacketNumber{top}));
    for (uint64_t n = top - W + 1; n < top; ++n) {
      if (w.check(PacketNumber{n}) != (n > 2 * W)) FAIL("number " << n);
    }
  }
}

TEST_CASE("check alone changes nothing") {
  ReplayWindow w;
  REQUIRE(w.commit(PacketNumber{5}));
  CHECK(w.check(PacketNumber{1'000'000}));  // a forgery: it never gets to commit
  CHECK(w.expected().value == 6);
  CHECK(w.check(PacketNumber{4}));
  CHECK_FALSE(w.commit(PacketNumber{5}));
  CHECK(w.expected().value == 6);
}

TEST_CASE("random sequences agree with the model") {
  PRINT_SEED();
  SeededRng rng(seed());
  for (int round = 0; round < 60; ++round) {
    ReplayWindow w;
    Model model;
    uint64_t top = round % 2 == 0 ? 0 : rng.below(1000 * W);
    const uint64_t jump = uint64_t{1} << rng.below(16);
    for (int step = 0; step < 2000; ++step) {
      uint64_t n = 0;
      switch (rng.below(8)) {
        case 0:
        case 1:
        case 2:
          n = top + 1;
          break;  // in order
        case 3:
          n = top + rng.below(jump);
          break;  // ahead
        case 4:
          n = top > 40 ? top - rng.below(40) : 0;
          break;  // a little late
        case 5:
          n = top > W + 3 ? top - W - 3 + rng.below(6) : rng.below(top + 1);
          break;  // at the old end
        case 6:
          n = top > 2 * W ? top - rng.below(2 * W) : rng.below(top + 1);
          break;  // anywhere
        case 7:
          n = top / 64 * 64 + rng.below(130);
          break;  // around a word's border
      }
      INFO("round " << round << ", step " << step << ", number " << n << ", top " << top);
      const bool expected = model.check(n);
      REQUIRE(w.check(PacketNumber{n}) == expected);
      REQUIRE(w.commit(PacketNumber{n}) == expected);
      if (expected) model.commit(n);
      if (expected) top = std::max(top, n);
    }
  }
}
