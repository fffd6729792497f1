// Paths in a session: address moves, one direction dead, priorities, small MTUs, links that come and go, enrolment.
#include <catch2/catch.hpp>

#include <algorithm>

#include "common/crypto/hash.h"
#include "common/wire/datagram.h"
#include "tests/unit/session/paths_support.h"

namespace hawser::test {

TEST_CASE("NAT rebinding: the newest authentic datagram moves the path, a challenge commits it") {
  TestNet net(3);
  TestLink& l = net.add_link({});
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::millis(200), marker);
  l.up.local.port = 40'000;  // the translator forgot us
  net.send_to_server(make_packet(net.client_ip, net.server_ip, 1));
  net.run(Duration::millis(300));
  net.at_client.clear();
  trickle_down(net, Duration::millis(200), marker);
  net.run(Duration::millis(100));
  CHECK(net.at_client.size() == 40);
  CHECK(net.server->sessions(net.now)[0].paths.at(0).remote.port == 40'000);
}

TEST_CASE("a forwarded copy of a genuine datagram gets little and the path goes back") {
  TestNet net(3);
  TestLink& l = net.add_link({});
  connect(net);
  TestLink& attacker = net.add_link({});
  bool forwarded = false;
  net.tap = [&](bool up, std::vector<uint8_t>& bytes, TestLink& via) {
    if (up && &via == &l && !forwarded && bytes[0] == 1) {
      forwarded = true;
      auto copy = bytes;
      net.inject(true, attacker, copy);  // arrives first, from the attacker's address
      return false;
    }
    return true;
  };
  net.send_to_server(make_packet(net.client_ip, net.server_ip, 1, 300));
  net.pump();
  REQUIRE(forwarded);
  uint32_t marker = 100;
  trickle_down(net, Duration::seconds(2), marker);
  uint64_t to_attacker = attacker.to_client.sent;
  CHECK(to_attacker <= 6);
  CHECK(net.server->sessions(net.now)[0].paths.at(0).remote == l.up.local);
  net.run(Duration::seconds(1));
  CHECK(net.at_client.size() >= 380);
}

TEST_CASE("one direction of a path dead: data avoids it, the other direction goes on") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(20)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  a.to_client.blackhole = true;
  trickle_down(net, Duration::seconds(2), marker);
  net.run(Duration::millis(500));
  CHECK(net.at_client.size() == marker);
  const PathState at_server = path_on(net, true, a).state;
  CHECK((at_server == PathState::suspect || at_server == PathState::lost));
  // Upwards that path still works, and cross-acks say so.
  net.at_server.clear();
  for (int i = 0; i < 100; ++i) {
    net.send_to_server(make_packet(net.client_ip, net.server_ip, static_cast<uint32_t>(i)));
    net.run(Duration::millis(10));
  }
  net.run(Duration::millis(300));
  CHECK(net.at_server.size() == 100);
}

