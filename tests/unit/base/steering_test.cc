// Which worker something belongs to: users by their place in the pools, datagrams by index and ephemeral key.
#include "common/steering.h"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

namespace hawser {
namespace {

IpPrefix prefix(const char* text) { return *IpPrefix::parse(text); }
IpAddress address(const char* text) { return *IpAddress::parse(text); }

std::vector<uint8_t> packet_to(const IpAddress& destination) {
  std::vector<uint8_t> p(destination.is_v4() ? 28 : 48);
  p[0] = destination.is_v4() ? 0x45 : 0x60;
  const ByteSpan octets = destination.octets();
  std::copy(octets.begin(), octets.end(), p.begin() + (destination.is_v4() ? 16 : 24));
  return p;
}

TEST_CASE("a user's two addresses have one owner, and neighbours are spread evenly") {
  struct Case {
    const char *name, *v4, *v6;
  };
  const Case cases[] = {
      {"the default pools", "10.9.0.0/16", "fd3a:71c2:9e04::/48"},
      {"pools that begin anywhere", "192.168.44.64/26", "fd00:1::a:b:c:0/112"},
      {"large ones", "10.0.0.0/8", "2001::/16"},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    for (const uint32_t workers : {1u, 2u, 3u, 8u}) {
      const Steering s = Steering::of_pools(workers, prefix(c.v4), prefix(c.v6));
      std::vector<int> users(workers);
      for (uint64_t place = 2; place < 2 + 6 * workers; ++place) {
        const IpAddress v4 = prefix(c.v4).nth(place), v6 = prefix(c.v6).nth(place);
        const uint32_t owner = s.of_user(v4, v6);
        REQUIRE(owner < workers);
        ++users[owner];
        CHECK(s.of_user({}, v6) == owner);
        CHECK(s.of_packet(packet_to(v4)) == owner);
        CHECK(s.of_packet(packet_to(v6)) == owner);
      }
      CHECK(users == std::vector<int>(workers, 6));
    }
  }
}

TEST_CASE("datagrams go where index or ephemeral key say; what is too short goes to the first worker") {
  const Steering s = Steering::of_pools(5, prefix("10.9.0.0/16"), {});
  std::vector<uint8_t> data(40, 0xee);
  data[0] = 1;
  for (const uint32_t index : {0u, 1u, 4u, 5u, 0x12345678u, 0xffffffffu}) {
    for (int i = 0; i < 4; ++i) data[static_cast<size_t>(1 + i)] = static_cast<uint8_t>(index >> (24 - 8 * i));
    CHECK(s.of_datagram(data) == s.of_index(SessionIndex{index}));
  }
  std::set<uint32_t> seen;
  std::vector<uint8_t> initiation(1200, 0xee);
  initiation[0] = 2;
  for (uint8_t last = 0; last < 10; ++last) {
    initiation[11] = last;  // of the first word of the ephemeral key
    seen.insert(s.of_datagram(initiation));
    auto by_another_path = initiation;
    by_another_path[1199] ^= 1;  // mac2 differs
    by_another_path[4] ^= 1;
    CHECK(s.of_datagram(by_another_path) == s.of_datagram(initiation));
  }
  CHECK(seen.size() == 5);
  CHECK(s.of_datagram({}) == 0);
  CHECK(s.of_datagram(ByteSpan(data).first(4)) == 0);
  CHECK(s.of_datagram(ByteSpan(initiation).first(11)) == 0);
  data[0] = 3;
  CHECK(s.of_datagram(data) == 0);
  CHECK(s.of_packet({}) == 0);
  CHECK(s.of_packet(ByteSpan(packet_to(address("10.9.0.3"))).first(19)) == 0);
  CHECK(s.of_packet(ByteSpan(packet_to(address("fd00::3"))).first(39)) == 0);
}

}  // namespace
}  // namespace hawser
