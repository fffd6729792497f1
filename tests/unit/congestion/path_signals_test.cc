// What a path's delays and losses say: whose losses they are, and how long jitter is remembered.
#include "common/congestion/path_signals.h"

#include <catch2/catch.hpp>

#include <random>

namespace hawser {
namespace {

constexpr Duration kRtt = Duration::millis(30), kEvery = Duration::millis(1);

// A queue that grows to 20 ms and falls to 5 ms, as a competing TCP makes it, on a link with `jitter`; a packet a
// millisecond.
struct FillingQueue {
  Duration jitter;
  std::minstd_rand random{7};
  Duration queue = Duration::millis(5);

  Duration next() {
    queue = queue + Duration::micros(20);
    std::uniform_real_distribution<double> even;
    return queue + jitter * even(random);
  }
  bool overflows() {
    if (queue < Duration::millis(20)) return false;
    queue = Duration::millis(5);
    return true;
  }
};

}  // namespace

TEST_CASE("losses while the delay is at its highest are a full queue's, with jitter too") {
  for (const Duration jitter : {Duration{}, Duration::millis(5)}) {
    FillingQueue queue{jitter};
    LossRank rank;
    Time now{1'000'000'000};
    int overflows = 0;
    for (; overflows < 20; now = now + kEvery) {
      const Duration delay = queue.next();
      if (queue.overflows()) overflows += rank.on_loss(delay, kRtt, now);
      rank.on_delay(delay, kRtt, now);
      // Two or three losses are no evidence.
      if (overflows < 4) REQUIRE_FALSE(rank.queue_overflows(now));
    }
    INFO("jitter of " << jitter.to_seconds() * 1e3 << " ms");
    CHECK(rank.queue_overflows(now));
    CHECK(rank.queue_overflows(now + Duration::seconds(9)));
    // Whoever filled the queue has gone.
    now = now + Duration::seconds(10);
    CHECK_FALSE(rank.queue_overflows(now));
    // And one more loss does not bring the verdict back.
    CHECK(rank.on_loss(Duration::millis(40), kRtt, now));
    CHECK_FALSE(rank.queue_overflows(now));
  }
}

// Without jitter a queue that grows for longer than the samples reach back has every loss at the top: there the rank says
// nothing.
TEST_CASE("random losses are not a full queue's on a link with jitter, whatever else fills it") {
  for (const double loss : {0.002, 0.02}) {
    FillingQueue queue{Duration::millis(20)};
    LossRank rank;
    std::minstd_rand random{11};
    std::bernoulli_distribution lost{loss};
    Time now{1'000'000'000};
    int wrong = 0, losses = 0;
    for (int i = 0; i < 200'000; ++i, now = now + kEvery) {
      const Duration delay = queue.next();
      queue.overflows();
      if (lost(random)) losses += rank.on_loss(delay, kRtt, now);
      rank.on_delay(delay, kRtt, now);
      wrong += rank.queue_overflows(now);
    }
    INFO(losses << " losses");
    CHECK(losses > 200);
    CHECK(wrong < 2'000);  // one in a hundred
  }
}

TEST_CASE("losses within one round trip are one event") {
  LossRank rank;
  Time now{1'000'000'000};
  for (int i = 0; i < 100; ++i, now = now + kEvery * 2) rank.on_delay(Duration::millis(i % 10), kRtt, now);
  CHECK(rank.on_loss(Duration::millis(20), kRtt, now));
  for (int i = 0; i < 29; ++i) CHECK_FALSE(rank.on_loss(Duration::millis(20), kRtt, now = now + kEvery));
  CHECK_FALSE(rank.queue_overflows(now));
}

TEST_CASE("a calm half second makes no quiet path of a jittery one") {
  Wander wander;
  std::minstd_rand random{3};
  std::uniform_real_distribution<double> even;
  Time now{1'000'000'000};
  const auto run = [&](Duration length, Duration jitter) {
    wander.interrupt();
    for (const Time end = now + length; now < end; now = now + Duration::millis(2)) {
      wander.add(Duration::millis(10) + jitter * even(random), kRtt, now);
    }
  };
  run(Duration::seconds(5), Duration::millis(40));
  const Duration jittery = wander.value();
  CHECK(jittery > Duration::millis(30));
  run(Duration::millis(500), Duration{});
  CHECK(wander.value() > jittery * 0.7);
  // It is forgotten, too.
  run(Duration::seconds(8), Duration{});
  CHECK(wander.value() < jittery * 0.1);
}

}  // namespace hawser
