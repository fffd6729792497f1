// TUN devices: names, addresses, packets both ways.
#include "platform/tun.h"
#include "netns.h"
#include "platform/netlink.h"
#include "platform/process.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace hawser {
namespace {

using testing::ip;

IpPrefix prefix(const char* text) {
  return *IpPrefix::parse(text);
}

// Reads packets for up to a second until one is IPv4 UDP; the kernel may send others.
std::vector<uint8_t> next_udp_packet(TunDevice& tun) {
  std::array<std::array<uint8_t, 2000>, 4> storage{};
  std::array<MutableByteSpan, 4> buffers;
  std::copy(storage.begin(), storage.end(), buffers.begin());
  std::array<size_t, 4> sizes{};
  for (int i = 0; i < 100; ++i) {
    const size_t count = tun.read_batch(buffers, sizes);
    for (size_t p = 0; p < count; ++p) {
      if (sizes[p] > 28 && storage[p][0] == 0x45 && storage[p][9] == 17) {
        return {storage[p].begin(), storage[p].begin() + static_cast<long>(sizes[p])};
      }
    }
    pollfd wanted{tun.fd(), POLLIN, 0};
    ::poll(&wanted, 1, 10);
  }
  return {};
}

TEST_CASE("a TUN device gets a free name, MTU, addresses, and goes with its descriptor") {
  if (!testing::fresh_namespace_with_tun()) return;
  std::string name;
  {
    Result<TunDevice> first = TunDevice::open("auto");
    REQUIRE(first);
    CHECK(first->name() == "hawser0");
    Result<TunDevice> second = TunDevice::open("auto");
    REQUIRE(second);
    CHECK(second->name() == "hawser1");
    REQUIRE(first->set_mtu(1432));
    REQUIRE(first->set_addresses({prefix("10.9.0.2/32"), prefix("fd3a:71c2:9e04::2/128")}));
    REQUIRE(first->set_up(true));
    const std::string shown = ip("address show dev hawser0");
    CHECK(shown.find("mtu 1432") != std::string::npos);
    CHECK(shown.find("inet 10.9.0.2/32") != std::string::npos);
    CHECK(shown.find("inet6 fd3a:71c2:9e04::2/128") != std::string::npos);
    CHECK(shown.find("tentative") == std::string::npos);
    CHECK(shown.find("fe80") == std::string::npos);  // no chatter about an address nobody needs
    CHECK(first->index() == interface_index("hawser0"));
    // The same again is no error; another set replaces.
    REQUIRE(first->set_addresses({prefix("10.9.0.2/32"), prefix("10.9.0.3/32")}));
    const std::string then = ip("address show dev hawser0");
    CHECK(then.find("10.9.0.3/32") != std::string::npos);
    CHECK(then.find("fd3a") == std::string::npos);
  }
  CHECK(interface_index("hawser0") == 0);
}

TEST_CASE("a taken or impossible name is refused with a reason") {
  if (!testing::fresh_namespace_with_tun()) return;
  ip("tuntap add dev other0 mode tun");
  ip("link add br0 type bridge");
  for (const char* taken : {"other0", "br0"}) {
    const Result<TunDevice> tun = TunDevice::open(taken);
    REQUIRE_FALSE(tun);
    CHECK(tun.error().code == ExitCode::conflict);
    CHECK(tun.error().message.find(taken) != std::string::npos);
  }
  for (const char* bad : {"", "a name", "sixteencharacter", "quo\"te", "tun%d"}) {
    const Result<TunDevice> tun = TunDevice::open(bad);
    REQUIRE_FALSE(tun);
    CHECK(tun.error().code == ExitCode::configuration);
  }
}

TEST_CASE("packets go through in batches both ways") {
  if (!testing::fresh_namespace_with_tun()) return;
  Result<TunDevice> tun = TunDevice::open("auto");
  REQUIRE(tun);
  REQUIRE(tun->add_address(prefix("10.9.0.2/24")));
  REQUIRE(tun->set_up(true));
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(5000);
  to.sin_addr.s_addr = htonl(0x0a090001);
  REQUIRE(::sendto(socket.get(), "ping", 4, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) == 4);
  std::vector<uint8_t> packet = next_udp_packet(*tun);
  REQUIRE(packet.size() == 32);
  CHECK(std::string(packet.end() - 4, packet.end()) == "ping");

  // Back with addresses and ports swapped, the sums stay right; beside it one that is no packet at all.
  std::swap_ranges(packet.begin() + 12, packet.begin() + 16, packet.begin() + 16);
  std::swap_ranges(packet.begin() + 20, packet.begin() + 22, packet.begin() + 22);
  const std::array<uint8_t, 3> junk{0xff, 1, 2};
  const std::array<ByteSpan, 2> out{ByteSpan(junk), ByteSpan(packet)};
  CHECK(tun->write_batch(out) == 2);
  CHECK(tun->counters().write_refused == 1);
  CHECK(tun->counters().written_packets == 1);
  char answer[16];
  CHECK(::recv(socket.get(), answer, sizeof answer, 0) == 4);
  std::array<size_t, 0> none{};
  CHECK(tun->read_batch({}, none) == 0);
}

TEST_CASE("a device that somebody deletes is noticed") {
  if (!testing::fresh_namespace_with_tun()) return;
  Result<TunDevice> tun = TunDevice::open("auto");
  REQUIRE(tun);
  CHECK_FALSE(tun->gone());
  ip("link delete " + tun->name());
  std::array<uint8_t, 100> storage{};
  const std::array<MutableByteSpan, 1> buffers{storage};
  std::array<size_t, 1> sizes{};
  CHECK(tun->read_batch(buffers, sizes) == 0);
  CHECK(tun->gone());
}

TEST_CASE("with IPv6 switched off the IPv4 address is set all the same") {
  if (!testing::fresh_namespace_with_tun()) return;
  REQUIRE(run_program({"sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"}));
  CHECK_FALSE(ipv6_enabled());
  Result<TunDevice> tun = TunDevice::open("auto");
  REQUIRE(tun);
  REQUIRE(tun->set_addresses({prefix("10.9.0.2/32"), prefix("fd3a::2/128")}));
  CHECK(tun->addresses() == std::vector<IpPrefix>{prefix("10.9.0.2/32")});
  const Status direct = tun->add_address(prefix("fd3a::2/128"));
  REQUIRE_FALSE(direct);
  CHECK(direct.error().message.find("IPv6 is switched off") != std::string::npos);
}

}  // namespace
}  // namespace hawser
