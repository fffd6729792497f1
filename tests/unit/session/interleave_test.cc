// Bulk on a slow link goes in halves while a call goes on, so that the call stands behind half a datagram.
#include <catch2/catch.hpp>

#include "tests/unit/session/traffic.h"

namespace hawser::test {
namespace {

constexpr size_t kHalf = 760;  // bytes of a datagram with half of a packet of 1400 in it, and some

// What a link carries to the client: how many datagrams were longer than half a packet's, and how many not (acks aside).
struct Sizes {
  explicit Sizes(TestNet& net) {
    net.tap = [this](bool up, std::vector<uint8_t>& bytes, TestLink&) {
      if (!up && bytes.size() > 400) ++(bytes.size() > kHalf ? whole : halves);
      return true;
    };
  }
  void clear() { whole = halves = 0; }
  size_t whole = 0, halves = 0;
};

// What came of the flood, in the order in which it came.
struct Bulk {
  explicit Bulk(TestNet& net) {
    net.on_client_packet = [this, before = net.on_client_packet](ByteSpan p) {
      if (p.size() == 1400) came.push_back(marker_of(p));
      if (before) before(p);
    };
  }
  // Of `sent` packets all but those that the queue took came, once and in order.
  void check_whole(const TestNet& net, uint32_t sent) const {
    const DropCounters drops = net.server->sessions(net.now)[0].drops;
    CHECK(std::is_sorted(came.begin(), came.end()));
    CHECK(std::adjacent_find(came.begin(), came.end()) == came.end());
    CHECK(came.size() + drops[DropReason::ingress_aqm] + drops[DropReason::ingress_full] == sent);
  }
  std::vector<uint32_t> came;
};

// Two engines over these links, a call and a flood to the client, and what came of both.
struct SlowNet : TestNet {
  SlowNet(uint64_t seed, std::initializer_list<Wire> wires) : TestNet(seed) {
    for (const Wire& w : wires) add_link(w);
    up_all();
    run(Duration::millis(300));
  }
  void flood(double load_bps, Duration d) { flood_down(*this, load_bps, d, marker); }
  void talk_and_load(double load_bps, int packets) {
    for (int i = 0; i < packets; ++i) {
      call.say();
      flood(load_bps, Duration::millis(20));
    }
  }
  // After what still waits has gone: all of the flood came.
  void check_whole() {
    run(Duration::seconds(15));
    bulk.check_whole(*this, marker);
  }
  uint32_t marker = 0;  // of the flood's next packet
  Call call{*this};
  Bulk bulk{*this};
  Sizes sizes{*this};
};

}  // namespace

TEST_CASE("a call beside a download on a slow link stands behind half a datagram") {
  SlowNet net(3, {wire_of(2e6, Duration::millis(10))});
  net.flood(3e6, Duration::seconds(5));
  CHECK(net.sizes.halves < net.sizes.whole / 50);  // nobody calls: no packet is cut
  net.talk_and_load(3e6, 100);
  net.sizes.clear();
  net.call.delays.clear();
  net.bulk.came.clear();
  net.talk_and_load(3e6, 500);
  Call& call = net.call;
  CHECK(net.sizes.whole == 0);
  CHECK(net.sizes.halves > 1000);
  INFO("p50 " << call.quantile(.5).to_millis() << " p95 " << call.quantile(.95).to_millis() << " p99 " << call.quantile(.99).to_millis() << " ms");
  CHECK(call.delays.size() >= 499);
  CHECK(call.quantile(.99) < Duration::millis(27));  // behind whole datagrams 29
  const double mbps = static_cast<double>(net.bulk.came.size()) * 1400 * 8 / 10e6;
  INFO("Mbit/s " << mbps);
  CHECK(mbps > 1.55);
  // The call is over.
  net.flood(3e6, Duration::seconds(2));
  net.sizes.clear();
  net.flood(3e6, Duration::seconds(2));
  CHECK(net.sizes.halves < net.sizes.whole / 50);
}

TEST_CASE("on a quick link a call does not have the download cut") {
  SlowNet net(3, {wire_of(20e6, Duration::millis(10))});
  net.talk_and_load(30e6, 100);
  net.sizes.clear();
  net.talk_and_load(30e6, 100);
  CHECK(net.sizes.whole > 1000);
  CHECK(net.sizes.halves < net.sizes.whole / 50);
}

// Either half may be lost, the link may die between the two: the packet is repaired whole, and nothing is delivered in pieces.
TEST_CASE("halves that are lost, and a link that dies between two of them, leave no gap") {
  SlowNet net(4, {wire_of(2e6, Duration::millis(10), .05), wire_of(1.5e6, Duration::millis(20), .05)});
  net.talk_and_load(4e6, 300);
  CHECK(net.sizes.halves > 1000);
  net.links[0]->down = true;
  net.client->on_path_event(LinkDown{net.links[0]->up.link}, net.now);
  net.talk_and_load(.5e6, 100);
  net.check_whole();
}

// A half waits while its link is suspect, or stands by: the packet is repaired whole.
TEST_CASE("a link that falls silent for a moment, with half of a packet still to go, leaves no gap") {
  SlowNet net(5, {wire_of(2e6, Duration::millis(10))});
  for (int i = 0; i < 40; ++i) {
    net.talk_and_load(2.4e6, 50);
    net.links[0]->to_client.blackhole = net.links[0]->to_server.blackhole = true;
    net.talk_and_load(1e5, 20);
    net.links[0]->to_client.blackhole = net.links[0]->to_server.blackhole = false;
  }
  CHECK(net.sizes.halves > 1000);
  net.check_whole();
}

TEST_CASE("a path that stands by from now on, with half of a packet still to go, leaves no gap") {
  SlowNet net(6, {wire_of(2e6, Duration::millis(10)), wire_of(2e6, Duration::millis(12))});
  for (int i = 0; i < 40; ++i) {
    const LinkId link = net.links[static_cast<size_t>(i % 2)]->up.link;
    net.talk_and_load(4.6e6, 30);
    net.client->on_path_event(LinkPriority{link, wire::PathPriority::backup}, net.now);
    net.talk_and_load(1e6, 20);
    net.client->on_path_event(LinkPriority{link, wire::PathPriority::automatic}, net.now);
  }
  CHECK(net.sizes.halves > 1000);
  net.check_whole();
}

// A video call's frames are urgent and large; DNS answers may be.
TEST_CASE("large urgent packets beside a download on a slow link go whole, and all arrive") {
  SlowNet net(7, {wire_of(2e6, Duration::millis(10))});
  size_t frames = 0, urgent = 0;
  const auto before = net.on_client_packet;
  net.on_client_packet = [&](ByteSpan p) {
    urgent += p.size() == 1200;
    before(p);
  };
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 3; ++k) {
      auto frame = make_packet(net.server_ip, net.client_ip, 0, 1200, 6000);
      frame[1] = 46 << 2;
      net.send_to_client(frame);
      ++frames;
    }
    net.flood(1.2e6, Duration::millis(50));
  }
  net.run(Duration::seconds(4));
  const DropCounters drops = net.server->sessions(net.now)[0].drops;
  INFO("queue took " << drops[DropReason::ingress_aqm] << " and " << drops[DropReason::ingress_full]);
  CHECK(urgent + net.bulk.came.size() + drops[DropReason::ingress_aqm] + drops[DropReason::ingress_full] == frames + net.marker);
  CHECK(std::is_sorted(net.bulk.came.begin(), net.bulk.came.end()));
}

}  // namespace hawser::test
