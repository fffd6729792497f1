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
