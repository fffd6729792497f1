// What a user with a genuine key can do to the server that believes it: acknowledgements of what was never sent, absurd
// times, gaps that never fill, storms of lanes, pieces, paths and notices. Counted, bounded, harmless.
#include <catch2/catch.hpp>

#include "tests/unit/session/hostile_peer.h"

namespace hawser::test {
namespace {

// The resequencer's bound, its slots and one full set of lane counters, and what else a session of one path holds.
constexpr size_t kMemoryBound = kResequencerBytes + (2u << 20);

void download(HostilePeer& p, int packets) {
  for (int i = 0; i < packets; ++i) {
    p.send_to_client(static_cast<uint32_t>(i));
    p.run(Duration::millis(1));
  }
}

}  // namespace

TEST_CASE("acknowledgements of what was never sent are counted and move nothing") {
  HostilePeer p;
  p.acknowledges = true;
  download(p, 50);
  p.run(Duration::millis(200));
  const auto before = p.session();
  const uint64_t highest = p.largest_seen(0);
  for (uint64_t ahead : {uint64_t{1}, uint64_t{2}, uint64_t{1000}, uint64_t{1} << 40}) {
    for (int i = 0; i < 100; ++i) p.acknowledge(0, 0, highest + 1000 + ahead, Duration{}, p.now);
  }
  const auto after = p.session();
  CHECK(after.drops[DropReason::bad_frame] - before.drops[DropReason::bad_frame] == 400);
  CHECK(after.paths[0].smoothed_rtt == before.paths[0].smoothed_rtt);
  CHECK(after.paths[0].capacity.bps == Approx(before.paths[0].capacity.bps));
  CHECK(after.paths[0].congestion_window == before.paths[0].congestion_window);
  // And the session goes on.
  const uint64_t data = p.data_to_client;
  download(p, 50);
  p.run(Duration::millis(200));
  CHECK(p.data_to_client - data >= 50);
}

TEST_CASE("who acknowledges late, and gets tiny packets, pins no more than a session's share of the buffers") {
  HostilePeer p;
  const size_t most = p.server->pool().most_packets();
  uint64_t from = 0;
  for (uint32_t i = 0; i < 6000; ++i) {
    for (uint32_t n = 0; n < 8; ++n) p.send_to_client(8 * i + n);
    p.run(Duration::millis(1));
    if (i % 400 != 399) continue;
    const uint64_t to = p.largest_seen(0);
    p.acknowledge(0, from, to, Duration{}, p.now);
    from = to;
  }
  INFO(p.server->pool().in_use() << " of " << most);
  CHECK(p.data_to_client > 100);  // it is served all the same
  CHECK(p.server->pool().in_use() <= most / 3 + 64);
}

TEST_CASE("absurd times in acknowledgements: the estimates stay sane and traffic goes on") {
  HostilePeer p;
  const Duration longest = Duration::micros(static_cast<int64_t>(wire::kMaxWireMicros));
  uint64_t from = 0;
  for (int i = 0; i < 400; ++i) {
    p.send_to_client(static_cast<uint32_t>(i));
    p.run(Duration::millis(2));
    const uint64_t to = p.largest_seen(0);
    const Duration delay = i % 3 == 0 ? longest : i % 3 == 1 ? Duration{} : Duration::seconds(1'000'000);
    const Time received = i % 2 ? Time{longest.ns} : Time{};
    p.acknowledge(0, from, to, delay, received);
    from = to;
  }
  const auto info = p.session();
  CHECK(info.paths[0].state == PathState::active);
  CHECK(info.paths[0].smoothed_rtt >= Duration{});
  CHECK(info.paths[0].smoothed_rtt < Duration::seconds(1));
  CHECK(info.paths[0].min_rtt >= Duration{});
  CHECK(info.paths[0].queue_delay >= Duration{});
  CHECK(info.paths[0].queue_delay < Duration::seconds(1));
  CHECK(info.memory_bytes < kMemoryBound);
  const uint64_t data = p.data_to_client;
  p.acknowledges = true;
  download(p, 100);
  p.run(Duration::seconds(2));
  CHECK(p.data_to_client - data >= 100);
}

TEST_CASE("a gap that never fills delays what is behind it by the resequencer's patience and no more") {
  HostilePeer p;
  for (uint32_t seq = 1; seq <= 200; ++seq) {
    p.send_data(3, seq);
    p.run(Duration::millis(1));
  }
  p.run(kResequencerMaxWait);
  REQUIRE(p.delivered.size() == 200);
  CHECK(std::is_sorted(p.delivered.begin(), p.delivered.end()));
  CHECK(p.delivered_at[0] <= Time{1'000'000'000} + Duration::millis(52) + kResequencerMaxWait);
  // What was given up counts as new when it comes after all, once.
  p.send_data(3, 0);
  p.send_data(3, 0);
  CHECK(p.delivered.size() == 201);
  CHECK(p.dropped(DropReason::duplicate) == 1);
}

TEST_CASE(
    "gaps everywhere, never filled: memory stays within the resequencer's bound and every packet is accounted for") {
  HostilePeer p(64u << 20);
  size_t sent = 0, most = 0;
  // Sixty lanes with a gap each hundred packets, faster than the deadline lets go: 30 MB.
  for (uint32_t seq = 1; seq < 500; ++seq) {
    for (uint16_t lane = 0; lane < 60 && seq % 100; ++lane) {
      p.send_data(lane, seq);
      ++sent;
    }
    most = std::max(most, p.session().memory_bytes);
  }
  CHECK(most < kMemoryBound);
  CHECK(most > kResequencerBytes / 2);
  CHECK(p.dropped(DropReason::resequencer_full) > 0);
  p.run(kResequencerMaxWait * 7);  // each gap has a patience of its own
  CHECK(p.delivered.size() + p.dropped(DropReason::resequencer_full) == sent);
  // Nothing remains of it.
  p.send_data(70, 0);
  CHECK(p.delivered.size() + p.dropped(DropReason::resequencer_full) == sent + 1);
  CHECK(p.session().memory_bytes < most / 2);
}

TEST_CASE("the smallest packets out of order take no more of the shared buffers than the largest") {
  HostilePeer p(64u << 20);
  const size_t before = p.server->pool().in_use();
  size_t most = 0;
  for (uint32_t seq = 1; seq < 30'000; ++seq) {
    p.send_data(static_cast<uint16_t>(seq % 4), seq / 4 + 1, 32);
    most = std::max(most, p.server->pool().in_use());
  }
  CHECK((most - before) * p.server->pool().buffer_size() <= kResequencerBytes + (1u << 20));
  CHECK(p.dropped(DropReason::resequencer_full) > 0);
}

TEST_CASE("a storm of lanes: each far out of order, all at once") {
  HostilePeer p(64u << 20);
  size_t most = 0;
  for (uint32_t far : {uint32_t{1}, uint32_t{60'000}, uint32_t{200'000}}) {
    for (uint16_t lane = 0; lane < kLanes; ++lane) p.send_data(lane, far, 100);
    most = std::max(most, p.session().memory_bytes);
  }
  CHECK(most < kMemoryBound);
  CHECK(p.dropped(DropReason::resequencer_full) >= kLanes);  // beyond the window at least
  p.run(Duration::seconds(5));
  CHECK(p.session().memory_bytes < kMemoryBound);
  // A lane that the storm left alone goes on where it is.
  const size_t before = p.delivered.size();
  for (uint32_t seq = 2; seq < 12; ++seq) p.send_data(1023, seq);
  p.run(Duration::seconds(1));
  CHECK(p.delivered.size() - before == 10);
}

TEST_CASE("a storm of unordered packets far ahead of their lanes leaves bounded bookkeeping") {
  HostilePeer p(64u << 20);
  for (uint16_t lane = 0; lane < kLanes; ++lane) {
    for (uint32_t seq : {40'000u, 50'000u, 65'000u}) p.send_data(lane, seq, 100, true);
  }
  CHECK(p.session().memory_bytes < kMemoryBound);
  CHECK(p.dropped(DropReason::resequencer_full) > 0);
}

TEST_CASE("pieces whose other piece never comes are counted and bounded") {
  HostilePeer p;
  const auto packet = make_packet(p.client_ip, p.server_ip, 1, 1300);
  for (uint32_t seq = 0; seq < 5000; ++seq) {
    p.send(0, [&](wire::FrameWriter& w) {
      wire::FragmentFrame f;
      f.lane = LaneId{static_cast<uint16_t>(seq % kLanes)};
      f.seq24 = seq;
      f.payload = ByteSpan(packet).first(700);
      REQUIRE(w.write(f));
    });
  }
  CHECK(p.delivered.empty());
  CHECK(p.dropped(DropReason::reassembly) > 4000);
  CHECK(p.session().memory_bytes < kMemoryBound);
}

TEST_CASE("notices that packets are given up, for all lanes and far ahead, cost no memory beyond the bound") {
  HostilePeer p(64u << 20);
  for (uint32_t round = 0; round < 20; ++round) {
    for (uint16_t lane = 0; lane < kLanes; lane = static_cast<uint16_t>(lane + 100)) {
      p.send(0, [&](wire::FrameWriter& w) {
        for (uint16_t l = lane; l < std::min<size_t>(lane + 100u, kLanes); ++l) {
          w.write(wire::GaveUpFrame{LaneId{l}, round * 3000 + 100, wire::kMaxGaveUp});
        }
      });
    }
  }
  CHECK(p.session().memory_bytes < kMemoryBound);
  p.run(Duration::seconds(2));
  p.send_data(5, 0);
  CHECK(p.delivered.size() == 1);
}

TEST_CASE("a peer that acknowledges nothing pins no buffers that all sessions share") {
  HostilePeer p(64u << 20);
  size_t most = 0;
  for (int second = 0; second < 150; ++second) {  // a key's life is not much longer
    for (int i = 0; i < 50; ++i) {
      p.send_to_client(static_cast<uint32_t>(i));
      p.run(Duration::millis(20));
    }
    p.send(0, [](wire::FrameWriter& w) { w.write(wire::PingFrame{}); });
    most = std::max(most, p.server->pool().in_use());
  }
  CHECK(most < 1000);
  CHECK(p.session().memory_bytes < kMemoryBound);
}

TEST_CASE("a peer that asks and asks and acknowledges nothing: what was sent to it is not remembered for ever") {
  HostilePeer p(64u << 20);
  SECTION("on a path that works") {}
  SECTION("on a path that it never proves") {
    p.answers_challenges = false;
    p.send(1, [](wire::FrameWriter& w) { w.write(wire::PathChallengeFrame{{1}}); });
  }
  const uint32_t path = p.answers_challenges ? 0 : 1;
  p.skipped_numbers = 1;  // a gap is answered at once
  for (int i = 0; i < 400'000; ++i) {
    p.send(path, [](wire::FrameWriter& w) { w.write(wire::PingFrame{}); });
    if (i % 10 == 0) p.run(Duration::micros(100));
  }
  CHECK(p.datagrams_to_client > 100'000);
  CHECK(p.session().memory_bytes < kMemoryBound);
}

TEST_CASE("the smallest packets for a user who takes none fill no more buffers than the largest would") {
  HostilePeer p(64u << 20);
  size_t most = 0;
  for (uint32_t i = 0; i < 60'000; ++i) {
    const auto bytes = make_packet(p.server_ip, p.client_ip, i, 32, static_cast<uint16_t>(5000 + i % 100));
    Packet packet = p.server->pool().copy_of(bytes);
    if (packet) p.server->on_packets(std::span(&packet, 1), p.now);
    most = std::max(most, p.server->pool().in_use());
  }
  CHECK(most * p.server->pool().buffer_size() <= (16u << 20) + (1u << 20));
  CHECK(p.dropped(DropReason::ingress_full) > 0);
}

TEST_CASE("everything at once: a session stays within its bound of memory, and the bound is no idle word") {
  HostilePeer p(128u << 20);
  p.acknowledges = true;
  for (uint32_t path = 1; path < kMaxPaths; ++path) p.send(path, [](wire::FrameWriter& w) { w.write(wire::PathChallengeFrame{{1}}); });
  p.run(Duration::seconds(1));
  p.acknowledges = p.answers_challenges = false;
  size_t most = 0;
  const auto look = [&] { most = std::max(most, p.session().memory_bytes); };
  const auto piece = make_packet(p.client_ip, p.server_ip, 1, 1300);
  for (uint32_t round = 0; round < 12; ++round) {
    // Every lane with gaps, ordered and not, given up and waited for; pieces; small packets for a user who takes none.
    for (uint16_t lane = 0; lane < kLanes; ++lane) {
      for (uint32_t k = 0; k < 3; ++k) p.send_data(lane, round * 700 + k * 200 + 1, 32, (lane + k) % 3 == 0);
      if (lane % 100) continue;
      p.send(lane % kMaxPaths, [&](wire::FrameWriter& w) {
        wire::FragmentFrame f;
        f.lane = LaneId{lane};
        f.seq24 = round * 700 + 300;
        f.payload = ByteSpan(piece).first(700);
        w.write(f);
      });
    }
    for (uint32_t i = 0; i < 3000; ++i) {
      const auto bytes = make_packet(p.server_ip, p.client_ip, i, 32, static_cast<uint16_t>(5000 + i % 200));
      Packet packet = p.server->pool().copy_of(bytes);
      if (packet) p.server->on_packets(std::span(&packet, 1), p.now);
    }
    look();
    p.run(Duration::millis(350));
    look();
  }
  INFO("most " << most << " of " << kSessionBytes);
  CHECK(most <= kSessionBytes);
  CHECK(most > kSessionBytes / 2);
  p.run(Duration::seconds(30));
  CHECK(p.session().memory_bytes < most);
}

TEST_CASE("more paths than a session may have are refused and counted") {
  HostilePeer p;
  for (uint32_t path = 1; path < 60; ++path) p.send(path, [](wire::FrameWriter& w) { w.write(wire::PingFrame{}); });
  CHECK(p.session().paths.size() <= kMaxPaths);
  CHECK(p.dropped(DropReason::bad_path) >= 60 - kMaxPaths);
}

TEST_CASE("a wish about a path that was never opened is not acknowledged; about one that was, it is") {
  HostilePeer peer;
  const auto wish = [&](uint32_t path, uint64_t sequence) {
    peer.send(0, [&](wire::FrameWriter& w) {
      wire::PathStatusFrame f;
      f.path = PathId{path};
      f.sequence = sequence;
      f.priority = wire::PathPriority::secondary;
      w.write(f);
    });
    peer.run(Duration::millis(50));
  };
  wish(1, 1);
  CHECK(peer.control_acks == 0);
  peer.send(1, [](wire::FrameWriter& w) { w.write(wire::PingFrame{}); });
  peer.run(Duration::millis(50));
  wish(1, 1);
  CHECK(peer.control_acks == 1);
  REQUIRE(peer.session().paths.size() == 2);
  CHECK(peer.session().paths[1].priority == wire::PathPriority::secondary);
  // Gone for good: nothing is left to apply it to.
  peer.send(0, [](wire::FrameWriter& w) { w.write(wire::PathCloseFrame{PathId{1}}); });
  wish(1, 2);
  CHECK(peer.control_acks == 2);
}

TEST_CASE("challenges and pings get no more than an answer each") {
  HostilePeer p;
  p.run(Duration::seconds(12));  // its own probes are rare now
  const uint64_t before = p.datagrams_to_client;
  for (int i = 0; i < 2000; ++i) {
    p.send(0, [](wire::FrameWriter& w) {
      for (int k = 0; k < 100; ++k) w.write(wire::PathChallengeFrame{{1, 2, 3}});
      for (int k = 0; k < 100; ++k) w.write(wire::PingFrame{});
    });
  }
  p.run(Duration::millis(100));
  CHECK(p.datagrams_to_client - before <= 2000 + 1100);  // an answer per datagram, and less than an ack for every second
}

}  // namespace hawser::test
