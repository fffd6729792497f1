// Small urgent packets go out twice while a link is lossy or has just fallen silent, within a budget, and arrive once.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "common/wire/datagram.h"
#include "tests/unit/session/test_net.h"

namespace hawser::test {
namespace {

constexpr uint16_t kVoicePort = 7000;

struct Copied {
  uint64_t packets = 0, bytes = 0, sent_bytes = 0;
};
Copied copied(const TestNet& net) {
  Copied c;
  const auto sessions = net.server->sessions(net.now);
  for (const PathInfo& p : sessions[0].paths) {
    c.packets += p.copied_packets;
    c.bytes += p.copied_bytes;
    c.sent_bytes += p.sent_bytes;
  }
  return c;
}

// A call towards the client, a packet each 20 ms; beside it, if wanted, a download of about 8 Mbit/s that pays for copies.
struct Call {
  TestNet& net;
  bool download = true;
  uint8_t tos = 46 << 2;
  std::vector<Time> sent{};
  std::vector<std::pair<uint32_t, Duration>> delays{};  // of each that came
  std::multiset<uint32_t> came{};
  uint32_t first = 1'000'000;  // what was sent before is not counted

  void run(Duration d) {
    net.on_client_packet = [this](ByteSpan p) {
      const uint32_t m = marker_of(p);
      if (m < 1'000'000) return;
      came.insert(m);
      delays.emplace_back(m, net.now - sent[m - 1'000'000]);
    };
    const Time end = net.now + d;
    for (int i = 0; net.now < end; ++i) {
      if (i % 20 == 0) {
        auto p = make_packet(net.server_ip, net.client_ip, static_cast<uint32_t>(1'000'000 + sent.size()), 200, kVoicePort);
        p[1] = tos;
        sent.push_back(net.now);
        net.send_to_client(p);
      }
      if (download) net.send_to_client(make_packet(net.server_ip, net.client_ip, static_cast<uint32_t>(i), 1000));
      net.run(Duration::millis(1));
    }
  }
  size_t later_than(Duration d) const {
    return static_cast<size_t>(
        std::count_if(delays.begin(), delays.end(), [&](const auto& x) { return x.first >= first && x.second > d; }));
  }
  size_t lost() const {
    size_t n = 0;
    for (uint32_t m = first; m < 1'000'000 + sent.size(); ++m) n += came.count(m) == 0;
    return n;
  }
  bool any_twice() const { return std::any_of(came.begin(), came.end(), [&](uint32_t m) { return came.count(m) > 1; }); }
};

void connect(TestNet& net) {
  net.up_all();
  net.run(Duration::millis(500));
}

}  // namespace

TEST_CASE("a call over two lossy links: what one loses the other brings, at once and once") {
  TestNet net;
  for (int i = 0; i < 2; ++i) net.add_link(wire_of(20e6, Duration::millis(60), 0.05));
  connect(net);
  Call call{net};
  call.run(Duration::seconds(2));  // until the losses are known
  call.first += static_cast<uint32_t>(call.sent.size());
  call.run(Duration::seconds(20));
  net.run(Duration::seconds(2));
  // 1000 packets; a repair takes more than the 150 ms for which a call's packets are worth it. Both copies lost: 0.25 %.
  INFO("lost " << call.lost() << " late " << call.later_than(Duration::millis(100)) << " of " << call.sent.size());
  CHECK(call.lost() + call.later_than(Duration::millis(100)) <= 8);
  CHECK_FALSE(call.any_twice());
  const Copied c = copied(net);
  CHECK(c.packets > 800);
  CHECK(static_cast<double>(c.bytes) <= static_cast<double>(c.sent_bytes) * kCopyShare + kCopyBurst);
}

TEST_CASE("clean links: nothing is sent twice") {
  TestNet net;
  for (int i = 0; i < 2; ++i) net.add_link(wire_of(20e6, Duration::millis(20)));
  connect(net);
  Call call{net};
  call.run(Duration::seconds(5));
  net.run(Duration::seconds(1));
  CHECK(copied(net).packets == 0);
  CHECK(call.lost() == 0);
}

TEST_CASE("a call alone on lossy links: copies stay within three hundredths of what it sends itself") {
  TestNet net;
  for (int i = 0; i < 2; ++i) net.add_link(wire_of(20e6, Duration::millis(20), 0.1));
  connect(net);
  Call call{net, false};
  call.run(Duration::seconds(60));
  const Copied c = copied(net);
  CHECK(c.packets > 10);
  CHECK(static_cast<double>(c.bytes) <= static_cast<double>(c.sent_bytes) * kCopyShare + kCopyBurst);
}

TEST_CASE("a link falls silent during a call: before it is suspect the call goes on by the other one") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(25)));
  connect(net);
  Call call{net, false};
  call.run(Duration::seconds(3));
  net.links[0]->to_client.blackhole = net.links[0]->to_server.blackhole = true;
  call.run(Duration::seconds(1));
  net.run(Duration::seconds(1));
  const Copied c = copied(net);
  CHECK(c.packets >= 2);
  CHECK(call.lost() == 0);
  CHECK_FALSE(call.any_twice());
  // Late are the first ones, sent before the silence could be told from the ordinary: they wait for the suspicion.
  INFO("late " << call.later_than(Duration::millis(60)));
  CHECK(call.later_than(Duration::millis(60)) <= 3);
}

