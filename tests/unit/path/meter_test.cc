// The meters of a path: loss over the last packets, which fades when nothing is heard.
#include <catch2/catch.hpp>

#include "common/path/quality.h"
#include "common/path/rate_meter.h"

namespace hawser {

TEST_CASE("loss is an average over the last few hundred packets") {
  LossMeter m;
  Time now{1'000'000'000};
  CHECK(m.ratio(now) == 0);
  for (int i = 0; i < 2000; ++i) m.add(9, 1, 0, now += Duration::millis(1));
  CHECK(m.ratio(now) == Approx(0.1).epsilon(0.05));
  for (int i = 0; i < 200; ++i) m.add(10, 0, 0, now += Duration::millis(1));
  CHECK(m.ratio(now) < 0.001);
}

TEST_CASE("loss of which nothing more is heard is half as much after two seconds") {
  LossMeter m;
  Time now{1'000'000'000};
  m.add(100, 100, 0, now);
  const double seen = m.ratio(now);
  CHECK(seen == Approx(0.25));
  CHECK(m.ratio(now + Duration::seconds(2)) == Approx(seen / 2));
  CHECK(m.ratio(now + Duration::seconds(20)) < 0.001);
  // A single packet long after does not bring it back.
  now += Duration::seconds(20);
  m.add(1, 0, 0, now);
  CHECK(m.ratio(now) < 0.001);
}

// What reordering makes look lost for a moment must neither have a path left out nor ejected.
TEST_CASE("what was counted as lost and came after all is no loss") {
  LossMeter m;
  LossJudge judge;
  Time now{1'000'000'000};
  bool ejected = false;
  for (int i = 0; i < 2000; ++i) {
    // Of ten four seem lost and come 20 ms later.
    m.add(6, 4, i >= 20 ? 4 : 0, now += Duration::millis(1));
    judge.window.add(6, 4, i >= 20 ? 4 : 0, now);
    ejected = ejected || judge.should_eject(false, now);
  }
  CHECK(m.ratio(now) < 0.05);
  CHECK(judge.window.ratio(now) < 0.1);
  CHECK_FALSE(ejected);
  // Without their coming it would be.
  for (int i = 0; i < 5000 && !ejected; ++i) {
    judge.window.add(6, 4, 0, now += Duration::millis(1));
    ejected = judge.should_eject(false, now);
  }
  CHECK(ejected);
}

}  // namespace hawser
