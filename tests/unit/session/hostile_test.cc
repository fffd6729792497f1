// Bytes that an attacker or a broken network may bring: no answer, no change of state, counted. And what an on-path
// attacker can do with genuine datagrams.
#include <catch2/catch.hpp>

#include "common/wire/datagram.h"
#include "tests/unit/session/test_net.h"

namespace hawser::test {
namespace {

// A connected pair and one genuine data datagram of each direction, caught on the wire and not delivered.
struct Connected2 {
  TestNet net{11, make_cipher};
  std::vector<uint8_t> to_server, to_client;

  explicit Connected2(int links = 1) {
    for (int i = 0; i < links; ++i) net.add_link({});
    net.up_all();
    net.run(Duration::millis(300));
    net.tap = [this](bool up, std::vector<uint8_t>& bytes, TestLink&) {
      if (bytes[0] != 1 || bytes.size() < 300) return true;
      (up ? to_server : to_client) = bytes;
      return false;
    };
    net.send_to_server(make_packet(net.client_ip, net.server_ip, 1, 400));
    net.send_to_client(make_packet(net.server_ip, net.client_ip, 2, 400));
    net.pump();
    net.tap = nullptr;
  }
  uint64_t answers() const {
    uint64_t n = 0;
    for (const auto& l : net.links) n += l->to_client.sent;
    return n;
  }
};

uint64_t total(const DropCounters& d) {
  uint64_t n = 0;
  for (uint64_t v : d.values) n += v;
  return n;
}

}  // namespace

TEST_CASE("every flipped bit of a data datagram is refused, counted, and unanswered") {
  Connected2 c;
  REQUIRE(c.to_server.size() > 300);
  REQUIRE(c.to_client.size() > 300);
  const uint64_t answers = c.answers();
  const auto before = c.net.server->info().drops;
  for (size_t bit = 0; bit < c.to_server.size() * 8; ++bit) {
    auto bytes = c.to_server;
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ 1 << bit % 8);
    c.net.inject(true, *c.net.links[0], bytes);
    bytes = c.to_client;
    if (bit / 8 < bytes.size()) {
      bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ 1 << bit % 8);
      c.net.inject(false, *c.net.links[0], bytes);
    }
  }
  c.net.pump();
  CHECK(c.net.at_server.empty());
  CHECK(c.net.at_client.empty());
  CHECK(c.answers() == answers);
  CHECK(total(c.net.server->info().drops) - total(before) == c.to_server.size() * 8);
  // And the genuine ones still pass: nothing was disturbed.
  c.net.inject(true, *c.net.links[0], c.to_server);
  c.net.inject(false, *c.net.links[0], c.to_client);
  CHECK(c.net.at_server == std::vector<uint32_t>{1});
  CHECK(c.net.at_client == std::vector<uint32_t>{2});
}

TEST_CASE("every truncation of a data datagram is refused") {
  Connected2 c;
  const uint64_t answers = c.answers();
  for (size_t n = 0; n < c.to_server.size(); ++n) {
    c.net.inject(true, *c.net.links[0], {c.to_server.begin(), c.to_server.begin() + static_cast<ptrdiff_t>(n)});
  }
  c.net.pump();
  CHECK(c.net.at_server.empty());
  CHECK(c.answers() == answers);
  CHECK(c.net.server->info().drops[DropReason::malformed] >= wire::kMinDataDatagram);
}

TEST_CASE("a replayed datagram acts once") {
  Connected2 c;
  for (int i = 0; i < 5; ++i) c.net.inject(true, *c.net.links[0], c.to_server);
  CHECK(c.net.at_server.size() == 1);
  CHECK(c.net.server->sessions(c.net.now)[0].drops[DropReason::replay] == 4);
}

TEST_CASE("a replayed datagram from elsewhere moves no path") {
  Connected2 c;
  c.net.inject(true, *c.net.links[0], c.to_server);
  TestLink& elsewhere = c.net.add_link({});
  c.net.inject(true, elsewhere, c.to_server);
  c.net.run(Duration::millis(500));
  CHECK(elsewhere.to_client.sent == 0);
  CHECK(c.net.server->sessions(c.net.now)[0].paths[0].remote == c.net.links[0]->up.local);
}

