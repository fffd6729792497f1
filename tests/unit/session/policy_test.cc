// The client's wishes for scheduler and controller: obeyed by both ends, on paths that exist already, while data flows.
#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/unit/session/test_net.h"

namespace hawser::test {
namespace {

using wire::CongestionKind;
using wire::Mode;
using wire::SchedulerKind;

// A backlogged flow towards the client; what arrives, Mbit/s.
double flood_down(TestNet& net, double rate_bps, Duration d, uint32_t& marker) {
  const Duration gap = BitRate{rate_bps}.time_for(1400);
  const Time end = net.now + d;
  const size_t before = net.at_client.size();
  for (Time t = net.now; t < end; t += gap) {
    net.run_until(t);
    net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 1400));
  }
  return static_cast<double>(net.at_client.size() - before) * 1400 * 8 / d.to_seconds() / 1e6;
}

bool ascending(const std::vector<uint32_t>& v) {
  return std::is_sorted(v.begin(), v.end());
}

}  // namespace

TEST_CASE("each controller runs where the client asks for it: at both ends, on every path, changed under load") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(30e6, Duration::millis(25)));
  net.client->set_policy(Mode::automatic, SchedulerKind::automatic, CongestionKind::reno, net.now);
  net.up_all();
  net.run(Duration::millis(500));
  uint32_t marker = 0;
  for (const auto kind : {CongestionKind::reno, CongestionKind::lia, CongestionKind::olia, CongestionKind::balia,
                          CongestionKind::cubic, CongestionKind::wvegas, CongestionKind::automatic}) {
    INFO("controller " << static_cast<int>(kind));
    net.client->set_policy(Mode::automatic, SchedulerKind::automatic, kind, net.now);
    net.run(Duration::millis(200));
    CHECK(net.client->sessions(net.now)[0].congestion == kind);
    CHECK(net.server->sessions(net.now)[0].congestion == kind);
    flood_down(net, 80e6, Duration::seconds(3), marker);
    const double mbps = flood_down(net, 80e6, Duration::seconds(4), marker);
    INFO("Mbit/s " << mbps);
    CHECK(mbps > 42);  // 47.5 is the most; each of them fills clean links with queues of two and one BDP
    CHECK(net.client->sessions(net.now)[0].drops[DropReason::resequencer_late] == 0);
  }
  CHECK(ascending(net.at_client));
}

TEST_CASE("what the path had learnt is not lost when its controller is changed under load") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(50)));
  net.client->set_policy(Mode::automatic, SchedulerKind::automatic, CongestionKind::cubic, net.now);
  net.up_all();
  net.run(Duration::millis(500));
  uint32_t marker = 0;
  flood_down(net, 40e6, Duration::seconds(5), marker);
  const uint64_t window = net.server->sessions(net.now)[0].paths[0].congestion_window;
  net.client->set_policy(Mode::automatic, SchedulerKind::automatic, CongestionKind::lia, net.now);
  flood_down(net, 40e6, Duration::millis(120), marker);
  const SessionInfo info = net.server->sessions(net.now)[0];
  CHECK(info.congestion == CongestionKind::lia);
  CHECK(info.paths[0].congestion_window > window / 2 - 5'000);
  CHECK(flood_down(net, 40e6, Duration::seconds(1), marker) > 15);
}

TEST_CASE("each scheduler runs where the client asks for it, changed under load: both links filled, order kept") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(30e6, Duration::millis(25)));
  net.up_all();
  net.run(Duration::millis(500));
  uint32_t marker = 0;
  for (const auto kind : {SchedulerKind::min_rtt, SchedulerKind::blest, SchedulerKind::ecf, SchedulerKind::round_robin,
                          SchedulerKind::queue_length, SchedulerKind::service_time, SchedulerKind::earliest}) {
    INFO("scheduler " << static_cast<int>(kind));
    net.client->set_policy(Mode::automatic, kind, CongestionKind::automatic, net.now);
    net.run(Duration::millis(200));
    CHECK(net.client->sessions(net.now)[0].scheduler == kind);
    CHECK(net.server->sessions(net.now)[0].scheduler == kind);
    flood_down(net, 80e6, Duration::seconds(2), marker);
    const double mbps = flood_down(net, 80e6, Duration::seconds(4), marker);
    INFO("Mbit/s " << mbps);
    CHECK(mbps > 43);  // 47.5 is the most
  }
  CHECK(ascending(net.at_client));
}

