// What each scheduler picks, as a table.
#include <catch2/catch.hpp>

#include "common/constants.h"
#include "common/scheduler/blest.h"
#include "common/scheduler/ecf.h"
#include "common/scheduler/queue_length.h"
#include "common/scheduler/redundant.h"
#include "common/scheduler/round_robin.h"
#include "common/scheduler/service_time.h"

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
  SECTION("bulk takes the longer way once the queue before the shorter is as long as the detour; urgent waits") {
    PathView v[] = {view(0, 10, false, 3), view(1, 40, true)};
    SchedulerRequest r = kBulk;
    r.now = Time{1'000'000'000};
    r.backlog = 20'000;  // 16 ms at 10 Mbit/s: the shorter way is still sooner
    CHECK_FALSE(s->pick(r, v));
    CHECK(s->waits_on_purpose());
    r.backlog = 50'000;  // 40 ms
    CHECK(s->pick(r, v) == 1u);
    CHECK_FALSE(s->pick(kUrgent, v));
    CHECK(s->waits_on_purpose());
    // Begun once, it goes on while the shorter is full over a round trip, and not when it is full for the moment only.
    r.backlog = 20'000;
    r.now = r.now + Duration::millis(100);
    CHECK_FALSE(s->pick(r, v));
    v[0].full = true;
    CHECK(s->pick(r, v) == 1u);
    r.now = r.now + Duration::millis(600);  // unused for long: it must be worth beginning again
    CHECK_FALSE(s->pick(r, v));
  }
  SECTION("bulk leaves out a later way that would add next to nothing") {
    PathView v[] = {view(0, 10, false, 3), view(1, 40, true)};
    v[0].id = PathId{1}, v[1].id = PathId{2};
    v[0].measured = BitRate{30e6};
    v[1].measured = BitRate{1e6};
    SchedulerRequest r = kBulk;
    r.now = Time{1'000'000'000};
    r.backlog = 200'000;
    CHECK_FALSE(s->leaves_out(v[0], v));
    CHECK_FALSE(s->leaves_out(v[1], v));
    CHECK(s->pick(r, v) == 1u);
    v[1].measured = BitRate{0.8e6};
    CHECK(s->leaves_out(v[1], v));
    CHECK_FALSE(s->pick(r, v));
    CHECK_FALSE(s->waits_on_purpose());  // there is nothing else to wait for: an ordinary queue, which CoDel judges
    // A third way, later than the one left out, is none the less taken.
    PathView three[] = {v[0], v[1], view(2, 60, true)};
    three[2].id = PathId{3};
    three[2].measured = BitRate{20e6};
    CHECK(s->pick(r, three) == 2u);
    three[1].has_room = false;  // full of its copies
    three[1].room_in = Duration::millis(5);
    CHECK(s->pick(r, three) == 2u);
    three[1].has_room = true;
    // What is urgent takes it when it is the first to arrive.
    three[0].room_in = Duration::millis(100);
    CHECK(s->pick(kUrgent, three) == 1u);
    // The sooner way is never left out, however little it carries; and the last that has room is used by all when others are gone.
    v[1].one_way_delay = Duration::millis(1);
    CHECK_FALSE(s->leaves_out(v[1], v));
    v[1].one_way_delay = Duration::millis(40);
    CHECK(s->pick(r, {&v[1], 1}) == 1u);
  }
  SECTION("urgent does not wait for a way that frees up later than the other arrives") {
    const PathView v[] = {view(0, 10, false, 50), view(1, 40, true)};
    CHECK(s->pick(kUrgent, v) == 1u);
  }
  SECTION("bulk waits when the longer way is beyond what the receiver holds") {
    const PathView v[] = {view(0, 10, false, 3), view(1, 400, true)};
    CHECK_FALSE(s->pick(kBulk, v));
    CHECK_FALSE(s->waits_on_purpose());  // an ordinary queue's wait: CoDel may tell the sender
  }
  SECTION("the wait for a preferred path is on purpose while a secondary one that may join has room; a backup may not") {
    PathView v[] = {view(0, 10, false, 3), view(1, 40, true, 0, 1)};
    CHECK_FALSE(s->pick(kBulk, v));
    CHECK(s->waits_on_purpose());
    v[1].tier = 2;
    CHECK_FALSE(s->pick(kBulk, v));
    CHECK_FALSE(s->waits_on_purpose());
  }
  SECTION("an expected repair is no reason to leave a longer way alone: what is lost is not what is held") {
    PathView v[] = {view(0, 10, false, 3), view(1, 120, true)};
    v[1].loss = 0.3;
    SchedulerRequest r = kBulk;
    r.now = Time{1'000'000'000};
    r.backlog = 500'000;  // 400 ms at 10 Mbit/s
    CHECK(s->pick(r, v) == 1u);
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
    PathView full[] = {view(0, 25, false), view(1, 1, true, 0, 1)};
    CHECK_FALSE(s->pick(kBulk, full));  // for the moment only
    full[0].full = true;
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

// ---- the others --------------------------------------------------------------------------------------------------

namespace {

constexpr uint16_t kDatagram = 1000;

// A path with a window of `window` datagrams, `in_flight` of them in use.
PathView path(size_t index, uint32_t id, int rtt_ms, int window, int in_flight, double mbps = 10) {
  PathView v = view(index, rtt_ms / 2, in_flight < window);
  v.id = PathId{id};
  v.smoothed_rtt = Duration::millis(rtt_ms);
  v.datagram = kDatagram;
  v.window = static_cast<uint64_t>(window) * kDatagram;
  v.bytes_in_flight = static_cast<uint64_t>(in_flight) * kDatagram;
  v.rate = BitRate{mbps * 1e6};
  return v;
}

SchedulerRequest bulk(size_t backlog_datagrams = 1, Time now = Time{1}, uint64_t repairs = 0) {
  SchedulerRequest r = kBulk;
  r.bytes = kDatagram;
  r.backlog = backlog_datagrams * kDatagram;
  r.now = now;
  r.repairs = repairs;
  return r;
}

}  // namespace

TEST_CASE("every scheduler: one path, no room, a path that dies, tiers") {
  for (const auto kind : {wire::SchedulerKind::earliest, wire::SchedulerKind::min_rtt, wire::SchedulerKind::blest,
                          wire::SchedulerKind::ecf, wire::SchedulerKind::round_robin, wire::SchedulerKind::queue_length,
                          wire::SchedulerKind::service_time, wire::SchedulerKind::redundant}) {
    INFO("scheduler " << static_cast<int>(kind));
    auto s = make_scheduler(kind);
    CHECK(s->kind() == kind);
    const PathView one[] = {path(5, 9, 40, 10, 3)};
    CHECK(s->pick(bulk(), one) == 5u);
    const PathView full[] = {path(0, 1, 40, 10, 10), path(1, 2, 60, 10, 10)};
    CHECK_FALSE(s->pick(bulk(), full));
    CHECK_FALSE(s->pick(bulk(), {}));
    // Sends by turns for a while; then one of the two is gone.
    for (int i = 0; i < 10; ++i) {
      const PathView two[] = {path(0, 1, 40, 10, i % 2), path(1, 2, 42, 10, 0)};
      const auto p = s->pick(bulk(), two);
      REQUIRE(p);
      s->on_sent(PathId{static_cast<uint32_t>(*p + 1)}, kDatagram);
    }
    const PathView left[] = {path(0, 2, 42, 10, 0)};
    CHECK(s->pick(bulk(), left) == 0u);
    // Backup only when nothing else works.
    PathView backup[] = {path(0, 1, 40, 10, 10), path(1, 2, 10, 10, 0)};
    backup[1].tier = 2;
    CHECK_FALSE(s->pick(bulk(), backup));
    const PathView only_backup[] = {backup[1]};
    CHECK(s->pick(bulk(), only_backup) == 1u);
    // An urgent packet may overdraw.
    PathView overdrawn[] = {path(0, 1, 40, 10, 10)};
    overdrawn[0].has_urgent_room = true;
    CHECK(s->pick(kUrgent, overdrawn) == 0u);
    CHECK_FALSE(s->pick(bulk(), overdrawn));
    // A download whose packets never wait is sparse, a repair comes first: both are paced all the same.
    for (const bool known : {false, true}) {
      SchedulerRequest first = kUrgent;
      first.packet_class = {TrafficClass::bulk, known};
      first.bytes = 1400;
      CHECK_FALSE(s->pick(first, overdrawn));
      first.bytes = kSmallPacket;
      CHECK(s->pick(first, overdrawn) == 0u);
    }
  }
}

TEST_CASE("blest") {
  // The paper's kind of numbers: 20 datagrams and 20 ms against 150 ms and 10 in flight: 174.4 datagrams meanwhile.
  const PathView fast = path(0, 1, 20, 20, 20), slow = path(1, 2, 150, 40, 10);
  CHECK(BlestScheduler::fast_bytes(fast, slow) == Approx(174.375 * kDatagram));
  BlestScheduler s;
  // Lambda falls to 1 while nothing is repaired, a step a round trip of the slow path.
  Time now{1};
  PathView v[] = {fast, slow};
  for (int i = 0; i < 30; ++i) {
    s.pick(bulk(1, now), v);
    s.pick(bulk(1, now), v);
    now += Duration::millis(150);
  }
  CHECK(s.lambda() == Approx(1.0));
  // What the receiver may hold for 200 ms: 100 datagrams, then 400.
  v[0].rate = BitRate{3e6}, v[1].rate = BitRate{1e6};
  CHECK_FALSE(s.pick(bulk(1, now), v));
  v[0].rate = BitRate{12e6}, v[1].rate = BitRate{4e6};
  CHECK(s.pick(bulk(1, now), v) == 1u);
  // The fast path has room: no question.
  v[0] = path(0, 1, 20, 20, 5);
  CHECK(s.pick(bulk(1, now), v) == 0u);
  // Repairs make it careful again.
  v[0] = fast;
  for (uint64_t i = 1; i <= 20; ++i) s.pick(bulk(1, now += Duration::millis(150), i), v);
  CHECK(s.lambda() == Approx(1.3));
}

TEST_CASE("ecf") {
  PathView fast = path(0, 1, 20, 20, 20), slow = path(1, 2, 150, 40, 10);
  slow.rtt_variance = Duration::millis(5);
  struct Case {
    size_t backlog;
    bool waits;
  };
  for (const Case& c : {Case{10, false}, Case{60, true}, Case{100, true}, Case{200, false}}) {
    INFO("backlog " << c.backlog);
    EcfScheduler s;
    const PathView v[] = {fast, slow};
    CHECK(s.pick(bulk(c.backlog), v).has_value() == !c.waits);
  }
  // Hysteresis: at 140 datagrams the fast path needs 160 ms: more than 155, but less than a quarter above it.
  EcfScheduler s;
  const PathView v[] = {fast, slow};
  CHECK(s.pick(bulk(140), v) == 1u);
  CHECK_FALSE(s.pick(bulk(100), v));
  CHECK_FALSE(s.pick(bulk(140), v));
  fast.has_room = true;
  const PathView free[] = {fast, slow};
  CHECK(s.pick(bulk(140), free) == 0u);
}

TEST_CASE("round-robin: in turn, by what was really sent, passing over who has no room") {
  RoundRobinScheduler s;
  PathView v[] = {path(0, 7, 10, 10, 0), path(1, 3, 20, 10, 0), path(2, 12, 30, 10, 0)};
  std::vector<size_t> order;
  const auto send = [&] {
    const auto p = s.pick(bulk(), v);
    REQUIRE(p);
    CHECK(s.pick(bulk(), v) == p);  // asking does not take the turn
    s.on_sent(v[*p].id, kDatagram);
    order.push_back(*p);
  };
  for (int i = 0; i < 6; ++i) send();
  CHECK(order == std::vector<size_t>{1, 0, 2, 1, 0, 2});
  v[0].has_room = v[0].has_urgent_room = false;
  order.clear();
  for (int i = 0; i < 3; ++i) send();
  CHECK(order == std::vector<size_t>{1, 2, 1});
}

TEST_CASE("queue-length: the fewest bytes in flight, then the least recently used") {
  QueueLengthScheduler s;
  const PathView unequal[] = {path(0, 1, 10, 50, 12, 100), path(1, 2, 400, 50, 11, 1)};
  CHECK(s.pick(bulk(), unequal) == 1u);
  const PathView equal[] = {path(0, 1, 10, 50, 5), path(1, 2, 20, 50, 5), path(2, 3, 30, 50, 5)};
  s.on_sent(PathId{1}, kDatagram);
  s.on_sent(PathId{3}, kDatagram);
  CHECK(s.pick(bulk(), equal) == 1u);  // never used
  s.on_sent(PathId{2}, kDatagram);
  CHECK(s.pick(bulk(), equal) == 0u);
  s.on_sent(PathId{1}, kDatagram);
  CHECK(s.pick(bulk(), equal) == 2u);
}

TEST_CASE("service-time: what is in flight and this packet, at the path's rate; delay does not count") {
  ServiceTimeScheduler s;
  // 30 datagrams at 30 Mbit/s are through before 11 at 10.
  const PathView v[] = {path(0, 1, 10, 50, 10, 10), path(1, 2, 500, 50, 29, 30)};
  CHECK(s.pick(bulk(), v) == 1u);
  const PathView w[] = {path(0, 1, 10, 50, 9, 10), path(1, 2, 500, 50, 31, 30)};
  CHECK(s.pick(bulk(), w) == 0u);
  const PathView tie[] = {path(0, 1, 10, 50, 9, 10), path(1, 2, 10, 50, 29, 30)};
  CHECK(s.pick(bulk(), tie) == 1u);  // the faster one
  const PathView unknown[] = {path(0, 1, 10, 50, 0, 0), path(1, 2, 10, 50, 49, 1)};
  CHECK(s.pick(bulk(), unknown) == 1u);  // rate zero: only when there is nothing else
  const PathView alone[] = {unknown[0]};
  CHECK(s.pick(bulk(), alone) == 0u);
}

TEST_CASE("redundant: begins on the fastest with room, and asks for copies everywhere; no other does") {
  RedundantScheduler s;
  PathView v[] = {path(0, 1, 40, 10, 0), path(1, 2, 20, 10, 0)};
  CHECK(s.pick(bulk(), v) == 1u);
  v[1].has_room = false;
  CHECK(s.pick(bulk(), v) == 0u);
  v[0].tier = 1;  // a metered link: redundancy was asked for
  v[1].has_room = true;
  v[1].smoothed_rtt = Duration::millis(60);
  CHECK(s.pick(bulk(), v) == 0u);
  CHECK(s.copies_everywhere());
  for (const auto kind : {wire::SchedulerKind::earliest, wire::SchedulerKind::min_rtt, wire::SchedulerKind::blest,
                          wire::SchedulerKind::ecf, wire::SchedulerKind::round_robin, wire::SchedulerKind::queue_length,
                          wire::SchedulerKind::service_time}) {
    CHECK_FALSE(make_scheduler(kind)->copies_everywhere());
  }
}

TEST_CASE("a named scheduler wins over the mode") {
  using wire::Mode;
  using wire::SchedulerKind;
  CHECK(scheduler_for(Mode::automatic, SchedulerKind::automatic) == SchedulerKind::earliest);
  CHECK(scheduler_for(Mode::redundant, SchedulerKind::automatic) == SchedulerKind::redundant);
  CHECK(scheduler_for(Mode::redundant, SchedulerKind::blest) == SchedulerKind::blest);
}

}  // namespace hawser
