// What happens to traffic when a path dies: how soon it is noticed, what is sent again, in which order.
#include "common/session/repair_queue.h"
#include "tests/unit/session/paths_support.h"

namespace hawser::test {
namespace {

// The shorter of two long links, which has carried packets towards the client for two seconds.
TestLink& busy_long_link(TestNet& net, uint32_t& marker) {
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(70)));
  net.add_link(wire_of(20e6, Duration::millis(90)));
  connect(net);
  trickle_down(net, Duration::seconds(2), marker);
  return a;
}

// So many packets towards the server.
void trickle_up(TestNet& net, int packets, Duration apart, uint32_t& marker) {
  for (int i = 0; i < packets; ++i) {
    net.send_to_server(make_packet(net.client_ip, net.server_ip, marker++, 600));
    net.run(apart);
  }
}

}  // namespace

TEST_CASE("a busy path is suspect two round trips after what was not answered, not after the last answer") {
  TestNet net(5);
  uint32_t marker = 0;
  TestLink& a = busy_long_link(net, marker);
  REQUIRE(path_on(net, true, a).state == PathState::active);
  // What came before is still being answered for a round trip.
  a.to_client.blackhole = true;
  trickle_down(net, Duration::millis(270), marker);
  CHECK(path_on(net, true, a).state == PathState::active);
  trickle_down(net, Duration::millis(70), marker);
  CHECK(path_on(net, true, a).state == PathState::suspect);
  net.run(Duration::seconds(1));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("a pause of less than a round trip makes no path suspect") {
  TestNet net(5);
  uint32_t marker = 0;
  busy_long_link(net, marker);
  net.server_events.clear();
  // Acks alone, cross-acks too: what they would have said comes with the next.
  for (const auto& link : net.links) link->to_server.blackhole = true;
  trickle_down(net, Duration::millis(130), marker);
  for (const auto& link : net.links) link->to_server.blackhole = false;
  trickle_down(net, Duration::seconds(1), marker);
  CHECK(net.count<PathChanged>(net.server_events) == 0);
}

TEST_CASE("the end of a burst is lost, again and again: the path works") {
  for (const int64_t delay : {15, 30, 70}) {
    TestNet net(5);
    net.add_link(wire_of(20e6, Duration::millis(delay)));
    connect(net);
    uint32_t marker = 0;
    trickle_down(net, Duration::seconds(1), marker);
    net.run(Duration::seconds(1));
    net.server_events.clear();
    int large = 0;
    net.tap = [&](bool to_server, std::vector<uint8_t>& bytes, TestLink&) { return to_server || bytes.size() < 500 || ++large % 6 != 5; };
    for (int burst = 0; burst < 40; ++burst) {
      for (int i = 0; i < 5; ++i) {
        net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 600));
        net.run(Duration::millis(2));
      }
      net.run(Duration::millis(500));
    }
    CAPTURE(delay);
    CHECK(large > 200);
    CHECK(net.count<PathChanged>(net.server_events) == 0);
    CHECK(net.at_client.size() == marker);
  }
}

TEST_CASE("a path that is gone does not come back by an answer that was under way") {
  for (int64_t later = 0; later < 1'000; later += 50) {
    TestNet net(5);
    TestLink& a = net.add_link(wire_of(20e6, Duration::millis(150)));
    net.add_link(wire_of(20e6, Duration::millis(10)));
    connect(net);
    uint32_t marker = 0;
    trickle_down(net, Duration::millis(500), marker);
    a.to_client.blackhole = a.to_server.blackhole = true;
    trickle_down(net, Duration::seconds(4), marker);
    REQUIRE(path_on(net, true, a).state == PathState::lost);
    a.to_client.blackhole = a.to_server.blackhole = false;
    trickle_down(net, Duration::millis(later), marker);
    net.client->on_path_event(LinkDown{a.up.link}, net.now);
    net.run(Duration::millis(50));
    REQUIRE(net.server->sessions(net.now)[0].paths.size() == 1);
    net.server_events.clear();
    trickle_down(net, Duration::seconds(2), marker);
    CHECK(net.count<PathChanged>(net.server_events) == 0);
  }
}

TEST_CASE("cross-acks of a path that is gone take an active path, not a shorter one that stands by") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(50)));
  net.add_link(wire_of(20e6, Duration::millis(60)));
  TestLink& backup = net.add_link(wire_of(20e6, Duration::millis(10)));
  backup.up.priority = wire::PathPriority::backup;
  connect(net);
  uint32_t marker = 0;
  trickle_up(net, 500, Duration::millis(2), marker);
  a.down = true;
  net.client->on_path_event(LinkDown{a.up.link}, net.now);
  const uint64_t before = backup.to_client.sent;
  trickle_up(net, 100, Duration::millis(2), marker);
  CHECK(backup.to_client.sent - before <= 2);  // that the PATH_CLOSE came
  net.run(Duration::seconds(1));
  CHECK(net.at_server.size() == marker);
}

TEST_CASE("a link taken away: what it had delivered is not sent again, what is under way still counts") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(50)));
  TestLink& b = net.add_link(wire_of(500e3, Duration::millis(10)));
  b.up.priority = wire::PathPriority::backup;
  connect(net);
  uint32_t marker = 0;
  trickle_up(net, 1'000, Duration::millis(1), marker);
  a.down = true;
  net.client->on_path_event(LinkDown{a.up.link}, net.now);
  net.run(Duration::seconds(2));
  REQUIRE(net.at_server.size() == 1'000);
  CHECK(std::is_sorted(net.at_server.begin(), net.at_server.end()));
  CHECK(path_on(net, false, b).reinjected_packets < 40);  // of the 100 that were not acknowledged
  CHECK(net.server->sessions(net.now)[0].drops[DropReason::bad_path] == 0);
  CHECK(net.server->sessions(net.now)[0].paths.size() == 1);
}

TEST_CASE("repairs: calls before downloads, and of each the oldest first, whenever it was lost") {
  SegmentPool pool;
  RepairQueue q;
  const auto push = [&](uint64_t seq, int64_t sent_ms, TrafficClass traffic) {
    SegmentRef s = pool.make();
    s->seq = LaneSeq{seq};
    s->first_sent = Time{sent_ms * 1'000'000};
    s->packet_class.traffic = traffic;
    q.push(std::move(s));
  };
  for (uint64_t i = 10; i < 20; ++i) push(i, 100 + static_cast<int64_t>(i / 2), TrafficClass::bulk);
  push(3, 50, TrafficClass::bulk);  // a repair that was lost in its turn
  push(99, 500, TrafficClass::interactive);
  push(15, 99, TrafficClass::bulk);
  std::vector<uint64_t> got;
  while (!q.empty()) {
    const uint64_t front = q.front()->seq.value;
    got.push_back(q.pop()->seq.value);
    CHECK(got.back() == front);
  }
  CHECK(got == std::vector<uint64_t>{99, 3, 15, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19});
  CHECK(pool.in_use() == 0);
}

}  // namespace hawser::test