TEST_CASE("a link that comes back carries data again within a second") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(20)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  a.to_client.blackhole = a.to_server.blackhole = true;
  trickle_down(net, Duration::seconds(10), marker);
  CHECK(path_on(net, false, a).state == PathState::lost);
  a.to_client.blackhole = a.to_server.blackhole = false;
  trickle_down(net, Duration::seconds(1), marker);
  CHECK(path_on(net, false, a).state == PathState::active);
  const uint64_t before = path_on(net, true, a).sent_bytes;
  trickle_down(net, Duration::seconds(1), marker);
  CHECK(path_on(net, true, a).sent_bytes - before > 60'000);
  net.run(Duration::seconds(1));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("all links silent for a minute: the session resumes by itself") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  connect(net);
  a.to_client.blackhole = a.to_server.blackhole = true;
  net.run(Duration::seconds(60));
  CHECK(net.count<Reconnecting>(net.client_events) >= 1);
  a.to_client.blackhole = a.to_server.blackhole = false;
  net.run(Duration::seconds(7));
  uint32_t marker = 0;
  net.at_client.clear();
  trickle_down(net, Duration::millis(100), marker);
  net.run(Duration::millis(100));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("a download waits while all links are silent: it goes on within a second after one returns") {
  TwoLinks lab;
  auto& [net, a, b, marker] = lab;
  for (TestLink* l : {&a, &b}) silence(*l, true);
  // As a TCP that backs off: from 300 ms on, twice as long each time. The client hears none of it and has nothing to send.
  const Time begin = net.now;
  for (Duration wait = Duration::millis(300); wait < Duration::seconds(40); wait = wait * 2) {
    net.run(wait);
    net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 600));
  }
  // At any moment between two of the more seldom attempts.
  net.run_until(begin + Duration::seconds(78) + Duration::millis(GENERATE(0, 1300, 2600, 3900)));
  net.at_client.clear();
  silence(b, false);
  net.run(Duration::seconds(1));
  CHECK_FALSE(net.at_client.empty());
  // Nobody uses it any more: challenges and handshakes every five seconds, and no more of them every 0.3 s.
  silence(b, true);
  net.run(Duration::seconds(200));
  const uint64_t before = a.to_server.sent + b.to_server.sent;
  net.run(Duration::seconds(60));
  CHECK(a.to_server.sent + b.to_server.sent - before < 100);
}

TEST_CASE("a link that has been silent for minutes and returns as the last other one dies is found within a second") {
  TwoLinks lab;
  auto& [net, a, b, marker] = lab;
  silence(b, true);
  net.run(Duration::seconds(120) + Duration::millis(GENERATE(0, 1300, 2600, 3900)));
  silence(b, false);
  silence(a, true);
  net.at_server.clear();
  for (int i = 0; i < 200; ++i) {
    net.send_to_server(make_packet(net.client_ip, net.server_ip, marker++, 600));
    net.run(Duration::millis(5));
  }
  CHECK_FALSE(net.at_server.empty());
}

TEST_CASE("a path that passes handshakes and nothing else: what is wished of it is no burden for the others") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(5)));
  TestLink& b = net.add_link(wire_of(20e6, Duration::millis(30)));
  net.tap = [&](bool, std::vector<uint8_t>& bytes, TestLink& l) {
    return &l != &a || wire::datagram_type(bytes) != wire::DatagramType::data;
  };
  net.up_all();
  net.run(Duration::seconds(30));
  REQUIRE(path_on(net, false, b).state == PathState::active);
  const uint64_t before = b.to_server.sent;
  net.run(Duration::seconds(60));
  CHECK(b.to_server.sent - before < 12);
}

TEST_CASE("a short silence of the only link is told, and its end too") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  connect(net);
  net.client_events.clear();
  a.to_client.blackhole = a.to_server.blackhole = true;
  uint32_t marker = 0;
  for (int i = 0; i < 30; ++i) {
    net.send_to_server(make_packet(net.client_ip, net.server_ip, marker++));
    net.run(Duration::millis(10));
  }
  a.to_client.blackhole = a.to_server.blackhole = false;
  net.run(Duration::seconds(8));
  CHECK(net.count<Reconnecting>(net.client_events) == 1);
  CHECK(net.count<Connected>(net.client_events) >= 1);  // once more when a handshake was under way
  CHECK(net.at_server.size() == marker);
}

