// Putting back what others remove: at once at first, then at a bounded rate.
#include <catch2/catch.hpp>

#include "client/restore_budget.h"

using namespace hawser;
using namespace hawser::client;

TEST_CASE("a few removals are put back at once, a fight once a second, and after a rest at once again") {
  RestoreBudget budget;
  Time t = Time{} + Duration::seconds(100);
  for (int i = 0; i < RestoreBudget::kBurst; ++i) {
    CHECK(budget.allowed_at() <= t);
    budget.spend(t);
  }
  CHECK(budget.allowed_at() == t + RestoreBudget::kInterval);
  // The other one never tires: whenever we may, we must.
  int restored = 0;
  const Time end = t + Duration::seconds(60);
  while (t < end) {
    t = std::max(t, budget.allowed_at());
    budget.spend(t);
    ++restored;
  }
  CHECK(restored == 60);
  t = t + RestoreBudget::kInterval * RestoreBudget::kBurst;
  for (int i = 0; i < RestoreBudget::kBurst - 1; ++i) budget.spend(t);
  CHECK(budget.allowed_at() <= t);
}
