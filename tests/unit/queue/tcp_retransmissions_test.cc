// What TCP sends again in the ingress queue: what goes first, what is left out, what keeps its place, and its timestamps.
#include <catch2/catch.hpp>

#include "common/big_endian.h"
#include "common/queue/ingress_queue.h"
#include "tests/unit/base/offload_support.h"

namespace hawser {
namespace {

using testing::Bytes;
using testing::PacketSpec;

constexpr size_t kData = 1000;

Bytes stamps(uint32_t value, Bytes behind = {}) {
  Bytes o = {1, 1, 8, 10};
  for (int shift : {24, 16, 8, 0}) o.push_back(static_cast<uint8_t>(value >> shift));
  o.insert(o.end(), {9, 8, 7, 6});
  o.insert(o.end(), behind.begin(), behind.end());
  return o;
}
const Bytes kMd5 = {19, 4, 1, 2};

PacketSpec segment(uint32_t sequence, Bytes options = {}, uint16_t port = 40'000) {
  return {.source_port = port, .sequence = sequence, .options = std::move(options), .payload = kData};
}

// Sequence numbers count thousands of bytes, from where they wrap; -1 is an empty queue.
struct Queue {
  static constexpr uint32_t kBegin = 0xfffff000;
  PacketPool pool;
  IngressQueue queue;
  DropCounters drops;
  Time now{1'000'000'000};

  explicit Queue(Duration round_trip = {}) { queue.set_rtt(round_trip, Duration::millis(20)); }
  void put(const PacketSpec& spec) {
    const Bytes bytes = testing::make_packet(spec);
    queue.enqueue(pool.copy_of(bytes), *parse_packet(bytes, 1), now, drops);
    now = now + Duration::micros(10);
  }
  void put(int thousand) { put(segment(kBegin + static_cast<uint32_t>(thousand) * 1000)); }
  void fill(int from, int to) {
    for (int i = from; i < to; ++i) put(i);
  }
  Bytes get_bytes() {
    IngressHead head;
    queue.begin_round();
    if (!queue.head(head, now, drops)) return {};
    const Packet p = queue.pop(now);
    return {p.bytes().begin(), p.bytes().end()};
  }
  int get() {
    const Bytes b = get_bytes();
    return b.empty() ? -1 : static_cast<int>(get32(b, 24) - kBegin) / 1000;
  }
  // Drops the front of what waits.
  void drop_front() { queue.make_room(drops); }
  // Takes one packet every 10 ms until CoDel has dropped one, which it returns.
  int drop_one(int next) {
    const uint64_t before = drops[DropReason::ingress_aqm];
    for (int i = 0; i < 100; ++i) {
      now = now + Duration::millis(10);
      const int got = get();
      if (drops[DropReason::ingress_aqm] > before) return got - 1;
      if (got != next++) return -2;
    }
    return -3;
  }
  bool gets(const PacketSpec& spec) { return get_bytes() == testing::make_packet(spec); }
  // 60 come, and CoDel drops one of them, which it returns: what is before it has left, and one behind it.
  int fill_until_drop() {
    fill(0, 60);
    const int dropped = drop_one(0);
    REQUIRE(dropped > 0);
    return dropped;
  }
  uint64_t left_out() const { return drops[DropReason::ingress_duplicate]; }
};

uint64_t bucket(uint16_t port) {
  return parse_packet(testing::make_packet(segment(0, {}, port)), 1)->flow_hash % kFlowQueues;
}
uint16_t port_beside(uint16_t port) {
  uint16_t other = port;
  do ++other;
  while (bucket(other) != bucket(port));
  return other;
}

}  // namespace

TEST_CASE("sent again: what CoDel dropped goes first and is not dropped again") {
  Queue q;
  const int dropped = q.fill_until_drop();
  const uint64_t drops = q.drops[DropReason::ingress_aqm];
  q.put(dropped);
  q.now = q.now + Duration::millis(300);
  CHECK(q.get() == dropped);
  CHECK(q.drops[DropReason::ingress_aqm] == drops);
  CHECK(q.left_out() == 0);
}

TEST_CASE("sent again: several go first in their order, across the numbers' end; a full queue drops something else") {
  Queue q;
  q.fill(0, 9);
  for (int i = 0; i < 6; ++i) q.drop_front();
  q.put(0);
  q.put(2);
  q.put(5);
  CHECK(q.get() == 0);
  q.put(1);
  q.drop_front();
  for (const int i : {2, 5, 1, 7, 8, -1}) CHECK(q.get() == i);
}

TEST_CASE("sent again: what waits is not taken twice, nor dropped after that; CoDel goes on behind it without haste") {
  Queue q;
  const int dropped = q.fill_until_drop();
  const uint64_t drops = q.drops[DropReason::ingress_aqm];
  for (int i = dropped + 2; i < 60; ++i) q.put(i);
  CHECK(q.left_out() == 60u - static_cast<unsigned>(dropped) - 2);
  q.fill(60, 120);
  for (int i = dropped + 2; i < 60; ++i) {
    q.now = q.now + Duration::millis(10);
    CHECK(q.get() == i);
  }
  CHECK(q.drops[DropReason::ingress_aqm] == drops);
  CHECK(q.drop_one(60) >= 60);
  CHECK(q.drops[DropReason::ingress_aqm] == drops + 1);
}

TEST_CASE("sent again: what was passed and has just left is left out, once; everything else that left keeps its place") {
  for (const bool waits : {true, false}) {
    Queue q(Duration::millis(40));
    q.put(0);
    CHECK(q.get() == 0);
    q.put(1);
    q.fill(2, 10);
    q.drop_front();
    // Nothing was passed yet: it may well have been lost beyond the tunnel.
    q.put(0);
    CHECK(q.left_out() == 0);
    q.put(1);
    for (const int i : {1, 2, 3, 4}) {
      CHECK(q.get() == i);
      q.now = q.now + Duration::millis(15);
    }
    q.put(4);
    CHECK(q.left_out() == 1);
    q.put(4);
    q.put(2);  // before what was left out
    CHECK(q.left_out() == 1);
    for (const int i : {5, 6, 7, 8, 9, 0, 4, 2}) CHECK(q.get() == i);
    // Also when nothing waits any more, but only what had been passed.
    if (waits) q.put(10);
    q.put(9);
    CHECK(q.left_out() == 2);
    if (!waits) q.put(10);
    CHECK(q.get() == 10);
    // What was sent before something that was left out is in the same case as what was passed.
    q.put(10);
    CHECK(q.left_out() == (waits ? 3 : 2));
    CHECK(q.get() == (waits ? -1 : 10));
  }
}

TEST_CASE("sent again: the word of what left a round trip ago may still be on its way back") {
  Queue q(Duration::millis(40));
  q.fill(0, 30);
  q.drop_front();
  q.put(0);
  for (int i = 0; i < 30; ++i) {
    CHECK(q.get() == i);
    q.now = q.now + Duration::millis(3);
    if (i > 15) q.put(i - 15);  // 48 ms ago
  }
  CHECK(q.left_out() == 14);
  CHECK(q.get() == -1);
  // Longer ago than 1.6 round trips it was lost, who knows where.
  q.now = q.now + Duration::millis(62);
  q.put(29);
  CHECK(q.left_out() == 14);
  CHECK(q.get() == 29);
}

TEST_CASE("sent again: what never came, came in another order, says something new or carries more than data is taken, and waits") {
  Queue q(Duration::millis(40));
  q.fill(0, 5);
  q.put(6);
  q.fill(8, 10);
  q.put(5);  // late: it was overtaken before it came to us
  q.put(7);
  PacketSpec end = segment(Queue::kBegin + 9000), acknowledging = segment(Queue::kBegin + 9000), opening = acknowledging;
  end.flags = 0x11;
  acknowledging.ack += 1;
  opening.window += 1;
  for (const PacketSpec& s : {end, acknowledging, opening}) q.put(s);
  CHECK(q.left_out() == 0);
  for (const int i : {0, 1, 2, 3, 4, 6, 8, 9, 5, 7, 9, 9, 9}) CHECK(q.get() == i);
}

TEST_CASE("sent again: what lies in a gap is no copy, and what was told before the gap stays told") {
  Queue q(Duration::millis(40));
  q.fill(0, 30);
  q.drop_front();
  for (int i = 1; i < 10; ++i) CHECK(q.get() == i);
  q.put(0);
  q.put(31);
  q.put(0);
  q.put(30);  // late, after a pass that spans its place
  CHECK(q.left_out() == 0);
  CHECK(q.get() == 0);
  CHECK(q.get() == 0);
  for (int i = 10; i < 30; ++i) CHECK(q.get() == i);
  CHECK(q.get() == 31);
  CHECK(q.get() == 30);

  Queue p;
  const int dropped = p.fill_until_drop();
  const uint64_t drops = p.drops[DropReason::ingress_aqm];
  for (int i = dropped + 2; i < 60; ++i) p.put(i);
  p.put(61);
  for (int i = dropped + 2; i < 60; ++i) {
    p.now = p.now + Duration::millis(10);
    CHECK(p.get() == i);
  }
  CHECK(p.drops[DropReason::ingress_aqm] == drops);
}

TEST_CASE("sent again: segments of an earlier life of the connection say nothing of this one") {
  Queue q(Duration::millis(40));
  q.fill(0, 5);
  // From nowhere: one in whose past half of the numbers lie, but not 2, and one that is far ahead of all.
  const PacketSpec half = segment(Queue::kBegin + 0x80000000u + 2000), ahead = segment(Queue::kBegin + 0x70000000u);
  q.put(half);
  q.put(ahead);
  q.fill(5, 8);
  q.put(6);
  CHECK(q.left_out() == 1);
  for (int i = 0; i < 5; ++i) CHECK(q.get() == i);
  CHECK(q.gets(half));
  CHECK(q.gets(ahead));
  for (int i = 5; i < 8; ++i) CHECK(q.get() == i);
  for (int i = 0; i < 3; ++i) {
    q.now = q.now + Duration::millis(300);
    q.put(2);
    CHECK(q.get() == 2);
  }
  CHECK(q.left_out() == 1);

  // A new beginning by the same ports, whether or not something of the old one waits.
  uint32_t at = Queue::kBegin;
  for (const bool waits : {true, false}) {
    at -= 10'000'000;
    PacketSpec syn = segment(at);
    syn.flags = 2;
    if (waits) q.put(8);
    q.put(syn);
    if (!waits) {
      CHECK(q.gets(syn));
      CHECK(q.get_bytes().empty());
    }
    for (uint32_t i = 1; i < 5; ++i) q.put(segment(at + i * 1000));
    const uint64_t before = q.left_out();
    q.put(segment(at + 3000));
    CHECK(q.left_out() == before + 1);
    while (!q.get_bytes().empty()) {
    }
    CHECK(q.get_bytes().empty());
  }
}

TEST_CASE("sent again: more holes than are remembered, and all of what filled them is taken") {
  Queue q(Duration::seconds(10));
  q.fill(0, 400);
  std::vector<int> dropped;
  for (int next = 0; dropped.size() < 12;) {
    const int hole = q.drop_one(next);
    REQUIRE(hole >= next);
    dropped.push_back(hole);
    next = hole + 2;
  }
  for (size_t i = 4; i < 12; ++i) q.put(dropped[i]);
  for (size_t i = 4; i < 12; ++i) CHECK(q.get() == dropped[i]);
  q.put(dropped[3]);
  CHECK(q.get() == dropped.back() + 2);
  CHECK(q.left_out() == 0);
}

TEST_CASE("sent again: a gap in what came takes nothing from CoDel") {
  Queue q;
  q.fill(0, 30);
  q.fill(31, 60);
  CHECK(q.drop_one(0) > 0);
}

TEST_CASE("sent again: gigabytes later, after a new beginning or a number from nowhere it means nothing any more") {
  constexpr uint32_t kStep = 50'000'000;
  Queue q(Duration::millis(40));
  q.fill(0, 3);
  q.put(1);
  CHECK(q.left_out() == 1);
  for (int i = 0; i < 3; ++i) CHECK(q.get() == i);
  uint32_t at = Queue::kBegin;
  for (int i = 0; i < 90; ++i) q.put(segment(at += kStep)), q.get(), q.now = q.now + Duration::millis(20);
  const auto fill = [&] {
    for (int i = 0; i < 60; ++i) q.put(segment(at += 1000));
    for (int i = 0; i < 40; ++i) q.now = q.now + Duration::millis(10), q.get();
    while (!q.get_bytes().empty()) {
    }
  };
  fill();
  CHECK(q.drops[DropReason::ingress_aqm] > 0);

  PacketSpec syn = segment(at - 40'000'000);
  syn.flags = 2;
  q.put(syn);
  at = syn.sequence;
  const uint64_t before = q.drops[DropReason::ingress_aqm];
  fill();
  CHECK(q.drops[DropReason::ingress_aqm] > before);

  q.put(segment(at + 0x7fff0000));
  q.get();
  const uint64_t then = q.drops[DropReason::ingress_aqm];
  fill();
  CHECK(q.drops[DropReason::ingress_aqm] > then);
  CHECK(q.left_out() == 1);
}

TEST_CASE("sent again: those that were passed are stamped as if sent after what passed them, until it is over") {
  Queue q;
  for (uint32_t i = 0; i < 4; ++i) q.put(segment(i * 1000, stamps(50 + i)));
  q.drop_front();
  q.put(segment(0, stamps(60)));
  PacketSpec ack = segment(4000, stamps(60));
  ack.payload = 0;
  q.put(ack);
  for (uint32_t i = 0; i < 4; ++i) CHECK(q.gets(segment(i * 1000, stamps(60))));
  CHECK(q.gets(ack));
  // Sent later, and with a clock of its own making: not our business.
  q.put(segment(4000, stamps(61)));
  q.put(segment(5000, stamps(10)));
  CHECK(q.gets(segment(4000, stamps(61))));
  CHECK(q.gets(segment(5000, stamps(10))));
}

TEST_CASE("sent again: signed segments keep their place") {
  Queue q;
  const Bytes options = stamps(50, kMd5);
  for (const uint32_t sequence : {0u, 1000u, 2000u}) q.put(segment(sequence, options));
  q.drop_front();
  q.put(segment(0, options));
  for (const uint32_t sequence : {1000u, 2000u, 0u}) CHECK(q.gets(segment(sequence, options)));
}

TEST_CASE("sent again: another connection in the same flow queue keeps its stamps and its place") {
  Queue q;
  const uint16_t other = port_beside(40'000);
  q.put(segment(0, stamps(40)));
  q.put(segment(0, stamps(900), other));
  q.put(segment(0, stamps(50)));
  q.put(segment(1000, stamps(50)));
  q.drop_front();
  q.put(segment(0, stamps(1000)));
  // The other's came between, so that it is not known whether the first one waits.
  CHECK(q.gets(segment(0, stamps(1000))));
  CHECK(q.gets(segment(0, stamps(900), other)));
  CHECK(q.gets(segment(0, stamps(1000))));
  CHECK(q.gets(segment(1000, stamps(1000))));
  // In turns: none passes and none is left out, for only one of them is remembered.
  for (const uint32_t sequence : {1000u, 0u, 1000u}) q.put(segment(sequence)), q.put(segment(sequence, {}, other));
  q.drop_front();
  CHECK(q.gets(segment(1000, {}, other)));
  for (const uint32_t sequence : {0u, 1000u}) {
    CHECK(q.gets(segment(sequence)));
    CHECK(q.gets(segment(sequence, {}, other)));
  }
  CHECK(q.left_out() == 0);

  // While one's stamps may still count, no other passes.
  Queue p;
  for (const uint32_t i : {0u, 1u}) p.put(segment(i * 1000, stamps(900)));
  p.drop_front();
  p.put(segment(0, stamps(1000)));
  CHECK(p.gets(segment(0, stamps(1000))));
  for (const uint32_t i : {0u, 1u}) p.put(segment(i * 1000, stamps(50), other));
  p.drop_front();
  p.drop_front();
  p.put(segment(0, stamps(60), other));
  CHECK(p.gets(segment(1000, stamps(50), other)));
  CHECK(p.gets(segment(0, stamps(60), other)));
}

}  // namespace hawser
