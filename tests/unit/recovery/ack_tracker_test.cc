// Received ranges and when an acknowledgement is due.
#include <catch2/catch.hpp>

#include <set>
#include <vector>

#include "common/recovery/ack_tracker.h"

namespace hawser {
namespace {

constexpr Time kStart{1'000'000'000};
constexpr Duration kRtt = Duration::millis(40);

std::set<uint64_t> reported(const wire::AckFrame& f) {
  std::set<uint64_t> s;
  for (size_t i = 0; i < f.range_count; ++i) {
    for (uint64_t pn = f.ranges[i].first.value; pn <= f.ranges[i].last.value; ++pn) s.insert(pn);
  }
  return s;
}

}  // namespace

TEST_CASE("ranges join, split and stay in descending order") {
  AckTracker t;
  for (uint64_t pn : {0, 1, 5, 3, 4, 9, 7, 8, 2}) t.on_received(PacketNumber{pn}, true, 0, kRtt, kStart);
  const auto f = t.frame(PathId{3}, kStart + Duration::millis(2));
  REQUIRE(f.range_count == 2);
  CHECK(f.ranges[0].first.value == 7);
  CHECK(f.ranges[0].last.value == 9);
  CHECK(f.ranges[1].first.value == 0);
  CHECK(f.ranges[1].last.value == 5);
  CHECK(f.path.value == 3);
}

TEST_CASE("random arrivals are reported as a set would hold them") {
  uint64_t s = 42;
  INFO("seed 42");
  AckTracker t;
  std::set<uint64_t> model;
  for (int i = 0; i < 400; ++i) {
    s ^= s << 13, s ^= s >> 7, s ^= s << 17;
    const uint64_t pn = s % 40;  // at most 20 ranges: none falls off
    t.on_received(PacketNumber{pn}, true, 0, kRtt, kStart);
    model.insert(pn);
    REQUIRE(reported(t.frame(PathId{0}, kStart)) == model);
  }
}

TEST_CASE("more ranges than fit: the oldest fall off, the newest stay") {
  AckTracker t;
  for (uint64_t i = 0; i < 100; ++i) t.on_received(PacketNumber{i * 2}, true, 0, kRtt, kStart);
  const auto f = t.frame(PathId{0}, kStart);
  CHECK(f.range_count == wire::kMaxAckRanges);
  CHECK(f.ranges[0].last.value == 198);
  CHECK(f.ranges[wire::kMaxAckRanges - 1].first.value == 198 - 2 * (wire::kMaxAckRanges - 1));
}

// Where much is reordered there are more ranges than a frame holds, and what comes late belongs to the old ones.
TEST_CASE("more ranges than fit: one that has just changed is told three times, however old it is") {
  AckTracker t;
  for (uint64_t i = 0; i < 100; ++i) t.on_received(PacketNumber{i * 2}, true, 0, kRtt, kStart);
  for (int i = 0; i < 20; ++i) t.mark_sent(kStart);  // all of them have been told, as far as they fit
  REQUIRE(reported(t.frame(PathId{0}, kStart)).count(20) == 0);
  t.on_received(PacketNumber{21}, true, 0, kRtt, kStart);
  for (int i = 0; i < 3; ++i) {
    const auto f = t.frame(PathId{0}, kStart);
    const auto all = reported(f);
    CHECK(all.count(20) + all.count(21) + all.count(22) == 3);
    CHECK(all.count(19) == 0);
    CHECK(all.count(198) == 1);
    CHECK(f.range_count == wire::kMaxAckRanges);
    for (size_t r = 1; r < f.range_count; ++r) CHECK(f.ranges[r].last.value + 1 < f.ranges[r - 1].first.value);
    t.mark_sent(kStart);
  }
  CHECK(reported(t.frame(PathId{0}, kStart)).count(21) == 0);
}

TEST_CASE("ranges are bounded: of a peer that leaves a gap after each number the newest 256 are kept") {
  AckTracker t;
  for (uint64_t i = 0; i < 100'000; ++i) t.on_received(PacketNumber{i * 2}, true, 0, kRtt, kStart);
  CHECK(t.memory_bytes() <= 512 * 24);
  CHECK(t.largest().value == 199'998);
  // Older than all of them: not remembered, and nothing is disturbed.
  t.on_received(PacketNumber{11}, true, 0, kRtt, kStart);
  CHECK(t.frame(PathId{0}, kStart).ranges[0].last.value == 199'998);
}

TEST_CASE("an ack is due after two, at once for a gap, else within the maximum delay") {
  AckTracker t;
  CHECK(t.due() == Time::infinite());
  t.on_received(PacketNumber{0}, true, 0, kRtt, kStart);
  CHECK(t.due() == kStart + kMaxAckDelay);
  t.on_received(PacketNumber{1}, true, 0, kRtt, kStart);
  CHECK(t.is_due(kStart));
  t.mark_sent(kStart);
  CHECK(t.due() == Time::infinite());
  t.on_received(PacketNumber{3}, true, 0, kRtt, kStart);
  CHECK(t.is_due(kStart));
  t.mark_sent(kStart);
  t.on_received(PacketNumber{4}, false, 0, kRtt, kStart);
  CHECK(t.due() == Time::infinite());  // an ack asks for no ack
}

TEST_CASE("acks of a busy path are an eighth of a round trip apart, none waits for long, and a gap is told at once") {
  AckTracker t;
  uint64_t next = 0;
  const auto receive = [&](Time now, Duration rtt = kRtt) { t.on_received(PacketNumber{next++}, true, 0, rtt, now); };
  receive(kStart);
  receive(kStart);
  REQUIRE(t.is_due(kStart));  // nothing was sent for long
  t.mark_sent(kStart);
  for (int i = 1; i <= 8; ++i) receive(kStart + Duration::micros(500 * i));
  CHECK(t.due() == kStart + kRtt / kAcksPerRoundTrip);
  // Longer round trips do not hold a datagram's ack back beyond what senders expect.
  t.mark_sent(kStart + Duration::millis(5));
  for (int i = 1; i <= 4; ++i) receive(kStart + Duration::millis(5 + i), Duration::millis(400));
  CHECK(t.due() == kStart + Duration::millis(6) + kMaxAckDelay);
  t.mark_sent(kStart + Duration::millis(11));
  for (int i = 0; i < kMostPerAck - 1; ++i) receive(kStart + Duration::millis(12));
  CHECK_FALSE(t.is_due(kStart + Duration::millis(12)));
  receive(kStart + Duration::millis(12));
  CHECK(t.is_due(kStart + Duration::millis(12)));
  t.mark_sent(kStart + Duration::millis(12));
  ++next;
  receive(kStart + Duration::millis(12));
  CHECK(t.is_due(kStart + Duration::millis(12)));
  // A gap before a datagram that asks for no ack is told by the next one that does.
  t.mark_sent(kStart + Duration::millis(12));
  ++next;
  t.on_received(PacketNumber{next++}, false, 0, kRtt, kStart + Duration::millis(13));
  CHECK(t.due() == Time::infinite());
  receive(kStart + Duration::millis(13));
  CHECK(t.is_due(kStart + Duration::millis(13)));
}

TEST_CASE("where much comes late gaps are no news: acks stay few, and every number is told") {
  AckTracker t;
  std::set<uint64_t> told;
  uint64_t acks = 0, s = 9;
  Time now = kStart;
  std::vector<uint64_t> waiting;
  uint64_t next = 0;
  for (int i = 0; i < 20'000; ++i) {
    while (waiting.size() < 60) waiting.push_back(next++);
    s ^= s << 13, s ^= s >> 7, s ^= s << 17;
    const size_t which = s % waiting.size();
    t.on_received(PacketNumber{waiting[which]}, true, 0, kRtt, now += Duration::micros(250));
    waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(which));
    if (!t.is_due(now)) continue;
    for (const uint64_t pn : reported(t.frame(PathId{0}, now))) {
      if (pn + 2000 > next) told.insert(pn);
    }
    t.mark_sent(now);
    ++acks;
  }
  t.mark_sent(now);
  INFO("acks " << acks << ", told " << told.size());
  CHECK(acks < 20'000 / 4);
  CHECK(told.size() > 20'000 - 16);
}

TEST_CASE("congestion marks are counted by kind") {
  AckTracker t;
  t.on_received(PacketNumber{0}, true, 3, kRtt, kStart);
  t.on_received(PacketNumber{1}, true, 2, kRtt, kStart);
  t.on_received(PacketNumber{2}, true, 1, kRtt, kStart);
  const auto f = t.frame(PathId{0}, kStart);
  CHECK(f.ecn.ce == 1);
  CHECK(f.ecn.ect0 == 1);
  CHECK(f.ecn.ect1 == 1);
}

}  // namespace hawser
