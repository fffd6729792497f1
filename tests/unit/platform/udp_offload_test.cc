// UDP_SEGMENT and UDP_GRO: used, switched off, and given up when the kernel refuses them at run time.
#include "netns.h"
#include "platform/udp.h"

#include <poll.h>
#include <sys/socket.h>

namespace hawser {
namespace {

using testing::fresh_namespace;
using testing::ip;

SocketAddress address(const char* text) {
  return *SocketAddress::parse(text);
}

// `count` datagrams of 1000 bytes, each filled with a letter of its own, and a short one at the end.
std::string train(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text.append(i + 1 < count ? 1000 : 10, static_cast<char>('a' + i % 26));
  return text;
}

SendResult send(UdpSocket& socket, const std::string& text, const SocketAddress& to, size_t segment) {
  const SendItem item{{reinterpret_cast<const uint8_t*>(text.data()), text.size()}, to, {}, 0, segment};
  return socket.send({&item, 1});
}

struct Got {
  std::string bytes;
  size_t datagrams = 0;
};

Got receive(UdpSocket& socket) {
  Got got;
  ReceiveBuffers buffers;
  for (pollfd wanted{socket.fd(), POLLIN, 0}; ::poll(&wanted, 1, 100) > 0;) {
    for (const ReceiveSlot& slot : buffers.receive(socket)) {
      CHECK_FALSE(slot.truncated);
      for_each_datagram(slot, [&](MutableByteSpan bytes) {
        got.bytes.append(bytes.begin(), bytes.end());
        ++got.datagrams;
      });
    }
  }
  return got;
}

struct Pair {
  Result<UdpSocket> server, client;
  explicit Pair(UdpOffload receiver, UdpOffload sender)
      : server(UdpSocket::open_server(address("127.0.0.1:0"), receiver)),
        client(UdpSocket::open_server(address("127.0.0.1:0"), sender)) {
    REQUIRE(server);
    REQUIRE(client);
  }
};

TEST_CASE("datagrams travel together where both sides may, and arrive one by one everywhere") {
  for (const bool segment : {true, false}) {
    for (const bool gro : {true, false}) {
      if (!fresh_namespace()) return;
      CAPTURE(segment, gro);
      Pair p({.send = true, .receive = gro}, {.send = segment, .receive = false});
      CHECK(p.server->offload().receive == gro);
      CHECK(p.client->offload().send == segment);
      // More than one send may hold: 63 datagrams, 65,000 bytes.
      const std::string text = train(150);
      REQUIRE(send(*p.client, text, p.server->local(), 1000).items == 1);
      CHECK(p.client->counters().sent_datagrams == 150);
      CHECK(p.client->counters().sent_super == (segment ? 3 : 0));
      CHECK(p.client->counters().send_calls == (segment ? 1 : 3));
      const Got got = receive(*p.server);
      CHECK(got.bytes == text);
      CHECK(got.datagrams == 150);
      CHECK(p.server->counters().received_datagrams == 150);
      CHECK(p.server->counters().received_super == (segment && gro ? 3 : 0));
      CHECK(p.client->counters().fallbacks == 0);
    }
  }
}

TEST_CASE("a kernel that refuses the send gets the datagrams one by one, and is not asked again") {
  if (!fresh_namespace()) return;
  Pair p({.send = true, .receive = true}, {});
  // Without checksums there is nothing that a device could complete: EINVAL for several, not for one.
  const int one = 1;
  REQUIRE(::setsockopt(p.client->fd(), SOL_SOCKET, SO_NO_CHECK, &one, sizeof one) == 0);
  const std::string text = train(100);
  REQUIRE(send(*p.client, text, p.server->local(), 1000).items == 1);
  CHECK(p.client->counters().fallbacks == 1);
  CHECK_FALSE(p.client->offload().send);
  CHECK(receive(*p.server).bytes == text);
  REQUIRE(send(*p.client, text, p.server->local(), 1000).items == 1);
  CHECK(p.client->counters().fallbacks == 1);
  CHECK(p.client->counters().sent_super == 0);
  CHECK(receive(*p.server).bytes == text);
}

TEST_CASE("an MTU below the segments is no fault of the offload") {
  if (!fresh_namespace()) return;
  Pair p({}, {});
  ip("link set lo mtu 900");
  const SendResult result = send(*p.client, train(5), p.server->local(), 1000);
  CHECK(result.items == 0);
  CHECK(result.error == SendError::message_too_big);
  CHECK(p.client->offload().send);
  ip("link set lo mtu 1500");
  REQUIRE(send(*p.client, train(5), p.server->local(), 1000).items == 1);
  CHECK(p.client->counters().sent_super == 1);
}

// How many slots the last of `rounds` receives brought, while more trains wait than it may take.
size_t slots_of_last(Pair& p, ReceiveBuffers& buffers, size_t datagrams_each, size_t trains, int rounds) {
  const std::string text = train(datagrams_each);
  for (size_t i = 0; i < trains; ++i) REQUIRE(send(*p.client, text, p.server->local(), 1000).items == 1);
  size_t count = 0, datagrams = 0;
  for (int i = 0; i < rounds; ++i) {
    count = 0;
    for (const ReceiveSlot& slot : buffers.receive(*p.server)) {
      ++count;
      for_each_datagram(slot, [&](MutableByteSpan) { ++datagrams; });
    }
  }
  while (!buffers.receive(*p.server).empty()) {
  }
  return count;
}

TEST_CASE("short trains are received many at a time, long ones few") {
  if (!fresh_namespace()) return;
  Pair p({.send = true, .receive = true}, {.send = true, .receive = false});
  ReceiveBuffers buffers;
  CHECK(slots_of_last(p, buffers, 3, 120, 1) == 8);
  CHECK(slots_of_last(p, buffers, 3, 120, 1) == 64);  // of three datagrams each even the most slots bring few
  CHECK(slots_of_last(p, buffers, 20, 120, 3) == 16);
}

}  // namespace
}  // namespace hawser
