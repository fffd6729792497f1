// Faults, judged in virtual time: one direction dead, loss, delay, flapping, black holes for full-size datagrams, a server that
// moves, sleep, and what idling costs.
#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/unit/session/paths_support.h"

namespace hawser::test {

TEST_CASE("only the way up is dead: the client avoids it, downloads go on there") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(30)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  a.to_server.blackhole = true;
  for (int i = 0; i < 40; ++i) {  // something to notice it by
    net.send_to_server(make_packet(net.client_ip, net.server_ip, static_cast<uint32_t>(i)));
    trickle_down(net, Duration::millis(25), marker);
  }
  net.run(Duration::millis(300));
  CHECK(net.at_server.size() == 40);
  CHECK(path_on(net, false, a).state == PathState::lost);
  CHECK(path_on(net, true, a).state == PathState::active);
  const uint64_t before = path_on(net, true, a).sent_bytes;
  trickle_down(net, Duration::seconds(2), marker);
  CHECK(path_on(net, true, a).sent_bytes - before > 200'000);
  net.run(Duration::millis(500));
  CHECK(net.at_client.size() == marker);
  // And when the way up works again, so does the path.
  a.to_server.blackhole = false;
  trickle_down(net, Duration::seconds(1), marker);
  CHECK(path_on(net, false, a).state == PathState::active);
}

TEST_CASE("both ways dead: the server does not go by the client's word alone, and finds out soon") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(30)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  a.to_server.blackhole = a.to_client.blackhole = true;
  for (int i = 0; i < 60; ++i) {
    net.send_to_server(make_packet(net.client_ip, net.server_ip, static_cast<uint32_t>(i)));
    net.run(Duration::millis(10));
  }
  net.run(Duration::millis(100));
  CHECK(net.at_server.size() == 60);
  CHECK(path_on(net, true, a).state == PathState::lost);
}

