// TUN devices: names, addresses, packets both ways.
#include "platform/tun.h"
#include "netns.h"
#include "platform/netlink.h"
#include "platform/process.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <set>

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

// A socket that talks to 10.9.0.1:5000, which is behind the device.
struct Talker {
  UniqueFd fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  sockaddr_in to{};
  Talker() {
    to.sin_family = AF_INET;
    to.sin_port = htons(5000);
    to.sin_addr.s_addr = htonl(0x0a090001);
  }
  bool send(const std::string& bytes, int segment) {
    ::setsockopt(fd.get(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    return ::sendto(fd.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) ==
           static_cast<ssize_t>(bytes.size());
  }
};

TEST_CASE("super-packets come as packets and leave as one, with offloads and without") {
  for (const bool on : {true, false}) {
    if (!testing::fresh_namespace_with_tun()) return;
    CAPTURE(on);
    Result<TunDevice> tun = TunDevice::open("auto", {on, on});
    REQUIRE(tun);
    CHECK(tun->reads().tcp == on);
    CHECK(tun->writes().tcp == on);
    const bool udp = tun->reads().udp;  // not every kernel has it
    REQUIRE(tun->add_address(prefix("10.9.0.2/24")));
    REQUIRE(tun->set_up(true));
    Talker talker;
    std::string text;
    for (int i = 0; i < 1000; ++i) text.push_back(static_cast<char>('a' + i / 100));
    REQUIRE(talker.send(text, 100));
    // Four at a time: what is left of a super-packet is told.
    std::vector<std::vector<uint8_t>> packets;
    std::array<std::array<uint8_t, 200>, 4> storage{};
    std::array<MutableByteSpan, 4> buffers;
    std::copy(storage.begin(), storage.end(), buffers.begin());
    std::array<size_t, 4> sizes{};
    for (size_t count; (count = tun->read_batch(buffers, sizes)) > 0;) {
      for (size_t i = 0; i < count; ++i) packets.emplace_back(storage[i].begin(), storage[i].begin() + static_cast<long>(sizes[i]));
      CHECK(tun->has_rest() == (udp && packets.size() < 10));
    }
    REQUIRE(packets.size() == 10);
    CHECK(tun->counters().read_packets == 10);
    CHECK(tun->counters().read_super == (udp ? 1 : 0));
    std::vector<ByteSpan> answers;
    for (auto& p : packets) {
      REQUIRE(p.size() == 128);
      std::swap_ranges(p.begin() + 12, p.begin() + 16, p.begin() + 16);
      std::swap_ranges(p.begin() + 20, p.begin() + 22, p.begin() + 22);
      answers.emplace_back(p);
    }
    packets[6][70] ^= 1;  // corrupt: it must not come through, and the others must
    CHECK(tun->write_batch(answers) == 10);
    CHECK(tun->counters().written_packets == 10);
    CHECK(tun->counters().written_super == (udp ? 2 : 0));
    CHECK(tun->counters().fallbacks == 0);
    std::string got;
    char answer[200];
    for (ssize_t n; (n = ::recv(talker.fd.get(), answer, sizeof answer, 0)) > 0;) got.append(answer, static_cast<size_t>(n));
    CHECK(got == text.substr(0, 600) + text.substr(700));
  }
}

TEST_CASE("a packet above the reader's buffers is dropped, not cut") {
  if (!testing::fresh_namespace_with_tun()) return;
  Result<TunDevice> tun = TunDevice::open("auto");
  REQUIRE(tun);
  REQUIRE(tun->add_address(prefix("10.9.0.2/24")));
  REQUIRE(tun->set_up(true));
  Talker talker;
  REQUIRE(talker.send(std::string(1000, 'x'), 0));
  std::array<uint8_t, 500> storage{};
  const std::array<MutableByteSpan, 1> buffers{storage};
  std::array<size_t, 1> sizes{};
  CHECK(tun->read_batch(buffers, sizes) == 0);
  CHECK(tun->counters().read_malformed == 1);
  CHECK_FALSE(tun->has_rest());
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

// Sends a UDP packet to each of these places of 10.9.0.0/16 and fd00::/48 and returns in whose queue each came out.
std::array<std::set<std::string>, 3> queues_of(std::vector<TunDevice>& queues) {
  for (const int family : {AF_INET, AF_INET6}) {
    const UniqueFd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    for (int place = 2; place < 14; ++place) {
      sockaddr_storage to{};
      socklen_t length = 0;
      if (family == AF_INET) {
        auto& in = reinterpret_cast<sockaddr_in&>(to);
        in.sin_family = AF_INET, in.sin_port = htons(9), in.sin_addr.s_addr = htonl(0x0a090000u + static_cast<uint32_t>(place));
        length = sizeof in;
      } else {
        auto& in = reinterpret_cast<sockaddr_in6&>(to);
        in.sin6_family = AF_INET6, in.sin6_port = htons(9);
        in.sin6_addr.s6_addr[0] = 0xfd, in.sin6_addr.s6_addr[15] = static_cast<uint8_t>(place);
        length = sizeof in;
      }
      REQUIRE(::sendto(fd.get(), "hello", 5, 0, reinterpret_cast<sockaddr*>(&to), length) == 5);
    }
  }
  std::array<std::set<std::string>, 3> found;
  std::vector<uint8_t> storage(2000);
  const MutableByteSpan buffer(storage);
  size_t size = 0;
  for (size_t i = 0; i < queues.size(); ++i) {
    while (queues[i].readable() && queues[i].read_batch({&buffer, 1}, {&size, 1}) == 1) {
      if (storage[0] == 0x45 && storage[9] == 17) found[i].insert(IpAddress::v4(ByteSpan(storage).subspan(16, 4)).to_string());
      if (storage[0] >> 4 == 6 && storage[6] == 17) found[i].insert(IpAddress::v6(ByteSpan(storage).subspan(24, 16)).to_string());
    }
  }
  return found;
}

TEST_CASE("queues of one TUN get the packets that the rule says; without the rule one queue gets all, and the others write") {
  enum Mode { steered, not_steered, one_queue };
  for (const Mode mode : {steered, not_steered, one_queue}) {
    INFO("steered, not steered, one queue: " << mode);
    const bool multi = mode != one_queue;
    if (!testing::fresh_namespace_with_tun()) return;
    std::vector<TunDevice> queues;
    Result<TunDevice> first = TunDevice::open("queues0", {}, multi);
    REQUIRE(first);
    REQUIRE(first->multi_queue() == multi);
    queues.push_back(std::move(*first));
    const Steering steering = Steering::of_pools(3, prefix("10.9.0.0/16"), prefix("fd00::/48"));
    if (mode == one_queue) CHECK_FALSE(queues.front().steer(steering));
    if (mode == steered && !queues.front().steer(steering)) {
      WARN("this kernel lets us load no program: not tested");
      continue;
    }
    for (int i = 0; i < 2; ++i) {
      Result<TunDevice> another = queues.front().open_queue();
      REQUIRE(another);
      CHECK(another->readable() == (mode == steered));
      queues.push_back(std::move(*another));
    }
    REQUIRE(queues.front().set_mtu(1400));
    REQUIRE(queues.front().set_addresses({prefix("10.9.0.1/16"), prefix("fd00::1/48")}));
    REQUIRE(queues.front().set_up(true));
    const auto found = queues_of(queues);
    std::set<std::string> wanted[3];
    for (uint64_t place = 2; place < 14; ++place) {
      for (const char* pool : {"10.9.0.0/16", "fd00::/48"}) {
        const IpAddress a = prefix(pool).nth(place);
        wanted[mode == steered ? steering.of_address(a) : 0].insert(a.to_string());
      }
    }
    for (size_t i = 0; i < 3; ++i) CHECK(found[i] == wanted[i]);

    // Whoever writes, the kernel takes it: a packet to the device's own address comes to a socket.
    const UniqueFd inner(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in own{};
    own.sin_family = AF_INET, own.sin_port = htons(7), own.sin_addr.s_addr = htonl(0x0a090001u);
    REQUIRE(::bind(inner.get(), reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
    std::array<uint8_t, 32> packet{0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 5, 10, 9, 0, 1, 0, 9, 0, 7, 0, 12, 0, 0, 'a', 'b', 'c', 'd'};
    uint32_t sum = 0;
    for (size_t i = 0; i < 20; i += 2) sum += uint32_t{packet[i]} << 8 | packet[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    packet[10] = static_cast<uint8_t>(~sum >> 8), packet[11] = static_cast<uint8_t>(~sum);
    for (TunDevice& queue : queues) {
      const ByteSpan view(packet);
      queue.write_batch({&view, 1});
      CHECK(queue.counters().written_packets == 1);
      char got[8];
      pollfd wait{inner.get(), POLLIN, 0};
      ::poll(&wait, 1, 500);
      CHECK(::recv(inner.get(), got, sizeof got, 0) == 4);
    }
  }
}

}  // namespace
}  // namespace hawser
