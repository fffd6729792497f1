// The budget of copies of urgent packets.
#include <catch2/catch.hpp>

#include <random>

#include "common/constants.h"
#include "common/scheduler/copy_budget.h"

namespace hawser {

TEST_CASE("copies never cost more than three hundredths of what is sent, and one burst") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    CopyBudget budget(kCopyShare, kCopyBurst);
    double sent = 0, copied = 0;
    const unsigned greed = random() % 4 + 1;
    for (int i = 0; i < 5000; ++i) {
      if (random() % 3 == 0) {
        const size_t bytes = 60 + random() % 1400;
        budget.on_sent(bytes);
        sent += static_cast<double>(bytes);
      }
      for (unsigned k = 0; k < greed; ++k) {
        const size_t bytes = 60 + random() % 300;
        if (budget.take(bytes, random() % 2 == 0)) copied += static_cast<double>(bytes);
      }
      REQUIRE(copied <= sent * kCopyShare + kCopyBurst + 1e-6);
    }
    // Nor does it stay unused where it is wanted.
    CHECK(copied > sent * kCopyShare);
  }
}

TEST_CASE("what was saved in a long time is one burst, half of it for paths that have fallen silent") {
  CopyBudget budget(kCopyShare, kCopyBurst);
  for (int i = 0; i < 10'000; ++i) budget.on_sent(1400);
  size_t lossy = 0, silent = 0;
  while (budget.take(100, false)) lossy += 100;
  while (budget.take(100, true)) silent += 100;
  CHECK(lossy == kCopyBurst / 2);
  CHECK(silent == kCopyBurst / 2);
  budget.on_sent(3400);
  CHECK_FALSE(budget.take(100, false));
  CHECK(budget.take(100, true));
  CHECK_FALSE(budget.take(100, true));
}

}  // namespace hawser
