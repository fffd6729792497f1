// Order in a lane, duplicates, late packets, giving up, bounds; and a random comparison with a simple model.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "common/queue/resequencer.h"

namespace hawser {
namespace {

struct Harness {
  PacketPool pool;
  Resequencer r{pool};
  Deliveries out;
  DropCounters drops;
  Time now{1'000'000'000};
  std::vector<uint32_t> got;

  void in(uint32_t seq, LaneId lane = {}, PacketClass c = {}) {
    std::vector<uint8_t> bytes(64, 0);
    for (int i = 0; i < 4; ++i) bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(seq >> (8 * i));
    r.on_packet(lane, c, seq & 0xffffff, bytes, {}, now, out, drops);
    take();
  }
  void take() {
    for (const Delivery& d : out) {
      got.push_back(static_cast<uint32_t>(d.bytes[0] | d.bytes[1] << 8 | d.bytes[2] << 16 | d.bytes[3] << 24));
    }
    out.clear();
  }
  void tick(Duration d) {
    now += d;
    if (r.next_deadline() <= now) r.on_timer(now, out);
    take();
  }
};
using Seqs = std::vector<uint32_t>;

}  // namespace

TEST_CASE("in order passes at once and keeps no state") {
  Harness h;
  for (uint32_t i = 0; i < 10; ++i) h.in(i);
  CHECK(h.got == Seqs{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(h.r.held_packets() == 0);
  CHECK(h.r.next_deadline() == Time::infinite());
}

TEST_CASE("out of order is held until the gap is filled") {
  Harness h;
  for (uint32_t i : {0u, 2u, 3u, 5u}) h.in(i);
  CHECK(h.got == Seqs{0});
  CHECK(h.r.held_packets() == 3);
  h.in(1);
  CHECK(h.got == Seqs{0, 1, 2, 3});
  h.in(4);
  CHECK(h.got == Seqs{0, 1, 2, 3, 4, 5});
}

TEST_CASE("duplicates are dropped: of delivered, of held, of unordered packets") {
  Harness h;
  h.in(0);
  h.in(0);
  h.in(2);
  h.in(2);
  h.in(4, {}, {TrafficClass::realtime, true});
  h.in(4, {}, {TrafficClass::realtime, true});
  CHECK(h.got == Seqs{0, 4});
  CHECK(h.drops[DropReason::duplicate] == 3);
}

TEST_CASE("a gap is given up at its deadline; what comes later is delivered late, once") {
  Harness h;
  h.r.set_wait(Duration::millis(50));
  h.in(0);
  h.in(2);
  h.tick(Duration::millis(49));
  CHECK(h.got == Seqs{0});
  h.tick(Duration::millis(2));
  CHECK(h.got == Seqs{0, 2});
  h.in(1);
  CHECK(h.got == Seqs{0, 2, 1});
  h.in(1);
  CHECK(h.drops[DropReason::duplicate] == 1);
}

TEST_CASE("each gap has its own patience") {
  Harness h;
  h.r.set_wait(Duration::millis(50));
  h.in(0);
  h.in(2);
  h.tick(Duration::millis(30));
  h.in(4);
  h.tick(Duration::millis(25));
  CHECK(h.got == Seqs{0, 2});
  h.tick(Duration::millis(26));
  CHECK(h.got == Seqs{0, 2, 4});
}

TEST_CASE("while repairs come one after the other the next is waited for, as long as the sender keeps it") {
  Harness h;
  h.r.set_wait(Duration::millis(50));
  h.in(0);
  const Time noticed = h.now;
  for (uint32_t i = 2; i <= 100; i += 2) h.in(i);
  uint32_t missing = 1;
  while (h.now + Duration::millis(40) < noticed + kReinjectFor) {
    h.tick(Duration::millis(40));
    CHECK(h.got.size() == missing);
    h.in(missing);
    missing += 2;
  }
  CHECK(h.r.gaps_given_up() == 0);
  h.tick(Duration::millis(40));  // all the others were noticed a second and a half ago
  CHECK(h.r.held_packets() == 0);
  CHECK(h.got.back() == 100);
}

TEST_CASE("a notice about a later packet takes nothing from the patience with the repairs before it") {
  Harness h;
  h.r.set_wait(Duration::millis(50));
  for (uint32_t i : {0u, 2u, 4u, 6u}) h.in(i);
  h.tick(Duration::millis(40));
  h.in(1);
  h.tick(Duration::millis(20));
  h.r.on_gave_up(LaneId{}, 5, 1, h.now, h.out);
  h.tick(Duration::millis(1));
  CHECK(h.got == Seqs{0, 1, 2});
  h.in(3);
  CHECK(h.got == Seqs{0, 1, 2, 3, 4, 6});
}

TEST_CASE("a gap behind one that was given up is not waited for longer") {
  Harness h;
  h.r.set_wait(Duration::millis(50));
  h.in(0);
  h.in(2);
  h.tick(Duration::millis(20));
  h.in(4);
  h.tick(Duration::millis(31));
  CHECK(h.got == Seqs{0, 2});
  h.r.on_gave_up(LaneId{}, 3, 1, h.now, h.out);
  h.take();
  h.in(6);
  h.in(8);
  h.tick(Duration::millis(40));
  h.r.on_gave_up(LaneId{}, 5, 1, h.now, h.out);
  h.take();
  CHECK(h.got == Seqs{0, 2, 4, 6});
  h.tick(Duration::millis(11));
  CHECK(h.got == Seqs{0, 2, 4, 6, 8});
}

TEST_CASE("a notice of giving up ends the wait at once") {
  Harness h;
  h.in(0);
  h.in(3);
  h.r.on_gave_up({}, 1, 2, h.now, h.out);
  h.take();
  CHECK(h.got == Seqs{0, 3});
}

TEST_CASE("unordered packets pass a gap, ordered ones wait") {
  Harness h;
  h.in(0);
  h.in(2, {}, {TrafficClass::realtime, true});
  h.in(3);
  CHECK(h.got == Seqs{0, 2});
  h.in(1);
  CHECK(h.got == Seqs{0, 2, 1, 3});
}

TEST_CASE("lanes do not wait for each other") {
  Harness h;
  h.in(1, LaneId{7});
  h.in(0, LaneId{8});
  CHECK(h.got == Seqs{0});
}

TEST_CASE("24 bits on the wire do not wrap the order") {
  Harness h;
  for (uint32_t i = 0; i < (1u << 24) + 100; i += 1) {
    if (i % 4096 == 5 && i + 1 < (1u << 24) + 100) {
      h.in(i + 1);
      h.in(i);
      ++i;
      continue;
    }
    h.in(i);
    if (h.got.size() > 100'000) {
      REQUIRE(std::is_sorted(h.got.begin(), h.got.end()));
      h.got.erase(h.got.begin(), h.got.end() - 1);
    }
  }
  CHECK(h.got.back() == (1u << 24) + 99);
  CHECK(h.drops[DropReason::duplicate] == 0);
}

TEST_CASE("a storm over all lanes stays within the bound and is counted") {
  Harness h;
  for (int round = 1; round < 40; ++round) {
    for (uint16_t lane = 0; lane < kLanes; ++lane) h.in(static_cast<uint32_t>(round * 900), LaneId{lane});
  }
  CHECK(h.r.memory_bytes() < kResequencerBytes + (1u << 20));
  CHECK(h.drops[DropReason::resequencer_full] + h.drops[DropReason::no_buffer] > 0);
  h.tick(Duration::seconds(5));
  CHECK(h.r.held_packets() == 0);
}

TEST_CASE("random order, loss and duplicates: everything that came is delivered once, in order unless late") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    uint64_t s = seed * 77;
    auto random = [&] { return s ^= s << 13, s ^= s >> 7, s ^= s << 17, s; };
    Harness h;
    h.r.set_wait(Duration::millis(40));
    std::vector<std::pair<uint64_t, uint32_t>> arrivals;  // time in ms, sequence
    std::set<uint32_t> sent;
    for (uint32_t i = 0; i < 2000; ++i) {
      if (random() % 20 == 0) continue;
      arrivals.push_back({i + random() % 30, i});
      sent.insert(i);
      if (random() % 10 == 0) arrivals.push_back({i + random() % 60, i});
    }
    std::sort(arrivals.begin(), arrivals.end());
    uint64_t t = 0;
    for (auto [at, seq] : arrivals) {
      while (t < at) h.tick(Duration::millis(1)), ++t;
      h.in(seq);
    }
    for (int i = 0; i < 200; ++i) h.tick(Duration::millis(1));
    REQUIRE(std::set<uint32_t>(h.got.begin(), h.got.end()) == sent);
    REQUIRE(h.got.size() == sent.size());
    REQUIRE(std::is_sorted(h.got.begin(), h.got.end()));  // nothing was later than the wait
  }
}

}  // namespace hawser
