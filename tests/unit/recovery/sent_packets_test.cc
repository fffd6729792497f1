// Settling of sent datagrams: acks, losses, probes, rate samples, and acks that lie.
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>

#include "common/recovery/sent_packets.h"

namespace hawser {
namespace {

struct Harness {
  PacketPool packets;
  SegmentPool segments;
  SentPackets sent;
  RttEstimator rtt;
  OneWayDelay owd;
  SentPackets::LostSegments lost;
  Time now{1'000'000'000};

  SegmentRef send(uint16_t size = 1000, bool ran_dry = false) {
    SegmentRef s = segments.make();
    s->packet = packets.allocate();
    s->copies_in_flight = 1;
    SentPacket& p = sent.on_sent(now, size, true, ran_dry);
    p.segments[p.segment_count++] = s;
    return s;
  }
  AckResult ack(uint64_t first, uint64_t last, bool own = true) {
    wire::AckFrame f;
    f.ranges[0] = {PacketNumber{first}, PacketNumber{last}};
    f.range_count = 1;
    f.largest_received_at = now;
    return sent.on_ack(f, own, rtt, owd, now, lost);
  }
};

}  // namespace

TEST_CASE("an ack settles, frees the window, measures the round trip") {
  Harness h;
  auto s = h.send();
  CHECK(h.sent.bytes_in_flight() == 1000);
  h.now += Duration::millis(30);
  const AckResult r = h.ack(0, 0);
  CHECK(r.valid);
  CHECK(r.acked_bytes == 1000);
  CHECK(h.sent.bytes_in_flight() == 0);
  CHECK(h.rtt.smoothed() == Duration::millis(30));
  CHECK(s->delivered);
  CHECK(s->copies_in_flight == 0);
}

TEST_CASE("an ack for what was never sent moves nothing") {
  Harness h;
  h.send();
  const AckResult r = h.ack(0, 5);
  CHECK_FALSE(r.valid);
  CHECK(h.sent.bytes_in_flight() == 1000);
}

TEST_CASE("the same ack twice counts once") {
  Harness h;
  h.send();
  h.send();
  h.ack(0, 0);
  const AckResult r = h.ack(0, 0);
  CHECK(r.valid);
  CHECK(r.acked_bytes == 0);
  CHECK(h.sent.bytes_in_flight() == 1000);
}

TEST_CASE("three later ones acknowledged: the one before is lost and handed out for repair") {
  Harness h;
  auto first = h.send();
  for (int i = 0; i < 3; ++i) h.send();
  h.now += Duration::millis(20);
  h.ack(1, 2);
  CHECK(h.lost.empty());
  const AckResult r = h.ack(1, 3);
  CHECK(r.lost_packets == 1);
  REQUIRE(h.lost.size() == 1);
  CHECK(&*h.lost[0] == &*first);
  CHECK(first->copies_in_flight == 0);
  CHECK(h.sent.bytes_in_flight() == 0);
}

TEST_CASE("one later one acknowledged: lost after the reordering window by the timer") {
  Harness h;
  h.send();
  h.now += Duration::millis(1);
  h.send();
  h.now += Duration::millis(40);
  h.ack(1, 1);
  REQUIRE(h.lost.empty());
  REQUIRE(h.sent.loss_time() < Time::infinite());
  CHECK(h.sent.loss_time() > h.now);
  const AckResult r = h.sent.on_loss_timer(h.rtt, h.sent.loss_time(), h.lost);
  CHECK(r.lost_packets == 1);
  CHECK(h.lost.size() == 1);
}

TEST_CASE("a late ack proves a loss spurious and widens the window") {
  Harness h;
  auto first = h.send();
  for (int i = 0; i < 3; ++i) h.send();
  h.now += Duration::millis(20);
  h.ack(1, 3);
  REQUIRE(h.sent.lost_packets() == 1);
  const AckResult r = h.ack(0, 3);
  CHECK(r.spurious_loss);
  CHECK(first->delivered);
  CHECK(h.sent.lost_packets() == 0);
  // Three later acks alone declare nothing lost any more: reordering has been seen.
  h.lost.clear();
  for (int i = 0; i < 5; ++i) h.send();
  h.now += Duration::millis(5);
  h.ack(5, 8);
  CHECK(h.lost.empty());
}

// Jitter that is drawn for each packet, on a way whose least round trip is next to nothing: quarters of that would help nobody.
TEST_CASE("a path that reorders by more than its round trip soon has little declared lost for nothing") {
  Harness h;
  uint64_t s = 7;
  std::vector<std::pair<Time, uint64_t>> arrivals;  // a heap, the next one in front
  uint64_t spurious = 0, spurious_late = 0, sent_late = 0;
  Duration overdue;
  for (int i = 0; i < 20'000; ++i) {
    h.now += Duration::micros(250);
    s ^= s << 13, s ^= s >> 7, s ^= s << 17;
    const auto delay = Duration::micros(100 + static_cast<int64_t>(s % 40'000));
    arrivals.push_back({h.now + delay, h.sent.next().value});
    std::push_heap(arrivals.begin(), arrivals.end(), std::greater<>{});
    h.send();
    while (arrivals.front().first <= h.now) {
      const uint64_t pn = arrivals.front().second;
      std::pop_heap(arrivals.begin(), arrivals.end(), std::greater<>{});
      arrivals.pop_back();
      const AckResult r = h.ack(pn, pn);
      spurious += r.spurious_packets;
      if (i > 4000) spurious_late += r.spurious_packets, overdue += r.overdue;
    }
    if (h.sent.loss_time() <= h.now) h.sent.on_loss_timer(h.rtt, h.now, h.lost);
    sent_late += i > 4000;
  }
  INFO("spurious " << spurious << ", of " << sent_late << " after a second " << spurious_late);
  CHECK(spurious > 0);
  CHECK(spurious_late < sent_late / 50);
  // On average half of the jitter, of which the quickest know nothing.
  CHECK((overdue * (1.0 / static_cast<double>(sent_late))).to_millis() == Approx(15).margin(6));
}

TEST_CASE("the window for reordering shrinks again when nothing comes late any more") {
  Harness h;
  h.send();
  h.now += Duration::millis(40);
  h.ack(0, 0);
  const auto window = [&] {  // what is left to the first of two when the second is acknowledged after a round trip
    const uint64_t first = h.sent.next().value;
    h.send();
    h.now += Duration::millis(1);
    h.send();
    h.now += Duration::millis(40);
    h.ack(first + 1, first + 1);
    const Duration left = h.sent.loss_time() - h.now;
    h.now = h.sent.loss_time();
    h.sent.on_loss_timer(h.rtt, h.now, h.lost);
    return left;
  };
  const Duration narrow = window();
  for (int i = 0; i < 20; ++i) {
    const uint64_t late = h.sent.next().value;
    window();
    h.now += Duration::millis(50);
    h.ack(late, late);
  }
  const Duration wide = window();
  CHECK(narrow < Duration::millis(12));
  CHECK(wide > Duration::millis(40));
  CHECK(wide < kMostReordering * 1.2);
  // By losses: in these 20 s time alone leaves half of it.
  const Time began = h.now;
  for (int i = 0; i < 250; ++i) window();
  CHECK(h.now - began < Duration::seconds(22));
  CHECK(window() < wide * 0.35);
}

TEST_CASE("the window for reordering shrinks with time where nothing is lost") {
  Harness h;
  h.send();
  h.now += Duration::millis(20);
  h.ack(0, 0);
  const auto lose_and_find = [&](bool find) {  // how long the first of two is waited for
    const uint64_t first = h.sent.next().value;
    h.send();
    h.send();
    h.now += Duration::millis(20);
    h.ack(first + 1, first + 1);
    const Duration left = h.sent.loss_time() - h.now;
    h.sent.on_loss_timer(h.rtt, h.now = h.sent.loss_time(), h.lost);
    h.now += Duration::millis(50);
    if (find) h.ack(first, first);
    return left;
  };
  for (int i = 0; i < 20; ++i) lose_and_find(true);
  const Duration wide = lose_and_find(false);
  h.now += Duration::seconds(40);
  CHECK(wide > Duration::millis(20));
  CHECK(lose_and_find(false) < wide * 0.5);
}

// Of a packet in two pieces the first is lost, and it is sent again; that the second is lost as well is no news then.
TEST_CASE("the loss of an older sending's piece repairs nothing once more") {
  Harness h;
  SegmentRef s = h.send();
  auto piece = [&](uint8_t number) {
    SentPacket& p = h.sent.on_sent(h.now, 700, true, false);
    p.segments[p.segment_count++] = s;
    p.piece = number;
    p.transmission = s->transmissions;
  };
  s->transmissions = 1;
  piece(1);
  piece(2);
  for (int i = 0; i < 3; ++i) h.send();
  h.now += Duration::millis(20);
  h.ack(0, 0);
  h.lost.clear();
  h.ack(4, 4);  // 1 is overtaken by three
  REQUIRE(h.lost.size() == 1);
  CHECK(&*h.lost[0] == &*s);
  h.lost.clear();
  s->transmissions = 2;  // repaired
  h.ack(4, 5);
  CHECK(h.sent.lost_packets() >= 2);
  for (const SegmentRef& l : h.lost) CHECK(&*l != &*s);
}

TEST_CASE("a cross-ack settles first; the own ack still measures the round trip") {
  Harness h;
  h.send();
  h.now += Duration::millis(20);
  const AckResult cross = h.ack(0, 0, false);
  CHECK(cross.acked_bytes == 1000);
  CHECK_FALSE(cross.has_rtt);
  h.now += Duration::millis(30);
  const AckResult own = h.ack(0, 0, true);
  CHECK(own.has_rtt);
  CHECK(h.rtt.smoothed() == Duration::millis(50));
  CHECK_FALSE(h.ack(0, 0, true).has_rtt);
}

TEST_CASE("a steady flow's samples show its rate") {
  Harness h;
  BitRate best;
  for (uint64_t i = 0; i < 200; ++i) {  // 1000 bytes each millisecond: 8 Mbit/s; acknowledged 20 ms later
    h.send();
    if (i >= 20) best = std::max(best, h.ack(i - 20, i - 20).delivery_rate);
    h.now += Duration::millis(1);
  }
  CHECK(best.bps == Approx(8e6).epsilon(0.06));
}

TEST_CASE("a flight that begins with a want of data is no measure of the path until its first answer") {
  Harness h;
  // Two packets and nothing more; then, after a pause, five at once: a web page's way to ask and to answer.
  h.send(1000, false);
  h.send(1000, true);
  h.now += Duration::millis(20);
  h.ack(0, 1);
  h.now += Duration::millis(500);
  for (int i = 0; i < 5; ++i) h.send();
  h.now += Duration::millis(20);
  CHECK(h.ack(2, 4).sample_app_limited);
  CHECK(h.ack(5, 6).sample_app_limited);
  // What the answers let go is the path's own pace again, also when nothing is in flight in between: that was the pacer's pause.
  h.send();
  h.now += Duration::millis(20);
  CHECK_FALSE(h.ack(7, 7).sample_app_limited);
  h.send();
  h.now += Duration::millis(20);
  CHECK_FALSE(h.ack(8, 8).sample_app_limited);
}

TEST_CASE("a fragmented segment is delivered when both pieces are") {
  Harness h;
  SegmentRef s = h.segments.make();
  for (uint8_t piece : {1, 2}) {
    SentPacket& p = h.sent.on_sent(h.now, 700, true, false);
    p.piece = piece;
    p.segments[p.segment_count++] = s;
    ++s->copies_in_flight;
  }
  h.ack(0, 0);
  CHECK_FALSE(s->delivered);
  h.ack(1, 1);
  CHECK(s->delivered);
}

TEST_CASE("abandoned datagrams no longer count as in flight, late acks still settle their segments") {
  Harness h;
  auto s = h.send();
  h.sent.abandon_in_flight();
  CHECK(h.sent.bytes_in_flight() == 0);
  CHECK(s->copies_in_flight == 0);
  h.ack(0, 0);
  CHECK(s->delivered);
}

TEST_CASE("a million datagrams need no growing memory") {
  Harness h;
  for (uint64_t i = 0; i < 1'000'000; ++i) {
    h.sent.on_sent(h.now, 100, i % 10 == 0, false);
    h.now += Duration::micros(10);
    if (i % 10 == 0) h.ack(i, i);
  }
  CHECK(h.sent.memory_bytes() < 64'000);
}

}  // namespace hawser
