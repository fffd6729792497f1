// Fair queueing, CoDel, classification at the entrance.
#include <catch2/catch.hpp>

#include <map>

#include "common/queue/ingress_queue.h"

namespace hawser {
namespace {

std::vector<uint8_t> udp(uint16_t port, size_t size, uint8_t tos = 0) {
  std::vector<uint8_t> p(size, 0);
  p[0] = 0x45;
  p[1] = tos;
  p[2] = static_cast<uint8_t>(size >> 8);
  p[3] = static_cast<uint8_t>(size);
  p[9] = 17;
  p[15] = 2;
  p[19] = 1;
  p[20] = p[22] = static_cast<uint8_t>(port >> 8);
  p[21] = p[23] = static_cast<uint8_t>(port);
  return p;
}

struct Harness {
  PacketPool pool;
  IngressQueue q;
  DropCounters drops;
  Time now{1'000'000'000};

  void put(uint16_t port, size_t size = 1400, uint8_t tos = 0) { put_bytes(udp(port, size, tos)); }
  void put_bytes(const std::vector<uint8_t>& bytes) {
    Packet p = pool.copy_of(bytes);
    q.enqueue(std::move(p), *parse_packet(bytes, 1), now, drops);
  }
  // The port of the packet served, or 0.
  uint16_t get(IngressHead* out = nullptr) {
    IngressHead head;
    q.begin_round();
    if (!q.head(head, now, drops)) return 0;
    if (out) *out = head;
    const Packet p = q.pop(now);
    return static_cast<uint16_t>(p.bytes()[20] << 8 | p.bytes()[21]);
  }
};

}  // namespace

TEST_CASE("two floods share; a newcomer goes first") {
  Harness h;
  for (int i = 0; i < 50; ++i) h.put(1000), h.put(2000);
  std::map<uint16_t, int> served;
  for (int i = 0; i < 40; ++i) ++served[h.get()];
  CHECK(std::abs(served[1000] - served[2000]) <= 2);
  h.put(53, 80);
  IngressHead head;
  CHECK(h.get(&head) == 53);
  CHECK(head.sparse);
}

TEST_CASE("a backlogged flow is not sparse") {
  Harness h;
  for (int i = 0; i < 10; ++i) h.put(1000);
  IngressHead head;
  h.get(&head);
  h.get(&head);
  h.get(&head);
  CHECK_FALSE(head.sparse);
  CHECK(head.packet_class.traffic == TrafficClass::bulk);
}

TEST_CASE("a standing queue is cut by CoDel, a short burst is not") {
  Harness h;
  for (int i = 0; i < 20; ++i) h.put(1000);
  for (int i = 0; i < 20; ++i) h.get(), h.now += Duration::millis(1);
  CHECK(h.drops[DropReason::ingress_aqm] == 0);
  // Twice what leaves comes in, for a second.
  for (int i = 0; i < 1000; ++i) {
    h.put(1000), h.put(1000);
    h.get();
    h.now += Duration::millis(1);
  }
  CHECK(h.drops[DropReason::ingress_aqm] > 3);
}

TEST_CASE("an ECN-capable packet is marked instead of dropped, and its checksum stays right") {
  Harness h;
  int marked = 0;
  for (int i = 0; i < 1000; ++i) {
    h.put(1000, 1400, 2), h.put(1000, 1400, 2);
    IngressHead head;
    h.q.begin_round();
    if (h.q.head(head, h.now, h.drops)) {
      const Packet p = h.q.pop(h.now);
      marked += head.ecn == 3 && (p.bytes()[1] & 3) == 3;
    }
    h.now += Duration::millis(1);
  }
  CHECK(marked > 3);
  CHECK(h.drops[DropReason::ingress_aqm] == 0);
}

TEST_CASE("set_ecn repairs the header checksum") {
  auto p = udp(1000, 100, 2);
  auto sum = [&] {
    uint32_t s = 0;
    for (size_t i = 0; i < 20; i += 2) s += static_cast<uint32_t>(p[i] << 8 | p[i + 1]);
    while (s >> 16) s = (s & 0xffff) + (s >> 16);
    return s;
  };
  const uint32_t c = 0xffff - sum();
  p[10] = static_cast<uint8_t>(c >> 8);
  p[11] = static_cast<uint8_t>(c);
  REQUIRE(sum() == 0xffff);
  set_ecn(p, 3);
  CHECK((p[1] & 3) == 3);
  CHECK(sum() == 0xffff);
}

TEST_CASE("at the bound the longest flow pays") {
  Harness h;
  h.put(53, 80);
  for (size_t i = 0; i < kIngressBytes / 1400 + 100; ++i) h.put(1000);
  CHECK(h.drops[DropReason::ingress_full] > 90);
  CHECK(h.q.bytes() <= kIngressBytes);
  CHECK(h.get() == 53);
}

TEST_CASE("what a TCP sends at once after its receiver waited for order fits") {
  Harness h;
  for (size_t i = 0; i < (6u << 20) / 1400; ++i) h.put(1000);  // Linux' largest window by default
  CHECK(h.drops[DropReason::ingress_full] == 0);
}

TEST_CASE("a flood of tiny packets from many ports does not cost a download its place") {
  Harness h;
  h.put(1000);
  for (size_t i = 0; i < kIngressPackets + 1000; ++i) h.put(static_cast<uint16_t>(2000 + i % 700), 40);
  CHECK(h.q.packets() == kIngressPackets);
  bool served = false;
  while (const uint16_t port = h.get()) served = served || port == 1000;
  CHECK(served);
}

TEST_CASE("what was marked is what is sent, however often the head is asked for") {
  Harness h;
  for (int i = 0; i < 400; ++i) h.put(1000, 1400, 2);
  int marked = 0;
  for (int i = 0; i < 100; ++i) {
    h.now += Duration::millis(50);  // far slower than CoDel's law: many steps are due at once
    IngressHead head, again;
    h.q.begin_round();
    REQUIRE(h.q.head(head, h.now, h.drops));
    h.q.begin_round();
    REQUIRE(h.q.head(again, h.now, h.drops));
    CHECK(again.ecn == head.ecn);
    marked += h.q.pop(h.now).bytes()[1] & 1;
  }
  CHECK(marked > 10);
  CHECK(h.drops[DropReason::ingress_aqm] == 0);
}

TEST_CASE("the head that was shown is forgotten when the queue changes") {
  Harness h;
  h.put(1000), h.put(1000);
  CHECK(h.get() == 1000);
  h.now += Duration::millis(1);
  IngressHead head;
  h.q.begin_round();
  REQUIRE(h.q.head(head, h.now, h.drops));
  SECTION("a newcomer goes first") {
    for (int i = 0; i < 2; ++i) h.put(1000);
    h.get(), h.get();  // its quantum is used up: it is no newcomer any more
    h.q.begin_round();
    REQUIRE(h.q.head(head, h.now, h.drops));
    CHECK(head.bytes == 1400);
    h.put(53, 80);
    REQUIRE(h.q.head(head, h.now, h.drops));
    CHECK(head.bytes == 80);
  }
  SECTION("what was dropped to make room is not shown") {
    h.q.make_room(h.drops);
    CHECK_FALSE(h.q.head(head, h.now, h.drops));
  }
  SECTION("what was taken is not shown") {
    h.q.pop(h.now);
    CHECK_FALSE(h.q.head(head, h.now, h.drops));
  }
}

TEST_CASE("a flow that is told to wait lets others pass") {
  Harness h;
  h.put(1000);
  h.put(2000);
  IngressHead head;
  h.q.begin_round();
  REQUIRE(h.q.head(head, h.now, h.drops));
  h.q.skip(false, h.now);
  REQUIRE(h.q.head(head, h.now, h.drops));
  const Packet p = h.q.pop(h.now);
  CHECK((p.bytes()[20] << 8 | p.bytes()[21]) == 2000);
  CHECK_FALSE(h.q.head(head, h.now, h.drops));
}

// 100 packets stand in the queue, one is taken every 10 ms, and between the takes the scheduler makes the flow wait.
uint64_t drops_while_waiting(bool on_purpose) {
  Harness h;
  h.q.set_rtt(Duration::millis(20), Duration::millis(20));
  for (int i = 0; i < 100; ++i) h.put(1000, 1400);
  IngressHead head;
  for (int i = 0; i < 60; ++i) {
    h.q.begin_round();
    if (h.q.head(head, h.now, h.drops)) h.q.pop(h.now);
    h.q.begin_round();
    if (h.q.head(head, h.now, h.drops)) h.q.skip(on_purpose, h.now);
    h.now = h.now + Duration::millis(10);
  }
  return h.drops[DropReason::ingress_aqm];
}

TEST_CASE("a wait on purpose is not a queue's: CoDel drops only for the other kind") {
  CHECK(drops_while_waiting(true) == 0);
  CHECK(drops_while_waiting(false) > 3);
}

TEST_CASE("small slow UDP and marked traffic are urgent and unordered; QUIC and floods are not") {
  Harness h;
  IngressHead head;
  h.put(4000, 200);
  h.get(&head);
  CHECK(head.packet_class == PacketClass{TrafficClass::interactive, true});
  h.put(4001, 1400, 46 << 2);
  h.get(&head);
  CHECK(head.packet_class == PacketClass{TrafficClass::realtime, true});
  h.put(443, 200);
  h.get(&head);
  CHECK(head.packet_class == PacketClass{TrafficClass::bulk, false});
  for (int i = 0; i < 300; ++i) h.put(4002, 200);
  for (int i = 0; i < 300; ++i) h.get(&head);
  CHECK(head.packet_class == PacketClass{TrafficClass::bulk, false});
}

TEST_CASE("acknowledgements of TCP without data need no order; what carries data, begins or ends a connection does") {
  struct Case {
    const char* what;
    uint8_t flags;
    size_t options, data;
    bool unordered;
  };
  const Case cases[] = {{"an ack", 0x10, 0, 0, true},           {"with SACK blocks", 0x10, 32, 0, true},
                        {"with an ECN echo", 0x50, 12, 0, true}, {"with data", 0x10, 12, 1, false},
                        {"with pushed data", 0x18, 12, 500, false}, {"a SYN", 0x02, 20, 0, false},
                        {"a SYN and ack", 0x12, 20, 0, false},   {"a FIN", 0x11, 12, 0, false},
                        {"a reset", 0x14, 0, 0, false},          {"a reset without ack", 0x04, 0, 0, false}};
  for (const Case& c : cases) {
    INFO(c.what);
    auto p = udp(443, 20 + 20 + c.options + c.data);
    p[9] = 6;
    p[32] = static_cast<uint8_t>((20 + c.options) / 4 << 4);
    p[33] = c.flags;
    const auto h = parse_packet(p, 1);
    REQUIRE(h);
    CHECK(h->marked.unordered == c.unordered);
    CHECK(h->marked.traffic == TrafficClass::bulk);
  }
  // A piece of a packet is none, nor is a header that claims to be longer than the packet.
  auto p = udp(443, 40);
  p[9] = 6;
  p[32] = 0x50;
  p[33] = 0x10;
  p[6] = 0x20;  // more fragments
  CHECK_FALSE(parse_packet(p, 1)->marked.unordered);
  p[6] = 0;
  p[32] = 0x60;
  CHECK_FALSE(parse_packet(p, 1)->marked.unordered);
}

TEST_CASE("worth a second copy on lossy links: small and urgent, or the beginning of a connection") {
  Harness h;
  const auto worth = [&](const std::vector<uint8_t>& bytes) {
    h.q.enqueue(h.pool.copy_of(bytes), *parse_packet(bytes, 1), h.now, h.drops);
    IngressHead head;
    REQUIRE(h.get(&head) != 0);
    return head.copy_when_lossy;
  };
  const auto tcp = [](uint16_t port, uint8_t flags, size_t size) {
    auto p = udp(port, size);
    p[9] = 6;
    p[32] = 0x50;
    p[33] = flags;
    return p;
  };
  const auto tcp_v6 = [](uint8_t flags) {
    std::vector<uint8_t> p(60, 0);
    p[0] = 0x60;
    p[5] = 20;
    p[6] = 6;
    p[20] = p[21] = 1;  // what Harness::get reads as a port
    p[53] = flags;
    return p;
  };
  CHECK(worth(udp(53, 80)));                // a question to DNS
  CHECK(worth(udp(4000, 200)));             // a call without marks
  CHECK(worth(udp(4001, 200, 46 << 2)));    // and with
  CHECK(worth(tcp(4002, 0x02, 60)));        // SYN
  CHECK(worth(tcp(4003, 0x12, 60)));        // SYN and ACK
  CHECK(worth(tcp_v6(0x02)));
  CHECK_FALSE(worth(tcp_v6(0x10)));
  CHECK_FALSE(worth(tcp(4004, 0x10, 52)));  // an acknowledgement: the next one says as much
  CHECK_FALSE(worth(tcp(4005, 0x18, 200)));
  CHECK_FALSE(worth(udp(443, 200)));        // QUIC
  CHECK_FALSE(worth(udp(4006, 1200, 46 << 2)));
}

TEST_CASE("packets that are no IP packets are refused, whatever their length") {
  const auto good = udp(1000, 100);
  CHECK(parse_packet(good, 1));
  for (size_t n = 0; n < good.size(); ++n) CHECK_FALSE(parse_packet(ByteSpan{good}.first(n), 1));
  std::vector<uint8_t> v6(48, 0);
  v6[0] = 0x60;
  v6[5] = 8;
  v6[6] = 17;
  CHECK(parse_packet(v6, 1));
  v6[6] = 0;  // a hop-by-hop header that claims to be longer than the packet
  v6[41] = 200;
  CHECK(parse_packet(v6, 1));  // no ports can be read, but it is an IPv6 packet
  v6[5] = 9;
  CHECK_FALSE(parse_packet(v6, 1));
}

TEST_CASE("the pool ends at its bound and gives everything back") {
  PacketPool pool(2048, 1u << 20);
  std::vector<Packet> held;
  while (Packet p = pool.allocate()) held.push_back(std::move(p));
  CHECK(held.size() >= 400);
  CHECK(pool.allocated_bytes() <= (1u << 20));
  held.clear();
  CHECK(pool.in_use() == 0);
  Packet a = pool.allocate();
  Packet b = a.slice(10, 20);
  a = Packet{};
  CHECK(pool.in_use() == 1);
  CHECK(b.size() == 20);
}

}  // namespace hawser
