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

void talk_and_load(TestNet& net, Call& call, double load_bps, int packets, uint32_t& marker) {
  for (int i = 0; i < packets; ++i) {
    call.say();
    flood_down(net, load_bps, Duration::millis(20), marker);
  }
}

}  // namespace

TEST_CASE("a call beside a download on a slow link stands behind half a datagram") {
  TestNet net(3);
  net.add_link(wire_of(2e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  Sizes sizes(net);
  uint32_t marker = 0;
  flood_down(net, 3e6, Duration::seconds(5), marker);
  CHECK(sizes.halves < sizes.whole / 50);  // nobody calls: no packet is cut
  talk_and_load(net, call, 3e6, 100, marker);
  sizes.clear();
  call.delays.clear();
  net.at_client.clear();
  talk_and_load(net, call, 3e6, 500, marker);
  CHECK(sizes.whole == 0);
  CHECK(sizes.halves > 1000);
  INFO("p50 " << call.quantile(.5).to_millis() << " p95 " << call.quantile(.95).to_millis() << " p99 " << call.quantile(.99).to_millis() << " ms");
  CHECK(call.delays.size() >= 499);
  CHECK(call.quantile(.99) < Duration::millis(27));  // behind whole datagrams 29
  const double mbps = static_cast<double>(net.at_client.size() - call.delays.size()) * 1400 * 8 / 10e6;
  INFO("Mbit/s " << mbps);
  CHECK(mbps > 1.55);
  // The call is over.
  flood_down(net, 3e6, Duration::seconds(2), marker);
  sizes.clear();
  flood_down(net, 3e6, Duration::seconds(2), marker);
  CHECK(sizes.halves < sizes.whole / 50);
}

TEST_CASE("on a quick link a call does not have the download cut") {
  TestNet net(3);
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  uint32_t marker = 0;
  talk_and_load(net, call, 30e6, 100, marker);
  Sizes sizes(net);
  talk_and_load(net, call, 30e6, 100, marker);
  CHECK(sizes.halves < sizes.whole / 50);
}

// Either half may be lost, the link may die between the two: the packet is repaired whole, and nothing is delivered in pieces.
TEST_CASE("halves that are lost, and a link that dies between two of them, leave no gap") {
  TestNet net(4);
  net.add_link(wire_of(2e6, Duration::millis(10), .05));
  net.add_link(wire_of(1.5e6, Duration::millis(20), .05));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  Bulk bulk(net);
  Sizes sizes(net);
  uint32_t marker = 0;
  talk_and_load(net, call, 4e6, 300, marker);
  CHECK(sizes.halves > 1000);
  net.links[0]->down = true;
  net.client->on_path_event(LinkDown{net.links[0]->up.link}, net.now);
  talk_and_load(net, call, .5e6, 100, marker);
  net.run(Duration::seconds(15));
  bulk.check_whole(net, marker);
}

// A half waits while its link is suspect, or stands by: the packet is repaired whole.
TEST_CASE("a link that falls silent for a moment, with half of a packet still to go, leaves no gap") {
  TestNet net(5);
  net.add_link(wire_of(2e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  Bulk bulk(net);
  Sizes sizes(net);
  uint32_t marker = 0;
  for (int i = 0; i < 40; ++i) {
    talk_and_load(net, call, 2.4e6, 50, marker);
    net.links[0]->to_client.blackhole = net.links[0]->to_server.blackhole = true;
    talk_and_load(net, call, 1e5, 20, marker);
    net.links[0]->to_client.blackhole = net.links[0]->to_server.blackhole = false;
  }
  CHECK(sizes.halves > 1000);
  net.run(Duration::seconds(10));
  bulk.check_whole(net, marker);
}

TEST_CASE("a path that stands by from now on, with half of a packet still to go, leaves no gap") {
  TestNet net(6);
  net.add_link(wire_of(2e6, Duration::millis(10)));
  net.add_link(wire_of(2e6, Duration::millis(12)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  Bulk bulk(net);
  uint32_t marker = 0;
  for (int i = 0; i < 40; ++i) {
    talk_and_load(net, call, 4.6e6, 30, marker);
    const LinkId link = net.links[static_cast<size_t>(i % 2)]->up.link;
    net.client->on_path_event(LinkPriority{link, wire::PathPriority::backup}, net.now);
    talk_and_load(net, call, 1e6, 20, marker);
    net.client->on_path_event(LinkPriority{link, wire::PathPriority::automatic}, net.now);
  }
  net.run(Duration::seconds(10));
  bulk.check_whole(net, marker);
}

// A video call's frames are urgent and large; DNS answers may be.
TEST_CASE("large urgent packets beside a download on a slow link go whole, and all arrive") {
  TestNet net(7);
  net.add_link(wire_of(2e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  size_t frames = 0, urgent = 0;
  Bulk bulk(net);
  const auto before = net.on_client_packet;
  net.on_client_packet = [&](ByteSpan p) {
    urgent += p.size() == 1200;
    before(p);
  };
  uint32_t marker = 0;
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 3; ++k) {
      auto frame = make_packet(net.server_ip, net.client_ip, 0, 1200, 6000);
      frame[1] = 46 << 2;
      net.send_to_client(frame);
      ++frames;
    }
    flood_down(net, 1.2e6, Duration::millis(50), marker);
  }
  net.run(Duration::seconds(4));
  const DropCounters drops = net.server->sessions(net.now)[0].drops;
  INFO("queue took " << drops[DropReason::ingress_aqm] << " and " << drops[DropReason::ingress_full]);
  CHECK(urgent + bulk.came.size() + drops[DropReason::ingress_aqm] + drops[DropReason::ingress_full] == frames + marker);
  CHECK(std::is_sorted(bulk.came.begin(), bulk.came.end()));
}

}  // namespace hawser::test