TEST_CASE("backup carries nothing while another works, and takes over") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  TestLink& b = net.add_link(wire_of(20e6, Duration::millis(5)));
  b.up.priority = wire::PathPriority::backup;
  connect(net);
  uint32_t marker = 0;
  const uint64_t before = path_on(net, true, b).sent_bytes;
  trickle_down(net, Duration::seconds(1), marker);
  CHECK(path_on(net, true, b).sent_bytes - before < 3'000);
  CHECK(path_on(net, true, b).state == PathState::standby);
  a.to_client.blackhole = a.to_server.blackhole = true;
  trickle_down(net, Duration::seconds(2), marker);
  net.run(Duration::millis(500));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("priority changed live is obeyed by the server for the downlink") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(5)));
  net.add_link(wire_of(20e6, Duration::millis(20)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  net.client->on_path_event(LinkPriority{a.up.link, wire::PathPriority::never}, net.now);
  net.run(Duration::millis(200));
  CHECK(path_on(net, true, a).state == PathState::paused);
  const uint64_t before = a.to_client.sent;
  trickle_down(net, Duration::seconds(1), marker);
  CHECK(a.to_client.sent - before <= 1);
  net.client->on_path_event(LinkPriority{a.up.link, wire::PathPriority::automatic}, net.now);
  trickle_down(net, Duration::seconds(2), marker);
  CHECK(path_on(net, true, a).state == PathState::active);
  net.run(Duration::millis(500));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("a priority is obeyed by the server although the word of it is quicker than the path it is about") {
  TestNet net(5);
  net.add_link(wire_of(20e6, Duration::millis(5)));
  connect(net);
  TestLink& slow = net.add_link(wire_of(20e6, Duration::millis(80)));
  slow.up.priority = wire::PathPriority::secondary;
  net.up(slow);
  net.run(Duration::seconds(1));
  CHECK(path_on(net, true, slow).priority == wire::PathPriority::secondary);
}

TEST_CASE("a priority reaches the server although the path that would tell it has just died") {
  TestNet net(5);
  net.add_link(wire_of(20e6, Duration::millis(5)));
  net.add_link(wire_of(20e6, Duration::millis(10)));
  TestLink& third = net.add_link(wire_of(20e6, Duration::millis(20)));
  connect(net);
  silence(*net.links[0], true);
  net.client->on_path_event(LinkPriority{third.up.link, wire::PathPriority::backup}, net.now);
  net.run(Duration::millis(60));
  CHECK(path_on(net, true, third).priority == wire::PathPriority::backup);
  CHECK(path_on(net, true, third).state == PathState::standby);
}

TEST_CASE("a link of priority never carries not even a handshake") {
  TestNet net(5);
  TestLink& a = net.add_link({});
  a.up.priority = wire::PathPriority::never;
  net.add_link({});
  connect(net);
  net.run(Duration::seconds(30));
  CHECK(a.to_server.sent == 0);
}

TEST_CASE("a packet too large for a path goes in two pieces") {
  TestNet net(5);
  TestLink& a = net.add_link({});
  a.up.interface_mtu = 1280;
  // The link drops what is larger than its MTU, both ways.
  net.tap = [&](bool, std::vector<uint8_t>& bytes, TestLink&) { return bytes.size() + 28 <= 1280; };
  connect(net);
  for (uint32_t i = 0; i < 20; ++i) {
    net.send_to_client(make_packet(net.server_ip, net.client_ip, i, 1400));
    net.send_to_server(make_packet(net.client_ip, net.server_ip, i, 1400));
    net.run(Duration::millis(20));
  }
  net.run(Duration::millis(500));
  CHECK(net.at_client.size() == 20);
  CHECK(net.at_server.size() == 20);
}

TEST_CASE("a link taken away moves its traffic at once; a new one joins") {
  TestNet net(5);
  TestLink& a = net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(20)));
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::seconds(1), marker);
  a.down = true;
  net.client->on_path_event(LinkDown{a.up.link}, net.now);
  const size_t from = net.at_client_times.size();
  trickle_down(net, Duration::seconds(1), marker);
  Duration longest;
  for (size_t i = from; i < net.at_client_times.size(); ++i) longest = std::max(longest, net.at_client_times[i] - net.at_client_times[i - 1]);
  CHECK(longest < Duration::millis(100));
  TestLink& c = net.add_link(wire_of(20e6, Duration::millis(5)));
  net.up(c);
  trickle_down(net, Duration::seconds(1), marker);
  CHECK(path_on(net, false, c).state == PathState::active);
  net.run(Duration::millis(500));
  CHECK(net.at_client.size() == marker);
}

