// UDP sockets: device and source binding, packet info, ECN, batches, errors.
#include "platform/udp.h"
#include "netns.h"
#include "platform/clock.h"

#include <poll.h>

#include <array>
#include <set>

namespace hawser {
namespace {

using testing::fresh_namespace;
using testing::ip;
using testing::make_veth;
using testing::Namespace;

SocketAddress address(const char* text) {
  return *SocketAddress::parse(text);
}

struct Received {
  std::string bytes;
  SocketAddress remote, local;
  uint8_t ecn = 0;
  Time at;
};

// Whatever comes within `wait` milliseconds, at most `count`.
std::vector<Received> receive(UdpSocket& socket, size_t count, int wait = 500) {
  std::vector<Received> result;
  std::array<std::array<uint8_t, 2048>, 32> storage;
  while (result.size() < count) {
    std::array<ReceiveSlot, 32> slots;
    for (size_t i = 0; i < slots.size(); ++i) slots[i].buffer = storage[i];
    const size_t n = socket.receive(slots);
    for (size_t i = 0; i < n; ++i) {
      for_each_datagram(slots[i], [&](MutableByteSpan bytes) {
        result.push_back(
            {std::string(bytes.begin(), bytes.end()), slots[i].remote, slots[i].local, slots[i].ecn, slots[i].at});
      });
    }
    pollfd wanted{socket.fd(), POLLIN, 0};
    if (n == 0 && ::poll(&wanted, 1, wait) <= 0) break;
  }
  return result;
}

ByteSpan bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

SendResult send(UdpSocket& socket, const std::string& text, const SocketAddress& to, const SocketAddress& from = {},
                uint8_t ecn = 0, size_t segment = 0) {
  const SendItem item{bytes(text), to, from, ecn, segment};
  return socket.send({&item, 1});
}

// Two uplinks of a client and a server behind both, each family.
struct TwoLinks {
  Namespace client, server;
  TwoLinks() : client(Namespace::current()), server(Namespace::create()) {
    client.enter();
    make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", server);
    make_veth("e2", "10.2.0.2/24", "s2", "10.2.0.1/24", server);
    testing::add_address("fd01::2/64", "e1");
    server.enter();
    testing::add_address("fd01::1/64", "s1");
    ip("address add 203.0.113.7/32 dev lo");
    ip("address add 203.0.113.8/32 dev lo");
    client.enter();
    ip("route add default via 10.1.0.1 dev e1 metric 100");
    ip("route add default via 10.2.0.1 dev e2 metric 600");
  }
};

TEST_CASE("a client's socket leaves by its device with its source address") {
  if (!fresh_namespace()) return;
  const TwoLinks net;
  net.server.enter();
  Result<UdpSocket> server = UdpSocket::open_server(address("0.0.0.0:4430"));
  REQUIRE(server);
  net.client.enter();
  Result<UdpSocket> first = UdpSocket::open_client("e1", address("10.1.0.2:0"));
  Result<UdpSocket> second = UdpSocket::open_client("e2", address("10.2.0.2:0"));
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->local().port != 0);
  // Not by e1, which has the better metric.
  CHECK(send(*second, "by e2", address("203.0.113.7:4430")).items == 1);
  CHECK(send(*first, "by e1", address("203.0.113.7:4430")).items == 1);
  const std::vector<Received> got = receive(*server, 2);
  REQUIRE(got.size() == 2);
  net.server.enter();
  for (const Received& datagram : got) {
    const bool by_e2 = datagram.bytes == "by e2";
    CHECK(datagram.remote.ip.to_string() == (by_e2 ? "10.2.0.2" : "10.1.0.2"));
    CHECK(datagram.remote.port == (by_e2 ? second->local().port : first->local().port));
    CHECK(datagram.local.ip.to_string() == "203.0.113.7");
    CHECK(datagram.local.port == 4430);
    CHECK(std::to_string(datagram.local.scope) + ": s" ==
          ip(by_e2 ? "-o link show s2" : "-o link show s1").substr(0, std::to_string(datagram.local.scope).size() + 3));
  }
}

TEST_CASE("a client's socket on a missing device or with another's address is refused") {
  if (!fresh_namespace()) return;
  const TwoLinks net;
  const Result<UdpSocket> no_device = UdpSocket::open_client("e9", address("10.1.0.2:0"));
  REQUIRE_FALSE(no_device);
  CHECK(no_device.error().message.find("e9") != std::string::npos);
  const Result<UdpSocket> no_address = UdpSocket::open_client("e1", address("10.77.0.2:0"));
  REQUIRE_FALSE(no_address);
  CHECK(no_address.error().message.find("10.77.0.2") != std::string::npos);
}

TEST_CASE("the server answers from the address and by the interface that it was asked by") {
  if (!fresh_namespace()) return;
  const TwoLinks net;
  net.server.enter();
  Result<UdpSocket> server = UdpSocket::open_server(address("0.0.0.0:4430"));
  REQUIRE(server);
  net.client.enter();
  Result<UdpSocket> client = UdpSocket::open_client("e2", address("10.2.0.2:0"));
  REQUIRE(client);
  for (const char* to : {"203.0.113.8:4430", "203.0.113.7:4430", "10.2.0.1:4430"}) {
    REQUIRE(send(*client, "who?", address(to)).items == 1);
    const std::vector<Received> asked = receive(*server, 1);
    REQUIRE(asked.size() == 1);
    net.server.enter();
    REQUIRE(send(*server, "me", asked[0].remote, asked[0].local).items == 1);
    net.client.enter();
    const std::vector<Received> answer = receive(*client, 1);
    REQUIRE(answer.size() == 1);
    CHECK(answer[0].remote == address(to));
  }
}

TEST_CASE("an answer by an interface without a route goes by routing, not into the void") {
  if (!fresh_namespace()) return;
  const TwoLinks net;
  // The client asks from an address behind e1 that the server knows only by s1, but the datagram comes by s2.
  ip("address add 198.51.100.1/32 dev e2");
  ip("address add 198.51.100.1/32 dev lo");
  net.server.enter();
  ip("route add default via 10.1.0.2 dev s1");
  Result<UdpSocket> server = UdpSocket::open_server(address("0.0.0.0:4430"));
  REQUIRE(server);
  net.client.enter();
  Result<UdpSocket> out = UdpSocket::open_client("e2", address("198.51.100.1:5555"));
  REQUIRE(out);
  REQUIRE(send(*out, "who?", address("203.0.113.7:4430")).items == 1);
  const std::vector<Received> asked = receive(*server, 1);
  REQUIRE(asked.size() == 1);
  Result<UdpSocket> in = UdpSocket::open_client("e1", address("198.51.100.1:5555"));
  REQUIRE(in);
  net.server.enter();
  REQUIRE(send(*server, "me", asked[0].remote, asked[0].local).items == 1);
  CHECK(receive(*in, 1).size() == 1);
}

TEST_CASE("ECN marks, receive times and IPv6") {
  if (!fresh_namespace()) return;
  const TwoLinks net;
  net.server.enter();
  Result<UdpSocket> server4 = UdpSocket::open_server(address("0.0.0.0:4430"));
  Result<UdpSocket> server6 = UdpSocket::open_server(address("[::]:4430"));  // V6ONLY: both fit on one port
  REQUIRE(server4);
  REQUIRE(server6);
  net.client.enter();
  Result<UdpSocket> client4 = UdpSocket::open_client("e1", address("10.1.0.2:0"));
  Result<UdpSocket> client6 = UdpSocket::open_client("e1", address("[fd01::2]:0"));
  REQUIRE(client4);
  REQUIRE(client6);
  for (uint8_t ecn = 0; ecn < 4; ++ecn) {
    const Time before = now();
    REQUIRE(send(*client4, "4", address("10.1.0.1:4430"), {}, ecn).items == 1);
    REQUIRE(send(*client6, "6", address("[fd01::1]:4430"), {}, ecn).items == 1);
    const std::vector<Received> got4 = receive(*server4, 1), got6 = receive(*server6, 1);
    REQUIRE(got4.size() == 1);
    REQUIRE(got6.size() == 1);
    CHECK(got4[0].ecn == ecn);
    CHECK(got6[0].ecn == ecn);
    CHECK(got6[0].local.ip.to_string() == "fd01::1");
    CHECK(got6[0].remote.ip.to_string() == "fd01::2");
    for (const Received& got : {got4[0], got6[0]}) {
      CHECK(got.at - before >= -Duration::micros(50));
      CHECK(got.at <= now());
    }
    net.server.enter();
    REQUIRE(send(*server6, "back", got6[0].remote, got6[0].local, ecn).items == 1);
    net.client.enter();
    const std::vector<Received> back = receive(*client6, 1);
    REQUIRE(back.size() == 1);
    CHECK(back[0].ecn == ecn);
    CHECK(back[0].remote.ip.to_string() == "fd01::1");
  }
}

TEST_CASE("the receive time is when the kernel got it, not when it was read") {
  if (!fresh_namespace()) return;
  Result<UdpSocket> server = UdpSocket::open_server(address("127.0.0.1:0"));
  Result<UdpSocket> client = UdpSocket::open_server(address("127.0.0.1:0"));
  REQUIRE(server);
  REQUIRE(client);
  const auto stamped_by_kernel = [&] {
    REQUIRE(send(*client, "x", server->local()).items == 1);
    pollfd wanted{server->fd(), POLLIN, 0};
    REQUIRE(::poll(&wanted, 1, 5000) == 1);
    const Time there = now();
    ::poll(nullptr, 0, 30);
    const std::vector<Received> got = receive(*server, 1);
    REQUIRE(got.size() == 1);
    return got[0].at <= there;
  };
  // The kernel begins to stamp some time after the first socket asked for it (a work queue, net_enable_timestamp()); from then
  // on it goes on.
  const Time most = now() + Duration::seconds(10);
  while (!stamped_by_kernel() && now() < most) continue;
  CHECK(stamped_by_kernel());
}

TEST_CASE("batches larger than a system call keep order; equal segments come as datagrams of their own") {
  if (!fresh_namespace()) return;
  Result<UdpSocket> server = UdpSocket::open_server(address("127.0.0.1:0"));
  Result<UdpSocket> client = UdpSocket::open_server(address("127.0.0.1:0"));
  REQUIRE(server);
  REQUIRE(client);
  std::vector<std::string> texts;
  for (int i = 0; i < 150; ++i) texts.push_back("datagram " + std::to_string(i));
  std::vector<SendItem> items;
  for (const std::string& text : texts) items.push_back({bytes(text), server->local(), client->local(), 0, 0});
  // Three segments, the last one shorter, in the middle.
  const std::string segments = std::string(1000, 'a') + std::string(1000, 'b') + std::string(10, 'c');
  items.insert(items.begin() + 60, {bytes(segments), server->local(), client->local(), 0, 1000});
  const SendResult sent = client->send(items);
  CHECK(sent.items == items.size());
  CHECK(sent.error == SendError::none);
  const std::vector<Received> got = receive(*server, 153, 100);
  REQUIRE(got.size() == 153);
  for (size_t i = 0; i < 60; ++i) CHECK(got[i].bytes == texts[i]);
  CHECK(got[60].bytes == std::string(1000, 'a'));
  CHECK(got[61].bytes == std::string(1000, 'b'));
  CHECK(got[62].bytes == std::string(10, 'c'));
  for (size_t i = 63; i < 153; ++i) CHECK(got[i].bytes == texts[i - 3]);
  CHECK(client->counters().sent_datagrams == 153);
  CHECK(client->counters().send_calls <= 4);
}

TEST_CASE("send errors are values: too big, unreachable; what went before counts") {
  if (!fresh_namespace()) return;
  const TwoLinks net;
  Result<UdpSocket> client = UdpSocket::open_client("e1", address("10.1.0.2:0"));
  Result<UdpSocket> client6 = UdpSocket::open_client("e1", address("[fd01::2]:0"));
  REQUIRE(client);
  REQUIRE(client6);
  CHECK(send(*client, std::string(1472, 'x'), address("10.1.0.1:4430")).items == 1);
  CHECK(send(*client, std::string(1473, 'x'), address("10.1.0.1:4430")).error == SendError::message_too_big);
  CHECK(send(*client6, std::string(1452, 'x'), address("[fd01::1]:4430")).items == 1);
  CHECK(send(*client6, std::string(1453, 'x'), address("[fd01::1]:4430")).error == SendError::message_too_big);
  CHECK(send(*client6, "x", address("[2001:db8::1]:4430")).error == SendError::unreachable);

  const std::string one = "one", big(2000, 'x'), three = "three";
  const std::array<SendItem, 3> items{SendItem{bytes(one), address("10.1.0.1:4430"), {}, 0, 0},
                                      SendItem{bytes(big), address("10.1.0.1:4430"), {}, 0, 0},
                                      SendItem{bytes(three), address("10.1.0.1:4430"), {}, 0, 0}};
  const SendResult result = client->send(items);
  CHECK(result.items == 1);
  CHECK(result.error == SendError::message_too_big);
  CHECK(result.os_error == EMSGSIZE);

  ip("link set e1 down");
  CHECK(send(*client, "x", address("10.1.0.1:4430")).error == SendError::unreachable);
  ip("link delete e1");
  CHECK(send(*client, "x", address("10.1.0.1:4430")).error == SendError::unreachable);
  std::array<uint8_t, 100> storage{};
  ReceiveSlot slot;
  slot.buffer = storage;
  CHECK(client->receive({&slot, 1}) == 0);
}

TEST_CASE("a taken port is named with the command that shows by whom") {
  if (!fresh_namespace()) return;
  const Result<UdpSocket> first = UdpSocket::open_server(address("127.0.0.1:4430"));
  REQUIRE(first);
  const Result<UdpSocket> second = UdpSocket::open_server(address("127.0.0.1:4430"));
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ExitCode::system_integration);
  CHECK(second.error().message.find("4430") != std::string::npos);
  CHECK(second.error().message.find("ss -ulpn") != std::string::npos);
}

