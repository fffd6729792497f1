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
  PacketSpec s;
  s.sequence = sequence;
  s.source_port = port;
  s.options = std::move(options);
  s.payload = kData;
  return s;
}

// Sequence numbers count thousands of bytes, from where they wrap; -1 is an empty queue.
struct Queue {
  static constexpr uint32_t kBegin = 0xfffff000;
  PacketPool pool;
  IngressQueue queue;
  DropCounters drops;
  Time now{1'000'000'000};

  explicit Queue(Duration under_way = {}) { queue.set_rtt(under_way, Duration::millis(20)); }
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

TEST_CASE("sent again: what CoDel dropped goes first, in its order, and is not dropped again") {
  Queue q;
  q.fill(0, 60);
  const int dropped = q.drop_one(0);
  REQUIRE(dropped > 0);
  const uint64_t drops = q.drops[DropReason::ingress_aqm];
  q.put(dropped);
  q.put(0);
  q.now = q.now + Duration::millis(300);
  CHECK(q.get() == dropped);
  CHECK(q.get() == 0);
  CHECK(q.drops[DropReason::ingress_aqm] == drops);
  CHECK(q.left_out() == 0);
}

TEST_CASE("sent again: what waits is not taken twice, nor dropped after that") {
  Queue q;
  q.fill(0, 60);
  const int dropped = q.drop_one(0);
  REQUIRE(dropped > 0);
  const uint64_t drops = q.drops[DropReason::ingress_aqm];
  for (int i = dropped + 2; i < 60; ++i) q.put(i);
  CHECK(q.left_out() == 60u - static_cast<unsigned>(dropped) - 2);
  for (int i = dropped + 2; i < 60; ++i) {
    q.now = q.now + Duration::millis(10);
    CHECK(q.get() == i);
  }
  CHECK(q.get() == -1);
  CHECK(q.drops[DropReason::ingress_aqm] == drops);
}

TEST_CASE("sent again: what is under way is left out, once, after something went first, also when nothing else waits") {
  for (const bool waits : {true, false}) {
    Queue q(Duration::millis(40));
    for (int i = 0; i < 20; ++i) {
      q.put(i);
      CHECK(q.get() == i);
      q.now = q.now + Duration::millis(5);
    }
    if (waits) q.put(20);
    q.put(19);  // nothing went first: it may well have been lost beyond the tunnel
    CHECK(q.left_out() == 0);
    CHECK(q.get() == 19);
    q.put(0);
    CHECK(q.get() == 0);
    // The last 40 ms: 13 to 19, and a quarter of it for the measure's coarseness.
    for (int i = 15; i < 20; ++i) q.put(i);
    CHECK(q.left_out() == 5);
    for (int i = 15; i < 20; ++i) q.put(i);
    for (int i = 0; i < 11; ++i) q.put(i);
    CHECK(q.left_out() == 5);
    for (int i = 15; i < 20; ++i) CHECK(q.get() == i);
    for (int i = 0; i < 11; ++i) CHECK(q.get() == i);
    CHECK(q.get() == (waits ? 20 : -1));
    q.now = q.now + Duration::millis(161);
    q.put(21);
    CHECK(q.get() == 21);
    q.put(21);
    CHECK(q.get() == 21);
    CHECK(q.left_out() == 5);
  }
}

TEST_CASE("sent again: what never came, came in another order, or carries more than data is taken") {
  Queue q(Duration::millis(40));
  q.fill(0, 5);
  q.put(6);
  q.fill(8, 10);
  q.put(5);  // late: it was overtaken before it came to us
  q.put(7);
  PacketSpec end = segment(Queue::kBegin + 9000);
  end.flags = 0x11;
  q.put(end);
  CHECK(q.left_out() == 0);
  for (const int i : {5, 7, 0, 1, 2, 3, 4, 6, 8, 9, 9}) CHECK(q.get() == i);
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
  for (const int i : dropped) q.put(i);
  for (const int i : dropped) CHECK(q.get() == i);
  CHECK(q.left_out() == 0);
  // Between those that are remembered it is known what is under way, before them it is not.
  q.put(dropped.front() - 1);
  CHECK(q.left_out() == 0);
  CHECK(q.get() == dropped.front() - 1);
  q.put(dropped.back() - 1);
  CHECK(q.left_out() == 1);
}

TEST_CASE("sent again: gigabytes later it means nothing any more") {
  Queue q(Duration::millis(40));
  q.fill(0, 3);
  q.put(1);
  CHECK(q.left_out() == 1);
  for (int i = 0; i < 3; ++i) CHECK(q.get() == i);
  for (uint32_t i = 1; i <= 3; ++i) {
    q.put(segment(Queue::kBegin + i * 1'000'000'000));
    q.get();
    q.now = q.now + Duration::millis(100);
  }
  for (int i = 0; i < 60; ++i) q.put(segment(Queue::kBegin + 3'000'001'000 + static_cast<uint32_t>(i) * 1000));
  for (int i = 0; i < 30; ++i) q.now = q.now + Duration::millis(10), q.get();
  CHECK(q.drops[DropReason::ingress_aqm] > 0);
}

TEST_CASE("sent again: a full queue drops something else") {
  Queue q;
  q.fill(0, 5);
  CHECK(q.get() == 0);
  q.put(0);
  q.queue.make_room(q.drops);
  CHECK(q.drops[DropReason::ingress_full] == 1);
  for (const int i : {0, 2, 3, 4}) CHECK(q.get() == i);
}

TEST_CASE("sent again: those that were passed are stamped as if sent after what passed them, until it is over") {
  Queue q;
  for (uint32_t i = 0; i < 4; ++i) q.put(segment(i * 1000, stamps(50 + i)));
  CHECK(q.gets(segment(0, stamps(50))));
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
  CHECK(q.gets(segment(0, options)));
  q.put(segment(0, options));
  for (const uint32_t sequence : {1000u, 2000u, 0u}) CHECK(q.gets(segment(sequence, options)));
}

TEST_CASE("sent again: another connection in the same flow queue keeps its stamps and its place") {
  Queue q;
  const uint16_t other = port_beside(40'000);
  q.put(segment(0, stamps(900), other));
  q.put(segment(1000, stamps(50)));
  q.put(segment(0, stamps(1000)));
  CHECK(q.gets(segment(0, stamps(1000))));
  CHECK(q.gets(segment(0, stamps(900), other)));
  CHECK(q.gets(segment(1000, stamps(1000))));
  // In turns: none passes and none is left out, for only one of them is remembered.
  for (const uint32_t sequence : {1000u, 0u, 1000u}) q.put(segment(sequence)), q.put(segment(sequence, {}, other));
  for (const uint32_t sequence : {1000u, 0u, 1000u}) {
    CHECK(q.gets(segment(sequence)));
    CHECK(q.gets(segment(sequence, {}, other)));
  }
  CHECK(q.left_out() == 0);
}

}  // namespace hawser