TEST_CASE("the second copy of an unordered packet is dropped whichever way it comes: behind a gap, after it, long after") {
  TestNet net;
  net.add_link(wire_of(0, Duration::millis(10)));
  net.add_link(wire_of(0, Duration::millis(35), 0.05));
  net.client->set_policy(wire::Mode::redundant, wire::SchedulerKind::automatic, wire::CongestionKind::automatic, net.now);
  connect(net);
  net.links[0]->to_client.loss = 0.05;
  Call call{net};
  call.run(Duration::seconds(10));
  net.run(Duration::seconds(2));
  CHECK_FALSE(call.any_twice());
  CHECK(call.lost() <= 5);
  CHECK(net.client->sessions(net.now)[0].drops[DropReason::duplicate] > 400);
}

TEST_CASE("a link that would add next to nothing carries copies, and is used once it has become faster") {
  TestNet net;
  net.add_link(wire_of(40e6, Duration::millis(15)));
  TestLink& slow = net.add_link(wire_of(0.3e6, Duration::millis(15)));
  slow.to_client.queue_bytes = slow.to_server.queue_bytes = 20'000;
  connect(net);
  std::multiset<uint32_t> came;
  uint32_t next = 0;
  net.on_client_packet = [&](ByteSpan p) { came.insert(marker_of(p)); };
  const auto download = [&](Duration d, int each_ms) {
    const Time end = net.now + d;
    while (net.now < end) {
      for (int i = 0; i < each_ms; ++i) net.send_to_client(make_packet(net.server_ip, net.client_ip, next++, 1300));
      net.run(Duration::millis(1));
    }
  };
  const auto on_slow = [&] { return net.server->sessions(net.now)[0].paths[1]; };
  download(Duration::seconds(3), 5);  // 52 Mbit/s: more than the fast link carries
  const PathInfo before = on_slow();
  CHECK(before.copied_packets > 10);
  download(Duration::seconds(3), 5);
  CHECK(on_slow().copied_packets > before.copied_packets);
  // Nothing but copies went there (acks and probes aside), and each packet came once.
  const PathInfo after = on_slow();
  CHECK(after.sent_bytes - before.sent_bytes <= (after.copied_bytes - before.copied_bytes) * 1.1);
  CHECK(came.size() > 0);
  CHECK(std::adjacent_find(came.begin(), came.end()) == came.end());
  slow.to_client.rate_bps = slow.to_server.rate_bps = 20e6;
  download(Duration::seconds(5), 5);
  const PathInfo joined = on_slow();
  download(Duration::seconds(2), 5);
  CHECK(on_slow().sent_bytes - joined.sent_bytes > 2'000'000);
  CHECK(on_slow().copied_packets - joined.copied_packets < 100);
}