TEST_CASE("what the kernel drops for want of a buffer is counted") {
  if (!fresh_namespace()) return;
  Result<UdpSocket> server = UdpSocket::open_server(address("127.0.0.1:0"));
  Result<UdpSocket> client = UdpSocket::open_server(address("127.0.0.1:0"));
  REQUIRE(server);
  REQUIRE(client);
  CHECK(server->receive_buffer() >= 200'000);
  const std::string text(1400, 'x');
  size_t sent = 0;
  // More than any buffer granted holds: each datagram costs the kernel at least its bytes.
  while (sent * text.size() < server->receive_buffer() * 2) sent += send(*client, text, server->local()).items;
  const size_t got = receive(*server, sent, 50).size();
  CHECK(got < sent);
  // The counter comes with the next datagram that does arrive.
  REQUIRE(send(*client, "last", server->local()).items == 1);
  CHECK(receive(*server, 1).size() == 1);
  CHECK(server->counters().kernel_drops == sent - got);
}

TEST_CASE("a datagram larger than the buffer is marked") {
  if (!fresh_namespace()) return;
  Result<UdpSocket> server = UdpSocket::open_server(address("127.0.0.1:0"));
  Result<UdpSocket> client = UdpSocket::open_server(address("127.0.0.1:0"));
  REQUIRE(server);
  REQUIRE(client);
  REQUIRE(send(*client, std::string(200, 'x'), server->local()).items == 1);
  std::array<uint8_t, 100> storage{};
  ReceiveSlot slot;
  slot.buffer = storage;
  pollfd wanted{server->fd(), POLLIN, 0};
  ::poll(&wanted, 1, 500);
  REQUIRE(server->receive({&slot, 1}) == 1);
  CHECK(slot.truncated);
}

TEST_CASE("sockets that share a port get what the rule says, and the port stays closed to others") {
  if (!fresh_namespace()) return;
  ip("link set lo up");
  for (const char* listen : {"127.0.0.1:4430", "[::1]:4430"}) {
    INFO(listen);
    std::vector<UdpSocket> workers;
    Result<UdpSocket> first = UdpSocket::open_server(address(listen));
    REQUIRE(first);
    workers.push_back(std::move(*first));
    for (int i = 0; i < 2; ++i) {
      Result<UdpSocket> another = workers.front().open_sharing();
      REQUIRE(another);
      workers.push_back(std::move(*another));
    }
    const Result<UdpSocket> stranger = UdpSocket::open_server(address(listen));
    REQUIRE_FALSE(stranger);
    CHECK(stranger.error().message.find("taken") != std::string::npos);

    Steering steering;
    steering.workers = 3;
    REQUIRE(workers.front().steer(steering));
    Result<UdpSocket> client = UdpSocket::open_server(address(listen[0] == '[' ? "[::1]:0" : "127.0.0.1:0"));
    REQUIRE(client);
    std::vector<std::string> datagrams{"", "x", std::string("\x01\x00", 2), std::string(20, '\x03')};
    for (char i = 0; i < 12; ++i) {
      datagrams.push_back(std::string("\x01\x81\x02\x03", 4) + i + "data");  // a receiver index beyond 2^31
      datagrams.push_back(std::string("\x02\x01\x00\x00____\xf0\x02\x03", 11) + i + "initiation");
    }
    std::array<std::multiset<std::string>, 3> wanted;
    for (const std::string& d : datagrams) {
      wanted[steering.of_datagram(bytes(d))].insert(d);
      REQUIRE(send(*client, d, address(listen)).items == 1);
    }
    for (size_t i = 0; i < workers.size(); ++i) {
      INFO("worker " << i);
      std::multiset<std::string> got;
      for (const Received& r : receive(workers[i], datagrams.size(), 50)) got.insert(r.bytes);
      CHECK(got == wanted[i]);
      CHECK(got.size() >= 8);
    }
  }
}

}  // namespace
}  // namespace hawser
