// The MTU inside the tunnel between two engines: it follows the paths, SYNs are clamped both ways at both ends, and senders of
// larger packets are told.
#include <catch2/catch.hpp>

#include "common/checksum.h"
#include "tests/unit/base/offload_support.h"
#include "tests/unit/session/paths_support.h"

namespace hawser::test {
namespace {

using hawser::testing::Bytes;

// Drops what is larger than a link's MTU; links not named carry 1500.
void limit_links(TestNet& net, std::map<const TestLink*, size_t> mtu) {
  net.tap = [mtu = std::move(mtu)](bool, std::vector<uint8_t>& bytes, TestLink& l) {
    const auto it = mtu.find(&l);
    return bytes.size() + 28 <= (it == mtu.end() ? 1500 : it->second);
  };
}

std::vector<uint16_t> told_mtus(const TestNet& net) {
  std::vector<uint16_t> all;
  for (const Event& e : net.client_events) {
    if (const auto* m = std::get_if<TunnelMtuChanged>(&e)) all.push_back(m->mtu);
  }
  return all;
}

Bytes syn(const IpAddress& from, const IpAddress& to) {
  hawser::testing::PacketSpec s;
  s.flags = 0x02;
  s.options = {1, 2, 4, 0x05, 0xb4, 1, 1, 1};
  s.payload = 0;
  Bytes b = hawser::testing::make_packet(s);
  std::copy_n(from.bytes.begin(), 4, b.begin() + 12);
  std::copy_n(to.bytes.begin(), 4, b.begin() + 16);
  hawser::testing::complete(b, s);
  return b;
}

int mss_of(ByteSpan packet) { return packet[43] << 8 | packet[44]; }

TEST_CASE("the tunnel's MTU: 1280 beside 1500 lowers it at once, and it rises a minute after the small link went") {
  TestNet net(5);
  TestLink& a = net.add_link({});
  net.add_link({});
  a.up.interface_mtu = 1280;
  limit_links(net, {{&a, 1280}});
  connect(net);
  CHECK(told_mtus(net) == std::vector<uint16_t>{1280});
  a.down = true;
  net.client->on_path_event(LinkDown{a.up.link}, net.now);
  net.run(Duration::seconds(59));
  CHECK(told_mtus(net) == std::vector<uint16_t>{1280});
  net.run(Duration::seconds(2));
  CHECK(told_mtus(net) == std::vector<uint16_t>{1280, 1400});
  // A small one that comes later lowers it as soon as its size is known.
  TestLink& c = net.add_link({});
  c.up.interface_mtu = 1400;
  limit_links(net, {{&c, 1400}});
  net.up(c);
  net.run(Duration::millis(500));
  CHECK(told_mtus(net) == std::vector<uint16_t>{1280, 1400, 1341});
}

TEST_CASE("the tunnel's MTU: a small link that flaps moves it once") {
  TestNet net(5);
  TestLink& a = net.add_link({});
  net.add_link({});
  a.up.interface_mtu = 1280;
  limit_links(net, {{&a, 1280}});
  connect(net);
  for (int i = 0; i < 10; ++i) {
    a.down = true;
    net.client->on_path_event(LinkDown{a.up.link}, net.now);
    net.run(Duration::seconds(20));
    a.down = false;
    net.up(a);
    net.run(Duration::seconds(20));
  }
  CHECK(told_mtus(net) == std::vector<uint16_t>{1280});
}

TEST_CASE("the tunnel's MTU: one session's word at the end of the handshake is the profile's when that is less") {
  TestNet net(5);
  net.add_link({});
  connect(net);
  for (const Event& e : net.client_events) {
    if (const auto* c = std::get_if<Connected>(&e)) CHECK(c->mtu == 1400);
  }
  TestNet other(5);
  ClientConfig c;
  c.ciphers = wire::kCipherChaCha20;
  c.cipher_factory = make_null_cipher;
  c.static_key = other.client_keys.clone();
  c.server_key = other.server_keys.public_key();
  c.tunnel_mtu = 1300;
  other.client = Endpoint::make_client(std::move(c), other.rng);
  other.add_link({});
  connect(other);
  size_t seen = 0;
  for (const Event& e : other.client_events) {
    const auto* connected = std::get_if<Connected>(&e);
    seen += connected && connected->mtu == 1300;
  }
  CHECK(seen == 1);
}

TEST_CASE("a SYN's MSS is lowered both ways, by either end alone, to what no path must split") {
  for (const bool small : {false, true}) {
    TestNet net(5);
    TestLink& a = net.add_link({});
    net.add_link({});
    if (small) limit_links(net, {{&a, 1280}});
    connect(net);
    net.run(Duration::seconds(10));  // until the search has ended at the server too
    const int wanted = (small ? 1280 - 28 - 31 : 1400) - 40;
    std::vector<Bytes> seen;
    const auto keep = [&](ByteSpan p) { seen.emplace_back(p.begin(), p.end()); };
    net.on_client_packet = net.on_server_packet = keep;
    net.send_to_server(syn(net.client_ip, net.server_ip));
    net.run(Duration::millis(100));
    net.send_to_client(syn(net.server_ip, net.client_ip));
    net.run(Duration::millis(100));
    REQUIRE(seen.size() == 2);
    for (const Bytes& p : seen) {
      CHECK(mss_of(p) == wanted);
      CHECK(hawser::testing::transport_checksum_right(p));
    }
  }
  // Only the way up has a small pipe: the server knows nothing of it, and its user's SYNs are clamped all the same.
  TestNet net(5);
  net.add_link({});
  net.tap = [](bool up, std::vector<uint8_t>& bytes, TestLink&) { return !up || bytes.size() + 28 <= 1280; };
  connect(net);
  net.run(Duration::seconds(10));
  std::vector<int> mss;
  net.on_client_packet = net.on_server_packet = [&](ByteSpan p) { mss.push_back(mss_of(p)); };
  net.send_to_server(syn(net.client_ip, net.server_ip));
  net.run(Duration::millis(100));
  net.send_to_client(syn(net.server_ip, net.client_ip));
  net.run(Duration::millis(100));
  CHECK(mss == std::vector<int>{1181, 1181});
}

struct Told {
  std::vector<Bytes> messages, others;
  void operator()(ByteSpan p) { (p[9] == 1 ? messages : others).emplace_back(p.begin(), p.end()); }
};

std::vector<uint8_t> with_df(std::vector<uint8_t> p) {
  p[6] = 0x40;
  return p;
}

TEST_CASE("the sender of a packet above the tunnel's MTU is told, and the packet is carried in two pieces") {
  TestNet net(5);
  TestLink& a = net.add_link({});
  a.up.interface_mtu = 1280;
  limit_links(net, {{&a, 1280}});
  connect(net);
  net.run(Duration::seconds(10));
  Told client, server;
  net.on_client_packet = [&](ByteSpan p) { client(p); };
  net.on_server_packet = [&](ByteSpan p) { server(p); };
  const IpAddress web = *IpAddress::parse("198.51.100.7");
  net.send_to_client(with_df(make_packet(web, net.client_ip, 7, 1400)));
  net.run(Duration::millis(100));
  net.send_to_server(with_df(make_packet(net.client_ip, web, 8, 1400)));
  net.run(Duration::millis(100));
  REQUIRE(server.messages.size() == 1);  // into the server's TUN, from the user, to who sent it
  REQUIRE(client.messages.size() == 1);  // into the client's TUN, from the server, to the client
  CHECK(IpAddress::v4(ByteSpan(server.messages[0]).subspan(12, 4)) == net.client_ip);
  CHECK(IpAddress::v4(ByteSpan(server.messages[0]).subspan(16, 4)) == web);
  CHECK(IpAddress::v4(ByteSpan(client.messages[0]).subspan(12, 4)) == net.server_ip);
  CHECK(IpAddress::v4(ByteSpan(client.messages[0]).subspan(16, 4)) == net.client_ip);
  for (const Told* t : {&client, &server}) CHECK((t->messages[0][26] << 8 | t->messages[0][27]) == 1280);
  REQUIRE(client.others.size() == 1);
  CHECK(marker_of(client.others[0]) == 7);
  REQUIRE(server.others.size() == 1);
  CHECK(marker_of(server.others[0]) == 8);
  // What fits, and what may be fragmented, is not answered.
  net.send_to_client(with_df(make_packet(web, net.client_ip, 9, 1280)));
  net.send_to_client(make_packet(web, net.client_ip, 9, 1400));
  net.run(Duration::millis(100));
  CHECK(server.messages.size() == 1);
  CHECK(client.others.size() == 3);
}

TEST_CASE("a packet above what was agreed on is dropped, and its sender told, at a bounded rate") {
  TestNet net(5);
  net.add_link({});
  connect(net);
  net.run(Duration::seconds(2));
  Told server;
  net.on_server_packet = [&](ByteSpan p) { server(p); };
  const IpAddress web = *IpAddress::parse("198.51.100.7");
  for (int i = 0; i < 1000; ++i) net.send_to_client(with_df(make_packet(web, net.client_ip, 7, 1401)));
  net.run(Duration::millis(1));
  CHECK(server.messages.size() == static_cast<size_t>(kTooBigBurst));
  for (int i = 0; i < 1000; ++i) {
    net.send_to_client(with_df(make_packet(web, net.client_ip, 7, 1401)));
    net.run(Duration::millis(1));
  }
  CHECK(server.messages.size() <= static_cast<size_t>(kTooBigBurst + kTooBigPerSecond + 1));
  CHECK(server.messages.size() >= static_cast<size_t>(kTooBigBurst + kTooBigPerSecond - 1));
  CHECK(net.server->sessions(net.now)[0].drops[DropReason::too_big] == 2000);
  CHECK(net.at_client.empty());
}

}  // namespace
}  // namespace hawser::test
