// Rings and doors between workers: order, bounds, wrap-around, and two threads at the two ends.
#include "server/exchange.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <thread>

#include "platform/thread.h"
#include "server/inbox.h"

namespace hawser::server {
namespace {

bool put(Ring& ring, ByteSpan bytes) {
  const MutableByteSpan record = ring.reserve(bytes.size());
  if (record.empty()) return false;
  std::memcpy(record.data(), bytes.data(), bytes.size());
  ring.publish();
  return true;
}

std::vector<uint8_t> record_of(uint64_t number) {
  std::vector<uint8_t> bytes(8 + number * 37 % 300);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(number + i);
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

TEST_CASE("a ring gives records back in order and whole, around its end many times") {
  Ring ring(1024);
  uint64_t sent = 0, got = 0;
  while (got < 5000) {
    while (put(ring, record_of(sent))) ++sent;
    REQUIRE(sent > got);
    for (int i = 0; i < 3; ++i) {
      const MutableByteSpan record = ring.next();
      if (record.empty()) break;
      const auto wanted = record_of(got++);
      REQUIRE(std::equal(record.begin(), record.end(), wanted.begin(), wanted.end()));
    }
    ring.release();
  }
}

TEST_CASE("a full ring refuses, and what was taken is room only after release") {
  Ring ring(1024);
  const std::vector<uint8_t> half(500);
  CHECK(put(ring, half));
  CHECK(put(ring, half));
  CHECK_FALSE(put(ring, half));
  CHECK(ring.next().size() == 500);
  CHECK_FALSE(put(ring, half));
  ring.release();
  CHECK(put(ring, half));
  CHECK(ring.next().size() == 500);
  CHECK(ring.next().size() == 500);
  CHECK(ring.next().empty());
}

TEST_CASE("what is reserved is not seen before it is published") {
  Ring ring(1024);
  const MutableByteSpan record = ring.reserve(3);
  REQUIRE(record.size() == 3);
  CHECK(ring.next().empty());
  ring.publish();
  CHECK(ring.next().size() == 3);
}

TEST_CASE("two threads at the ends of a ring lose nothing and see nothing half written") {
  Ring ring(4096);
  constexpr uint64_t kRecords = 50'000;
  std::thread sender([&] {
    for (uint64_t i = 0; i < kRecords;) {
      if (put(ring, record_of(i))) ++i;
      else std::this_thread::yield();
    }
  });
  uint64_t got = 0, wrong = 0;
  while (got < kRecords) {
    const MutableByteSpan record = ring.next();
    if (record.empty()) {
      ring.release();
      std::this_thread::yield();
      continue;
    }
    const auto wanted = record_of(got++);
    if (!std::equal(record.begin(), record.end(), wanted.begin(), wanted.end())) ++wrong;
    if (got % 5 == 0) ring.release();
  }
  sender.join();
  CHECK(wrong == 0);
}

struct Office {
  explicit Office(uint32_t workers, size_t ring_bytes = Exchange::kRingBytes)
      : exchange(Steering::of_pools(workers, IpPrefix::parse("10.9.0.0/16"), IpPrefix::parse("fd00::/48")), ring_bytes) {
    for (uint32_t i = 0; i < workers; ++i) {
      doors.push_back(std::make_unique<Door>(exchange, i, [this](uint32_t worker) { woken.push_back(worker); }));
    }
  }
  Exchange exchange;
  std::vector<uint32_t> woken;
  std::vector<std::unique_ptr<Door>> doors;
};

std::vector<uint8_t> datagram_for(uint32_t index, size_t size = 100) {
  std::vector<uint8_t> d(size, 7);
  d[0] = 1;
  for (int i = 0; i < 4; ++i) d[static_cast<size_t>(1 + i)] = static_cast<uint8_t>(index >> (24 - 8 * i));
  return d;
}

TEST_CASE("a door keeps what is its worker's and hands the rest to whom it belongs, with all that is known of it") {
  Office office(3);
  auto own = datagram_for(3), others = datagram_for(7);
  const UdpTuple from{LinkId{1}, *SocketAddress::parse("198.51.100.1:443"), *SocketAddress::parse("[2001:db8::5]:4000")};
  CHECK_FALSE(office.doors[0]->hand_on(ReceivedDatagram{own, from, 1, Time{5}}));
  CHECK(office.doors[0]->hand_on(ReceivedDatagram{others, from, 3, Time{6}}));
  std::vector<uint8_t> packet(40);
  packet[0] = 0x45;
  packet[16] = 10, packet[17] = 9, packet[19] = 5;  // the fifth place: 5 % 3
  CHECK(office.doors[0]->hand_on(ByteSpan(packet)));
  CHECK_FALSE(office.doors[2]->hand_on(ByteSpan(packet)));
  CHECK(office.woken.empty());
  office.doors[0]->wake_others();
  CHECK(office.woken == std::vector<uint32_t>{1, 2});
  office.doors[0]->wake_others();
  CHECK(office.woken.size() == 2);

  std::vector<ReceivedDatagram> datagrams;
  std::vector<ByteSpan> packets;
  CHECK(office.doors[1]->take(datagrams, packets, 64) == 1);
  REQUIRE(datagrams.size() == 1);
  CHECK(packets.empty());
  CHECK(std::equal(others.begin(), others.end(), datagrams[0].bytes.begin(), datagrams[0].bytes.end()));
  CHECK(datagrams[0].from == from);
  CHECK(datagrams[0].ecn == 3);
  CHECK(datagrams[0].received_at == Time{6});
  office.doors[1]->release();
  datagrams.clear();
  CHECK(office.doors[2]->take(datagrams, packets, 64) == 1);
  REQUIRE(packets.size() == 1);
  CHECK(std::equal(packet.begin(), packet.end(), packets[0].begin(), packets[0].end()));
  CHECK(office.doors[2]->take(datagrams, packets, 64) == 0);
  CHECK(office.doors[0]->counters().datagrams == 1);
  CHECK(office.doors[0]->counters().packets == 1);
}

TEST_CASE("a full ring drops and counts, and serves again when there is room; a limit leaves the rest") {
  Office office(2, 4096);
  auto d = datagram_for(1, 900);
  for (int i = 0; i < 10; ++i) CHECK(office.doors[0]->hand_on(ReceivedDatagram{d, {}, 0, {}}));
  const auto passed = office.doors[0]->counters().datagrams;
  CHECK(passed >= 3);
  CHECK(office.doors[0]->counters().dropped == 10 - passed);
  std::vector<ReceivedDatagram> datagrams;
  std::vector<ByteSpan> packets;
  CHECK(office.doors[1]->take(datagrams, packets, 2) == 2);
  CHECK(office.doors[1]->take(datagrams, packets, 64) == passed - 2);
  office.doors[1]->release();
  CHECK(office.doors[0]->hand_on(ReceivedDatagram{d, {}, 0, {}}));
  CHECK(office.doors[0]->counters().datagrams == passed + 1);
}

TEST_CASE("a ring holds what one turn of the loop brings before its worker is awake") {
  // Two receives of super-datagrams, one of them just short of a turn's end, and four batches from the TUN.
  constexpr int kDatagrams = 669 + 255, kPackets = 4 * 64;
  Office office(2);
  auto d = datagram_for(1, 1472);
  std::vector<uint8_t> packet(1400);
  packet[0] = 0x45;
  packet[16] = 10, packet[17] = 9, packet[19] = 3;
  for (int i = 0; i < kDatagrams; ++i) office.doors[0]->hand_on(ReceivedDatagram{d, {}, 0, {}});
  for (int i = 0; i < kPackets; ++i) office.doors[0]->hand_on(ByteSpan(packet));
  CHECK(office.doors[0]->counters().datagrams == kDatagrams);
  CHECK(office.doors[0]->counters().packets == kPackets);
  CHECK(office.doors[0]->counters().dropped == 0);
}

TEST_CASE("an inbox does in its loop's thread what others post, in order, and no bell is lost") {
  auto loop = EventLoop::create();
  REQUIRE(loop);
  constexpr int kPosts = 2000;
  int done = 0, wrong = 0;
  uint64_t rung = 0;
  std::atomic<uint64_t> ringing{0};
  auto inbox = Inbox::create(**loop, [&] { rung = ringing.load(); });
  REQUIRE(inbox);
  auto poster = start_thread("poster", [&] {
    for (int i = 0; i < kPosts; ++i) {
      (*inbox)->post([&, i] {
        if (done++ != i) ++wrong;
      });
      ++ringing;
      (*inbox)->ring_bell();
    }
  });
  REQUIRE(poster);
  while (done < kPosts || rung < kPosts) (*loop)->run_once(true);  // a lost one would wait here for ever
  poster->join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace hawser::server
