// The RTT behind the queue's target: what is seen, except for a while after a path has gone.
#include <catch2/catch.hpp>

#include "common/queue/queue_rtt.h"

namespace hawser {
namespace {

constexpr Duration kBoth = Duration::millis(60), kOne = Duration::millis(30);

// Updated every 10 ms for so long: what came out last.
Duration run(QueueRtt& q, Duration seen, size_t carrying, Time& now, Duration lasting) {
  Duration out;
  for (const Time end = now + lasting; now < end; now = now + Duration::millis(10)) out = q.update(seen, carrying, now);
  return out;
}

TEST_CASE("QueueRtt: a path that has gone is awaited, after the first cut, until it returns") {
  QueueRtt q;
  Time now = Time{} + Duration::seconds(5);
  CHECK(run(q, kBoth, 2, now, Duration::seconds(1)) == kBoth);
  CHECK(run(q, kOne, 1, now, Duration::millis(200)) == kOne);
  CHECK(run(q, kOne, 1, now, Duration::seconds(5)) == kBoth * kAwaitedRtt);
  CHECK(run(q, kBoth, 2, now, Duration::millis(50)) == kBoth);
  CHECK(run(q, kOne + kOne, 2, now, Duration::seconds(2)) == kOne + kOne);
}

TEST_CASE("QueueRtt: not for ever, and not less than what is seen") {
  QueueRtt q;
  Time now = Time{} + Duration::seconds(5);
  run(q, kBoth, 2, now, Duration::seconds(1));
  run(q, kOne, 1, now, Duration::seconds(1));
  CHECK(run(q, kBoth * 3, 1, now, Duration::seconds(1)) == kBoth * 3);
  CHECK(run(q, kOne, 1, now, kAwaitReturn) == kOne);
}

TEST_CASE("QueueRtt: all paths gone, the first that returns leaves one to await") {
  QueueRtt q;
  Time now = Time{} + Duration::seconds(5);
  run(q, kBoth, 2, now, Duration::seconds(1));
  run(q, kOne, 1, now, Duration::millis(20));
  run(q, Duration{}, 0, now, Duration::seconds(2));
  CHECK(run(q, kOne, 1, now, Duration::seconds(1)) == kBoth * kAwaitedRtt);
  CHECK(run(q, kBoth, 2, now, Duration::millis(20)) == kBoth);
}

}  // namespace
}  // namespace hawser