TEST_CASE("of two server addresses behind one interface, the one that answers becomes the path") {
  TestNet net(5);
  net.add_link({});
  TestLink& silent = net.add_link({});
  TestLink& good = net.add_link({});
  good.up.group = silent.up.group;
  silent.to_server.blackhole = true;
  connect(net);
  net.run(Duration::seconds(8));
  CHECK(path_on(net, false, good).state == PathState::active);
  CHECK(net.client->sessions(net.now)[0].paths.size() == 2);
}

TEST_CASE("thousands of links coming and going leave nothing behind") {
  TestNet net(5);
  net.add_link({});
  TestLink& b = net.add_link({});
  connect(net);
  for (int i = 0; i < 2'000; ++i) {
    net.client->on_path_event(LinkDown{b.up.link}, net.now);
    net.run(Duration::millis(30));
    b.up.link = LinkId{static_cast<uint32_t>(100 + i)};
    net.up(b);
    net.run(Duration::millis(100));
  }
  CHECK(path_on(net, false, b).reason == PathReason::flapping);
  net.run(Duration::seconds(31));
  CHECK(path_on(net, false, b).state == PathState::active);
  CHECK(net.server->sessions(net.now)[0].paths.size() <= 3);
  CHECK(net.client->sessions(net.now)[0].paths.size() == 2);
  CHECK(net.server->sessions(net.now)[0].memory_bytes < 200'000);
}

TEST_CASE("enrolment: the token's owner gets in, once, after the registry wrote it down") {
  TestNet net(29, make_cipher);
  std::array<uint8_t, 16> token{};
  net.rng.fill(token);
  net.token = token;
  net.make_client();
  net.add_link({});
  int commits = 0;
  const auto verifier = token_verifier(token);
  const auto psk = token_psk(token);
  net.answer = [&](const PublicKey&, const std::optional<std::array<uint8_t, 16>>& id) {
    RegistryAnswer a;
    if (!id || *id != token_id(token)) return a;
    a.verdict = RegistryAnswer::Verdict::accepted;
    a.user = UserId{4};
    a.inner_v4 = net.client_ip;
    std::copy(psk.bytes().begin(), psk.bytes().end(), a.psk.begin());
    std::copy(verifier.bytes().begin(), verifier.bytes().end(), a.verifier.begin());
    return a;
  };
  net.up_all();
  net.run(Duration::seconds(2));
  for (const Event& e : net.server_events) commits += std::holds_alternative<EnrolmentCommit>(e);
  CHECK(commits == 1);
  CHECK(net.count<Connected>(net.client_events) == 1);
  CHECK(net.count<SessionUp>(net.server_events) == 1);
}

TEST_CASE("enrolment with the token's name but not the token is met with silence") {
  TestNet net(29, make_cipher);
  std::array<uint8_t, 16> token{}, other{};
  net.rng.fill(token);
  net.rng.fill(other);
  net.token = token;
  net.make_client();
  net.add_link({});
  net.answer = [&](const PublicKey&, const auto&) {
    RegistryAnswer a;  // the registry's verifier is that of another token
    a.verdict = RegistryAnswer::Verdict::accepted;
    a.user = UserId{4};
    const auto verifier = token_verifier(other);
    std::copy(verifier.bytes().begin(), verifier.bytes().end(), a.verifier.begin());
    return a;
  };
  net.up_all();
  net.run(Duration::seconds(3));
  CHECK(net.links[0]->to_client.sent == 0);
  CHECK(net.server->info().drops[DropReason::handshake_auth] > 0);
}

TEST_CASE("a connected idle session is small") {
  TestNet net(31, make_cipher);
  net.add_link({});
  net.add_link({});
  connect(net);
  uint32_t marker = 0;
  trickle_down(net, Duration::millis(50), marker);
  net.run(Duration::seconds(30));
  CHECK(net.server->sessions(net.now)[0].memory_bytes < 64 * 1024);
}

}  // namespace hawser::test