// A download of a window that is spent, over a link of 40 Mbit/s and a lossy one of 30: 400 packets each 400 ms, and nothing until
// they have come.
struct Bursts {
  explicit Bursts(Duration quick_delay) {
    net.add_link(wire_of(40e6, quick_delay));
    net.add_link(wire_of(30e6, Duration::millis(40), 0.02));
    connect(net);
    net.on_client_packet = [this](ByteSpan p) { came.insert(marker_of(p)); };
  }
  void run(int bursts) {
    for (int i = 0; i < bursts; ++i) {
      const Time begin = net.now;
      for (int k = 0; k < 400; ++k) net.send_to_client(make_packet(net.server_ip, net.client_ip, next++, 1300));
      while (came.size() < next && net.now < begin + Duration::seconds(2)) net.run(Duration::millis(1));
      took.push_back(net.now - begin);
      net.run(Duration::millis(400));
    }
  }
  size_t longer_than(Duration d) const {
    return static_cast<size_t>(std::count_if(took.begin(), took.end(), [&](Duration t) { return t > d; }));
  }

  TestNet net;
  std::multiset<uint32_t> came;
  std::vector<Duration> took;  // until all of a burst had come
  uint32_t next = 0;
};

TEST_CASE("what a much slower link lost at the end of a burst, an idle quick one repairs after one round trip") {
  Bursts bursts(Duration::millis(5));
  bursts.run(60);
  // A burst takes 110 to 135 ms, with a repair up to 160; when the slow link's own probe timeout had to tell of the loss, 260 to 300.
  INFO("over 200 ms: " << bursts.longer_than(Duration::millis(200)) << " of " << bursts.took.size());
  CHECK(bursts.longer_than(Duration::millis(200)) == 0);
  CHECK(std::adjacent_find(bursts.came.begin(), bursts.came.end()) == bursts.came.end());
}

TEST_CASE("early repairs cost no more than their share, however late everything is") {
  Bursts bursts(Duration::millis(5));
  Wire& slow = bursts.net.links[1]->to_client;
  slow.rate_bps = 100e6;
  for (int i = 0; i < 120; ++i) {
    slow.delay = Duration::millis(i % 2 ? 40 : 250);  // what goes there is overdue in each second burst
    bursts.run(1);
  }
  const Copied c = copied(bursts.net);
  INFO("copies of " << c.bytes << " bytes, of " << c.sent_bytes);
  CHECK(c.bytes > kEarlyRepairBurst);
  CHECK(static_cast<double>(c.bytes) <= static_cast<double>(c.sent_bytes) * kEarlyRepairShare + kEarlyRepairBurst);
}

TEST_CASE("a link that is not much slower is not repaired early") {
  Bursts bursts(Duration::millis(20));
  bursts.run(20);
  CHECK(copied(bursts.net).packets == 0);
}

TEST_CASE("a link that comes in the middle of a download is used at once, before anything is known of it") {
  TestNet net;
  net.add_link(wire_of(40e6, Duration::millis(15)));
  connect(net);
  uint32_t next = 0;
  const auto download = [&](Duration d) {
    const Time end = net.now + d;
    while (net.now < end) {
      for (int i = 0; i < 5; ++i) net.send_to_client(make_packet(net.server_ip, net.client_ip, next++, 1300));
      net.run(Duration::millis(1));
    }
  };
  download(Duration::seconds(2));
  net.up(net.add_link(wire_of(20e6, Duration::millis(30))));
  download(Duration::millis(400));
  const PathInfo joined = net.server->sessions(net.now)[0].paths[1];
  CHECK(joined.sent_bytes > 200'000);
  CHECK(joined.copied_packets == 0);
}

}  // namespace hawser::test