TEST_CASE("redundant: every packet goes over both links, and none is delivered twice") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(25)));
  net.client->set_policy(Mode::redundant, SchedulerKind::automatic, CongestionKind::automatic, net.now);
  net.up_all();
  net.run(Duration::millis(500));
  CHECK(net.server->sessions(net.now)[0].scheduler == SchedulerKind::redundant);
  uint32_t marker = 0;
  SECTION("a slow stream: twice as many bytes on the wire, each packet once out of the tunnel") {
    const auto before = net.server->sessions(net.now)[0];
    flood_down(net, 2e6, Duration::seconds(4), marker);
    net.run(Duration::millis(500));
    CHECK(net.at_client.size() == marker);
    CHECK(ascending(net.at_client));
    const auto after = net.server->sessions(net.now)[0];
    for (size_t i = 0; i < 2; ++i) {
      const auto sent = after.paths[i].sent_bytes - before.paths[i].sent_bytes;
      CHECK(sent > marker * 1400ull);
      CHECK(sent < marker * 1400ull * 115 / 100);
    }
  }
  SECTION("a lossy stream: what one link loses the other brings, without waiting for a repair") {
    for (auto& l : net.links) l->to_client.loss = 0.1;
    std::vector<Time> sent_at;
    int late = 0;
    net.on_client_packet = [&](ByteSpan p) { late += net.now - sent_at[marker_of(p)] > Duration::millis(35); };
    for (int i = 0; i < 2000; ++i) {
      sent_at.push_back(net.now);
      net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 300));
      net.run(Duration::millis(5));
    }
    net.run(Duration::seconds(1));
    CHECK(net.at_client.size() == marker);
    INFO("late " << late);
    CHECK(late < 60);  // both copies lost: 1 %, and those behind them
  }
  SECTION("a flood: the fastest link's rate, as one link would carry it") {
    flood_down(net, 60e6, Duration::seconds(2), marker);
    const double mbps = flood_down(net, 60e6, Duration::seconds(4), marker);
    INFO("Mbit/s " << mbps);
    CHECK(mbps > 16.5);
    CHECK(mbps < 21);
    CHECK(ascending(net.at_client));
  }
  SECTION("a link dies under load: not one packet is late") {
    Time last = net.now;
    Duration longest;
    flood_down(net, 8e6, Duration::seconds(2), marker);
    net.on_client_packet = [&](ByteSpan) {
      longest = std::max(longest, net.now - last);
      last = net.now;
    };
    last = net.now;
    net.links[0]->to_client.blackhole = net.links[0]->to_server.blackhole = true;
    const size_t before = net.at_client.size();
    const uint32_t first = marker;
    flood_down(net, 8e6, Duration::seconds(3), marker);
    net.run(Duration::millis(500));
    INFO("longest gap " << longest.to_millis() << " ms");
    CHECK(longest < Duration::millis(40));  // the difference of the two delays, and the queue behind them
    CHECK(net.at_client.size() - before >= marker - first);
    CHECK(ascending(net.at_client));
  }
  SECTION("the wish is taken back under load: nothing is lost, and both links carry different packets again") {
    flood_down(net, 60e6, Duration::seconds(2), marker);
    net.client->set_policy(Mode::automatic, SchedulerKind::automatic, CongestionKind::automatic, net.now);
    flood_down(net, 60e6, Duration::seconds(2), marker);
    const double mbps = flood_down(net, 60e6, Duration::seconds(3), marker);
    CHECK(mbps > 34);
    CHECK(ascending(net.at_client));
  }
}

TEST_CASE("status says which paths are believed to share a bottleneck") {
  TestNet net;
  for (const uint32_t gateway : {7u, 7u, 9u})
    net.add_link(wire_of(20e6, Duration::millis(10))).up.gateway_group = gateway;
  net.up_all();
  net.run(Duration::millis(500));
  const auto paths = net.client->sessions(net.now)[0].paths;
  REQUIRE(paths.size() == 3);
  int groups[3];
  for (const PathInfo& p : paths) groups[p.link.value - 1] = p.bottleneck_group;
  CHECK(groups[0] >= 0);
  CHECK(groups[0] == groups[1]);
  CHECK(groups[0] != groups[2]);
  // The server sees three addresses and knows no gateways.
  const auto at_server = net.server->sessions(net.now)[0].paths;
  REQUIRE(at_server.size() == 3);
  CHECK(at_server[0].bottleneck_group != at_server[1].bottleneck_group);
}

TEST_CASE("the server takes paths from one public address for one link's until it knows better") {
  TestNet net;
  for (int i = 0; i < 2; ++i)
    net.add_link(wire_of(20e6, Duration::millis(10))).up.local.ip = IpAddress::v4(192, 0, 2, 77);
  net.up_all();
  net.run(Duration::millis(500));
  const auto at_server = net.server->sessions(net.now)[0].paths;
  REQUIRE(at_server.size() == 2);
  CHECK(at_server[0].bottleneck_group == at_server[1].bottleneck_group);
}

}  // namespace hawser::test
