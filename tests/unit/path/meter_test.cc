// The meters of a path: loss over the last packets, which fades when nothing is heard.
#include <catch2/catch.hpp>

#include "common/path/rate_meter.h"

namespace hawser {

TEST_CASE("loss is an average over the last few hundred packets") {
  LossMeter m;
  Time now{1'000'000'000};
  CHECK(m.ratio(now) == 0);
  for (int i = 0; i < 2000; ++i) m.add(9, 1, now += Duration::millis(1));
  CHECK(m.ratio(now) == Approx(0.1).epsilon(0.05));
  for (int i = 0; i < 200; ++i) m.add(10, 0, now += Duration::millis(1));
  CHECK(m.ratio(now) < 0.001);
}

TEST_CASE("loss of which nothing more is heard is half as much after two seconds") {
  LossMeter m;
  Time now{1'000'000'000};
  m.add(100, 100, now);
  const double seen = m.ratio(now);
  CHECK(seen == Approx(0.25));
  CHECK(m.ratio(now + Duration::seconds(2)) == Approx(seen / 2));
  CHECK(m.ratio(now + Duration::seconds(20)) < 0.001);
  // A single packet long after does not bring it back.
  now += Duration::seconds(20);
  m.add(1, 0, now);
  CHECK(m.ratio(now) < 0.001);
}

}  // namespace hawser
