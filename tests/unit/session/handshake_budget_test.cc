// How many handshakes a worker may begin.
#include "common/session/handshake_budget.h"

#include <catch2/catch.hpp>

namespace hawser {
namespace {

TEST_CASE("workers share the budget for handshakes, and each has enough to be of use") {
  const struct { uint32_t workers; int at_once; } cases[] = {{1, 250}, {2, 125}, {5, 50}, {64, 50}};
  for (const auto& c : cases) {
    INFO(c.workers << " workers");
    HandshakeBudget budget(c.workers);
    const Time now{1'000'000'000};
    const auto take = [&](Time at) {
      int taken = 0;
      budget.begin_turn();
      while (!budget.under_load(at)) {
        taken += budget.take(false, at);
        budget.begin_turn();
      }
      return taken;
    };
    CHECK(take(now) == c.at_once);
    CHECK(take(now + Duration::seconds(10)) == c.at_once);
    int rate = 0;
    for (int i = 1; i <= 100; ++i) rate += take(now + Duration::seconds(10) + Duration::millis(10 * i));
    CHECK(std::abs(rate - std::max(1000 / static_cast<int>(c.workers), 200)) <= 1);
  }
}

}  // namespace
}  // namespace hawser
