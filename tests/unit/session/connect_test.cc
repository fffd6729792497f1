// Handshake over links, first packets, enrolment, refusal, silence: two engines in virtual time.
#include <catch2/catch.hpp>

#include "tests/unit/session/test_net.h"

namespace hawser::test {
namespace {
const bool kReady = init();
}

TEST_CASE("a client connects over one link and packets pass both ways") {
  REQUIRE(kReady);
  TestNet net;
  net.add_link({});
  net.up_all();
  net.run(Duration::millis(200));
  REQUIRE(net.count<Connected>(net.client_events) == 1);
  REQUIRE(net.count<SessionUp>(net.server_events) == 1);
  net.send_to_server(make_packet(net.client_ip, net.server_ip, 7));
  net.send_to_client(make_packet(net.server_ip, net.client_ip, 8));
  net.run(Duration::millis(100));
  CHECK(net.at_server == std::vector<uint32_t>{7});
  CHECK(net.at_client == std::vector<uint32_t>{8});
}

TEST_CASE("connecting takes one round trip and the first packet another half") {
  TestNet net;
  net.add_link(wire_of(0, Duration::millis(25)));
  const Time began = net.now;
  net.up_all();
  while (net.count<Connected>(net.client_events) == 0 && net.now - began < Duration::seconds(1)) net.run(Duration::millis(1));
  CHECK(net.now - began <= Duration::millis(105));  // 1 RTT handshake, 1 RTT confirmation
}

TEST_CASE("the first link dead at start does not delay the second") {
  TestNet net;
  net.add_link({}).to_server.blackhole = true;
  net.add_link({});
  const Time began = net.now;
  net.up_all();
  while (net.count<Connected>(net.client_events) == 0 && net.now - began < Duration::seconds(2)) net.run(Duration::millis(1));
  CHECK(net.now - began <= Duration::millis(60));
}

TEST_CASE("two links become two active paths that both carry a flood") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(30e6, Duration::millis(25)));
  net.up_all();
  net.run(Duration::millis(500));
  auto s = net.client->sessions(net.now);
  REQUIRE(s.size() == 1);
  REQUIRE(s[0].paths.size() == 2);
  CHECK(s[0].paths[0].state == PathState::active);
  CHECK(s[0].paths[1].state == PathState::active);
}

TEST_CASE("an unknown key is met with silence") {
  TestNet net;
  net.answer = [](const PublicKey&, const auto&) { return RegistryAnswer{}; };
  net.add_link({});
  net.up_all();
  net.run(Duration::seconds(2));
  CHECK(net.count<Connected>(net.client_events) == 0);
  CHECK(net.links[0]->to_client.sent == 0);
  CHECK(net.server->info().drops[DropReason::unknown_user] > 0);
}

TEST_CASE("a removed key is told so") {
  TestNet net;
  net.answer = [](const PublicKey&, const auto&) {
    RegistryAnswer a;
    a.verdict = RegistryAnswer::Verdict::removed;
    return a;
  };
  net.add_link({});
  net.up_all();
  net.run(Duration::seconds(1));
  REQUIRE(net.count<Refused>(net.client_events) == 1);
  CHECK(net.links[0]->to_client.sent == 1);
}

TEST_CASE("a user removed while connected is cut off, told why, and stays out") {
  TestNet net;
  net.add_link({});
  net.up_all();
  net.run(Duration::millis(200));
  net.server->close(UserId{1}, wire::CloseReason::removed, net.now);
  net.run(Duration::millis(50));
  REQUIRE(net.count<Closed>(net.client_events) == 1);
  net.at_server.clear();
  net.send_to_server(make_packet(net.client_ip, net.server_ip, 9));
  net.run(Duration::seconds(10));
  CHECK(net.at_server.empty());
  CHECK(net.server->info().sessions == 0);
}

}  // namespace hawser::test
