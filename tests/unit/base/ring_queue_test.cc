// The growing ring against std::deque.
#include "common/ring_queue.h"

#include <catch2/catch.hpp>
#include <deque>
#include <random>

namespace hawser {

TEST_CASE("a ring queue is a queue, whatever comes and goes") {
  std::mt19937 random(5);
  RingQueue<int> ring;
  std::deque<int> queue;
  for (int i = 0; i < 20'000; ++i) {
    // Phases in which it grows and in which it empties.
    if (random() % 10 < (i / 500 % 2 ? 3u : 6u)) {
      ring.push_back(i);
      queue.push_back(i);
    } else if (!queue.empty()) {
      REQUIRE(ring.front() == queue.front());
      ring.pop_front();
      queue.pop_front();
    }
    REQUIRE(ring.size() == queue.size());
    REQUIRE(ring.empty() == queue.empty());
  }
}

}  // namespace hawser