TEST_CASE("a path of rising loss is ejected before it dies, and taken back when it is clean") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(30)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  a.to_client.loss = 0.5;
  trickle_down(net, Duration::seconds(3), marker);
  CHECK(path_on(net, true, a).state == PathState::standby);
  CHECK(path_on(net, true, a).reason == PathReason::lossy);
  CHECK(path_on(net, false, a).state == PathState::active);  // the other direction is its own affair
  const uint64_t before = path_on(net, true, a).sent_bytes;
  trickle_down(net, Duration::seconds(2), marker);
  CHECK(path_on(net, true, a).sent_bytes - before < 12'000);  // probes only
  a.to_client.loss = 0.2;  // between the thresholds: nothing changes
  trickle_down(net, Duration::seconds(4), marker);
  CHECK(path_on(net, true, a).reason == PathReason::lossy);
  a.to_client.loss = 0;
  trickle_down(net, Duration::seconds(4), marker);
  CHECK(path_on(net, true, a).state == PathState::active);
  net.run(Duration::millis(500));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("the only path is used however lossy or slow it is") {
  TwoLinks lab;
  auto& [net, a, b, marker] = lab;
  a.to_client.loss = 0.5;
  trickle_down(net, Duration::seconds(3), marker);
  CHECK(path_on(net, true, a).reason == PathReason::lossy);
  b.down = true;
  net.client->on_path_event(LinkDown{b.up.link}, net.now);
  net.run(Duration::millis(200));
  net.at_client.clear();
  marker = 0;
  trickle_down(net, Duration::seconds(2), marker);
  net.run(Duration::millis(500));
  CHECK(net.at_client.size() > marker * 9 / 10);
}

TEST_CASE("a path of a second's delay is left alone until it is prompt again") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(20)));
  net.add_link(wire_of(20e6, Duration::millis(30)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  a.to_client.delay = a.to_server.delay = Duration::millis(500);
  trickle_down(net, Duration::seconds(8), marker);
  CHECK(path_on(net, true, a).state == PathState::standby);
  CHECK(path_on(net, true, a).reason == PathReason::slow);
  a.to_client.delay = a.to_server.delay = Duration::millis(20);
  trickle_down(net, Duration::seconds(6), marker);
  CHECK(path_on(net, true, a).state == PathState::active);
  net.run(Duration::seconds(2));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("flapping costs a growing time on the bench; losing a link now and then costs nothing") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(30)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  const auto lose_and_find = [&] {
    a.to_client.blackhole = a.to_server.blackhole = true;
    trickle_down(net, Duration::seconds(1), marker);
    a.to_client.blackhole = a.to_server.blackhole = false;
    trickle_down(net, Duration::seconds(1), marker);
  };
  lose_and_find();
  CHECK(path_on(net, false, a).state == PathState::active);
  Duration before;
  for (int i = 0; i < 8; ++i) lose_and_find();
  for (int i = 0; i < 2; ++i) {
    CHECK(path_on(net, false, a).state == PathState::standby);
    CHECK(path_on(net, false, a).reason == PathReason::flapping);
    CHECK(path_on(net, true, a).state == PathState::standby);  // the server obeys
    const Time since = net.now;
    while (path_on(net, false, a).state == PathState::standby && net.now - since < Duration::seconds(40)) {
      trickle_down(net, Duration::millis(500), marker);
    }
    const Duration penalty = net.now - since;
    if (i == 0) CHECK(penalty > Duration::seconds(3));
    before = penalty;
    for (int k = 0; k < 4; ++k) lose_and_find();
  }
  CHECK(before > Duration::seconds(3));
  trickle_down(net, Duration::seconds(90), marker);
  lose_and_find();  // long ago: forgiven
  CHECK(path_on(net, false, a).state == PathState::active);
  net.run(Duration::seconds(2));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("that a link is gone is told several times, with the last acks") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(20)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  int dropped = 0;
  net.tap = [&](bool up, std::vector<uint8_t>&, TestLink&) { return !up || ++dropped > 1; };  // the first copy is lost
  a.down = true;
  net.client->on_path_event(LinkDown{a.up.link}, net.now);
  net.run(Duration::millis(60));
  CHECK(path_on(net, true, a).id.value == PathInfo{}.id.value);
  CHECK(net.server->sessions(net.now)[0].paths.size() == 1);
}

TEST_CASE("a black hole for full-size datagrams in mid-download is found, verified, and lived with") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  connect(net);
  uint32_t marker = 0;
  const auto download = [&](Duration d) {
    const Time end = net.now + d;
    while (net.now < end) {
      net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 1400));
      net.run(Duration::millis(2));
    }
  };
  download(Duration::seconds(1));
  CHECK(path_on(net, true, a).mtu == 1472);
  size_t limit = 1400;
  net.tap = [&](bool, std::vector<uint8_t>& bytes, TestLink&) { return bytes.size() + 28 <= limit; };
  net.at_client_times.clear();
  download(Duration::seconds(3));
  net.run(Duration::millis(500));
  // While nothing gets through a queue stands, which is CoDel's to judge; nothing else may go missing.
  const uint64_t by_codel = net.server->sessions(net.now)[0].drops[DropReason::ingress_aqm];
  CHECK(net.at_client.size() + by_codel == marker);
  CHECK(by_codel <= 2);
  Duration longest;
  for (size_t i = 1; i < net.at_client_times.size(); ++i) longest = std::max(longest, net.at_client_times[i] - net.at_client_times[i - 1]);
  CHECK(longest < Duration::millis(400));
  CHECK(path_on(net, true, a).mtu == 1352);
  CHECK(path_on(net, true, a).state == PathState::active);
}

TEST_CASE("a burst of losses does not cost a path its MTU") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(10)));
  connect(net);
  for (int i = 0; i < 20; ++i) {
    a.to_client.loss = 0.7;
    for (int k = 0; k < 30; ++k) {
      net.send_to_client(make_packet(net.server_ip, net.client_ip, 0, 1400));
      net.run(Duration::millis(2));
    }
    a.to_client.loss = 0;
    net.run(Duration::millis(500));
    for (int k = 0; k < 30; ++k) {
      net.send_to_client(make_packet(net.server_ip, net.client_ip, 0, 1400));
      net.run(Duration::millis(2));
    }
    net.run(Duration::seconds(2));
    CHECK(path_on(net, true, a).mtu == 1472);
  }
}

