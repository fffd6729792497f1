// Round-trip estimates: what tells a longer path from a queue, a pause or jitter.
#include <catch2/catch.hpp>

#include "common/recovery/rtt.h"

namespace hawser {
namespace {

constexpr Duration ms(double v) { return Duration::from_seconds(v / 1000); }

// Feeds samples `gap` apart whose round trip is what `rtt` says at sample i.
template <typename F>
void feed(RttEstimator& e, Time& now, int count, Duration gap, F rtt) {
  for (int i = 0; i < count; ++i) {
    now += gap;
    e.on_sample(rtt(i), {}, now);
  }
}

}  // namespace

TEST_CASE("a path that became longer is believed within about a round trip") {
  RttEstimator e;
  Time now{1'000'000'000};
  feed(e, now, 100, ms(2), [](int i) { return ms(50 + i % 3); });
  now += ms(200);  // nothing arrives while the longer way fills
  feed(e, now, 90, ms(2), [](int i) { return ms(250 + i % 4); });
  CHECK(e.take_longer());
  CHECK(e.min() >= ms(249));
  CHECK(!e.take_longer());
  feed(e, now, 5, ms(2), [](int) { return ms(60); });  // and shorter again: at once
  CHECK(e.min() == ms(60));
}

TEST_CASE("a path that became longer in both directions pauses twice") {
  RttEstimator e;
  Time now{1'000'000'000};
  feed(e, now, 100, ms(2), [](int) { return ms(50); });
  now += ms(100);
  feed(e, now, 20, ms(2), [](int) { return ms(150); });
  now += ms(100);
  feed(e, now, 90, ms(2), [](int) { return ms(250); });
  CHECK(e.take_longer());
  CHECK(e.min() == ms(250));
}

TEST_CASE("what is no longer path") {
  struct Case {
    const char* what;
    Duration pause;
    Duration (*rtt)(int);
  };
  const Case cases[] = {
      {"a queue that builds up", ms(0), [](int i) { return ms(50 + std::min(i, 100)); }},
      {"a queue that stands", ms(0), [](int) { return ms(150); }},
      {"a pause, then the queue behind it drains", ms(200), [](int i) { return ms(std::max(50, 250 - 4 * i)); }},
      {"a pause, then a rate too low for what is sent", ms(200), [](int i) { return ms(250 + 10 * i); }},
      {"the sender paused, then its burst stands in a queue", ms(400), [](int) { return ms(150); }},
      {"jitter", ms(0), [](int i) { return ms(i % 5 ? 50 : 120); }},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    RttEstimator e;
    Time now{1'000'000'000};
    feed(e, now, 100, ms(2), [](int) { return ms(50); });
    now += c.pause;
    feed(e, now, 200, ms(2), c.rtt);
    CHECK(!e.take_longer());
    CHECK(e.min() == ms(50));
  }
}

}  // namespace hawser
