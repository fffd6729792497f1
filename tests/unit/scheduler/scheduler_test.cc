// What each scheduler picks, as a table.
#include <catch2/catch.hpp>

#include "common/constants.h"
#include "common/scheduler/scheduler.h"

namespace hawser {
namespace {

PathView view(size_t index, int one_way_ms, bool room, int room_in_ms = 10, int tier = 0) {
  PathView v;
  v.index = index;
  v.tier = tier;
  v.has_room = room;
  v.has_urgent_room = room;
  v.one_way_delay = Duration::millis(one_way_ms);
  v.smoothed_rtt = Duration::millis(2 * one_way_ms);
  v.room_in = room ? Duration{} : Duration::millis(room_in_ms);
  v.rate = BitRate{10e6};
  return v;
}

constexpr SchedulerRequest kBulk{{TrafficClass::bulk, false}, false, 1400};
constexpr SchedulerRequest kUrgent{{TrafficClass::interactive, true}, true, 100};

}  // namespace

TEST_CASE("earliest") {
  auto s = make_scheduler(wire::SchedulerKind::earliest);
  SECTION("the shorter way, when it has room") {
    const PathView v[] = {view(0, 25, true), view(1, 10, true)};
    CHECK(s->pick(kBulk, v) == 1u);
    CHECK(s->pick(kUrgent, v) == 1u);
  }
  SECTION("bulk takes the longer way while the shorter is full; urgent waits") {
    const PathView v[] = {view(0, 10, false, 3), view(1, 40, true)};
    CHECK(s->pick(kBulk, v) == 1u);
    CHECK_FALSE(s->pick(kUrgent, v));
  }
  SECTION("urgent does not wait for a way that frees up later than the other arrives") {
    const PathView v[] = {view(0, 10, false, 50), view(1, 40, true)};
    CHECK(s->pick(kUrgent, v) == 1u);
  }
  SECTION("bulk waits when the longer way is beyond what the receiver holds") {
    const PathView v[] = {view(0, 10, false, 3), view(1, 400, true)};
    CHECK_FALSE(s->pick(kBulk, v));
  }
  SECTION("a queue counts as delay") {
    PathView v[] = {view(0, 10, true), view(1, 15, true)};
    v[0].queued = Duration::millis(20);
    CHECK(s->pick(kBulk, v) == 1u);
  }
  SECTION("loss costs a repair") {
    PathView v[] = {view(0, 10, true), view(1, 11, true)};
    v[0].loss = 0.1;
    CHECK(s->pick(kBulk, v) == 1u);
  }
  SECTION("secondary only when the preferred is full, backup only when nothing else works") {
    const PathView both[] = {view(0, 25, true), view(1, 1, true, 0, 1)};
    CHECK(s->pick(kBulk, both) == 0u);
    const PathView full[] = {view(0, 25, false), view(1, 1, true, 0, 1)};
    CHECK(s->pick(kBulk, full) == 1u);
    const PathView backup[] = {view(0, 25, false), view(1, 1, true, 0, 2)};
    CHECK_FALSE(s->pick(kBulk, backup));
    const PathView alone[] = {view(1, 1, true, 0, 2)};
    CHECK(s->pick(kBulk, alone) == 1u);
  }
  SECTION("no room anywhere: wait") {
    const PathView v[] = {view(0, 10, false), view(1, 10, false)};
    CHECK_FALSE(s->pick(kBulk, v));
  }
}

TEST_CASE("min-rtt: the lowest smoothed RTT with room, never waiting") {
  auto s = make_scheduler(wire::SchedulerKind::min_rtt);
  CHECK(s->kind() == wire::SchedulerKind::min_rtt);
  const PathView v[] = {view(0, 10, false, 1), view(1, 400, true)};
  CHECK(s->pick(kUrgent, v) == 1u);
  const PathView w[] = {view(0, 30, true), view(1, 20, true)};
  CHECK(s->pick(kBulk, w) == 1u);
}

}  // namespace hawser