TEST_CASE("random datagrams from many addresses leave no trace but counts") {
  Connected2 c;
  const uint64_t answers = c.answers();
  const auto sessions = c.net.server->info().sessions;
  TestLink& elsewhere = c.net.add_link({});
  for (int i = 0; i < 20'000; ++i) {
    std::vector<uint8_t> bytes(1 + c.net.rng.next_u64() % 1300);
    c.net.rng.fill(bytes);
    if (i % 2) bytes[0] = static_cast<uint8_t>(1 + i / 2 % 4);
    elsewhere.up.local.port = static_cast<uint16_t>(i);
    elsewhere.up.local.ip = IpAddress::v4(198, 51, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i));
    c.net.inject(true, elsewhere, bytes);
    c.net.inject(false, *c.net.links[0], bytes);
  }
  c.net.run(Duration::seconds(1));
  CHECK(elsewhere.to_client.sent == 0);
  CHECK(c.answers() <= answers + 20);  // the connected client's own traffic
  CHECK(c.net.server->info().sessions == sessions);
  CHECK(total(c.net.server->info().drops) >= 20'000);
  CHECK(total(c.net.client->info().drops) >= 20'000);
  c.net.inject(true, *c.net.links[0], c.to_server);
  CHECK(c.net.at_server == std::vector<uint32_t>{1});
}

TEST_CASE("every flipped byte of an initiation is met with silence") {
  TestNet net(13, make_cipher);
  net.add_link({});
  std::vector<uint8_t> initiation;
  net.tap = [&](bool up, std::vector<uint8_t>& bytes, TestLink&) {
    if (up && bytes[0] == 2) initiation = bytes;
    return false;
  };
  net.up_all();
  REQUIRE(initiation.size() == wire::kInitiationSize);
  net.tap = nullptr;
  const size_t meaningful = wire::kInitiationSize - wire::kMacSize;  // mac2 is not looked at without load
  for (size_t i = 0; i < meaningful; ++i) {
    auto bytes = initiation;
    bytes[i] ^= 0x10;
    net.inject(true, *net.links[0], bytes);
  }
  net.pump();
  CHECK(net.links[0]->to_client.sent == 0);
  const auto& drops = net.server->info().drops;
  CHECK(drops[DropReason::mac1] + drops[DropReason::version] + drops[DropReason::malformed] >= meaningful);
  CHECK(drops[DropReason::version] > 0);
}

TEST_CASE("a replayed initiation displaces nothing and is answered at most once") {
  TestNet net(17, make_cipher);
  net.add_link({});
  std::vector<uint8_t> initiation;
  net.tap = [&](bool up, std::vector<uint8_t>& bytes, TestLink&) {
    if (up && bytes[0] == 2) initiation = bytes;
    return true;
  };
  net.up_all();
  net.run(Duration::seconds(1));
  net.tap = nullptr;
  TestLink& attacker = net.add_link({});
  net.run(Duration::seconds(10));  // the cached answer is gone
  for (int i = 0; i < 100; ++i) net.inject(true, attacker, initiation);
  net.run(Duration::seconds(1));
  CHECK(attacker.to_client.sent == 0);
  CHECK(net.server->info().drops[DropReason::replay] == 100);
  net.send_to_client(make_packet(net.server_ip, net.client_ip, 5));
  net.run(Duration::millis(100));
  CHECK(net.at_client == std::vector<uint32_t>{5});
}

TEST_CASE("no answer to an initiation is longer than the initiation") {
  TestNet net(19, make_cipher);
  net.add_link({});
  size_t longest = 0, in = 0;
  net.tap = [&](bool up, std::vector<uint8_t>& bytes, TestLink&) {
    if (up && bytes[0] == 2) in = bytes.size();
    if (!up && bytes[0] == 3) longest = std::max(longest, bytes.size());
    return true;
  };
  net.up_all();
  net.run(Duration::millis(200));
  CHECK(longest > 0);
  CHECK(longest <= in);
}

TEST_CASE("an inner packet with somebody else's source is dropped at the server") {
  Connected2 c;
  c.net.send_to_server(make_packet(IpAddress::v4(10, 9, 0, 77), c.net.server_ip, 3));
  c.net.run(Duration::millis(100));
  CHECK(std::count(c.net.at_server.begin(), c.net.at_server.end(), 3u) == 0);
  CHECK(c.net.server->sessions(c.net.now)[0].drops[DropReason::spoofed_source] >= 1);
}

TEST_CASE("a flood of handshakes is answered with cookies, and data goes on") {
  Connected2 c;
  // Initiations of one key from one address each, far above what the budget takes without proof.
  TestNet flood(23, make_cipher);
  flood.server_keys = c.net.server_keys.clone();
  flood.add_link({});
  std::vector<std::vector<uint8_t>> initiations;
  flood.tap = [&](bool up, std::vector<uint8_t>& bytes, TestLink&) {
    if (up && bytes[0] == 2) initiations.push_back(bytes);
    return false;
  };
  for (int i = 0; i < 400; ++i) {
    flood.make_client();
    flood.up_all();
  }
  REQUIRE(initiations.size() >= 400);
  TestLink& attacker = c.net.add_link({});
  for (size_t i = 0; i < initiations.size(); ++i) c.net.inject(true, attacker, initiations[i]);
  c.net.run(Duration::millis(50));
  const auto info = c.net.server->info();
  CHECK(info.cookies_sent > 0);
  CHECK(info.drops[DropReason::cookie_required] == info.cookies_sent);
  c.net.inject(true, *c.net.links[0], c.to_server);
  CHECK(c.net.at_server == std::vector<uint32_t>{1});
}

}  // namespace hawser::test