TEST_CASE("the server moves to another address: all paths follow, the session stays") {
  TestNet net(5);
  TestLink& a1 = net.add_link(wire_of(20e6, Duration::millis(10)));
  TestLink& a2 = net.add_link(wire_of(20e6, Duration::millis(10)));
  TestLink& b1 = net.add_link(wire_of(20e6, Duration::millis(20)));
  TestLink& b2 = net.add_link(wire_of(20e6, Duration::millis(20)));
  a2.up.group = a1.up.group;
  b2.up.group = b1.up.group;
  a2.up.remote.port = b2.up.remote.port = 444;
  a2.to_server.blackhole = a2.to_client.blackhole = b2.to_server.blackhole = b2.to_client.blackhole = true;
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  for (TestLink* l : {&a1, &b1}) l->to_server.blackhole = l->to_client.blackhole = true;
  for (TestLink* l : {&a2, &b2}) l->to_server.blackhole = l->to_client.blackhole = false;
  trickle_down(net, Duration::seconds(12), marker);
  CHECK(path_on(net, false, a2).state == PathState::active);
  CHECK(path_on(net, false, b2).state == PathState::active);
  CHECK(net.count<SessionUp>(net.server_events) == 1);
  net.at_client.clear();
  marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  net.run(Duration::millis(300));
  CHECK(net.at_client.size() >= marker);
}

TEST_CASE("eight hours of sleep: the clock steps, the session goes on") {
  TestNet net(5);
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(20)));
  connect(net);
  net.now += Duration::seconds(8 * 3600);
  const Time woke = net.now;
  uint32_t marker = 0;
  net.send_to_server(make_packet(net.client_ip, net.server_ip, marker));
  while (net.at_server.empty() && net.now - woke < Duration::seconds(10)) {
    net.run(Duration::millis(50));
    net.send_to_server(make_packet(net.client_ip, net.server_ip, ++marker));
  }
  CHECK(net.now - woke < Duration::seconds(1));
  net.run(Duration::seconds(1));
  const std::vector<SessionInfo> sessions = net.client->sessions(net.now);
  CHECK(sessions[0].paths.size() == 2);
  for (const PathInfo& p : sessions[0].paths) CHECK(p.state == PathState::active);
}

TEST_CASE("a translator that forgets after fifteen idle seconds is learnt of, and forgets no more") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  int forgotten = 0;
  Time last;
  net.tap = [&](bool to_server, std::vector<uint8_t>&, TestLink& l) {
    if (to_server && last.is_set() && net.now - last > Duration::seconds(15)) ++l.up.local.port, ++forgotten;
    if (to_server) last = net.now;
    return true;
  };
  connect(net);
  net.run(Duration::seconds(1200));
  CHECK(forgotten > 0);
  CHECK(forgotten <= 3);
  // So the way to an idle client is open at any time.
  net.at_client.clear();
  net.run(Duration::seconds(9));
  net.send_to_client(make_packet(net.server_ip, net.client_ip, 1));
  net.run(Duration::millis(200));
  CHECK(net.at_client.size() == 1);
  CHECK(path_on(net, false, a).state == PathState::active);
}

TEST_CASE("idle: a standby path costs at most 1 kB a minute, and nobody wakes without need (P16)") {
  TestNet net(31, make_cipher);
  net.add_link({});
  TestLink& b = net.add_link({});
  b.up.priority = wire::PathPriority::backup;
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::millis(50), marker);
  net.run(Duration::seconds(20));  // traffic is no longer recent, path MTU is found
  uint64_t bytes = 0;
  net.tap = [&](bool, std::vector<uint8_t>& d, TestLink& l) {
    if (&l == &b) bytes += d.size() + 28;
    return true;
  };
  const uint64_t turns = net.turns;
  net.run(Duration::seconds(600));
  CHECK(bytes / 10 <= 1'000);
  CHECK((net.turns - turns) / 10 <= 60);  // keepalives of two paths, their acks, a new key every two minutes
  CHECK(net.client->sessions(net.now)[0].connected);
}

}  // namespace hawser::test
