// What the sender of a too large packet is told, byte by byte; and when it is told nothing.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>

#include "common/queue/too_big.h"
#include "tests/unit/base/offload_support.h"

namespace hawser {
namespace {

using testing::Bytes;
using testing::PacketSpec;

const IpAddress kFrom4 = *IpAddress::parse("10.9.0.1"), kFrom6 = *IpAddress::parse("fd00::1");

PacketSpec large(bool v6, size_t payload = 1372) {
  PacketSpec s;
  s.v6 = v6;
  s.udp = true;
  s.payload = payload;
  return s;
}

Bytes told(const Bytes& packet, const IpAddress& from, uint16_t mtu = 1280) {
  PacketPool pool;
  const Packet p = too_big_message(packet, from, mtu, pool);
  return {p.bytes().begin(), p.bytes().end()};
}

TEST_CASE("too big, IPv4: RFC 792's message with RFC 1191's MTU") {
  const Bytes packet = testing::make_packet(large(false));
  const Bytes m = told(packet, kFrom4);
  REQUIRE(m.size() == 576);  // RFC 1812: as much of the packet as fits
  CHECK(m[0] == 0x45);
  CHECK((m[2] << 8 | m[3]) == 576);
  CHECK((m[6] << 8 | m[7]) == 0);
  CHECK(m[9] == 1);
  CHECK(ones_sum(ByteSpan(m).first(20)) == 0xffff);
  CHECK(IpAddress::v4(ByteSpan(m).subspan(12, 4)) == kFrom4);
  CHECK(IpAddress::v4(ByteSpan(m).subspan(16, 4)) == IpAddress::v4(ByteSpan(packet).subspan(12, 4)));
  CHECK(m[20] == 3);
  CHECK(m[21] == 4);
  CHECK((m[24] << 8 | m[25]) == 0);
  CHECK((m[26] << 8 | m[27]) == 1280);
  CHECK(ones_sum(ByteSpan(m).subspan(20)) == 0xffff);
  CHECK(std::equal(m.begin() + 28, m.end(), packet.begin()));
}

Bytes from_hex(std::string_view text) {
  Bytes b;
  for (size_t i = 0; i + 1 < text.size(); i += 2) b.push_back(static_cast<uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  return b;
}

TEST_CASE("too big: vectors, made by another program") {
  CHECK(told(from_hex("4500002000644000401126670a0000010a00000203e807d0000c000001020304"), kFrom4, 1221) ==
        from_hex("45c0003c00000000400165f70a0900010a0000010304e86c000004c5"
                 "4500002000644000401126670a0000010a00000203e807d0000c000001020304"));
  CHECK(told(from_hex("60000000000c1140fd00000000000000000000000000000220010db800000000000000000000000703e807d0000c000001020304"),
             kFrom6) ==
        from_hex("60000000003c3a40fd000000000000000000000000000001fd000000000000000000000000000002020052ab00000500"
                 "60000000000c1140fd00000000000000000000000000000220010db800000000000000000000000703e807d0000c000001020304"));
}

TEST_CASE("too big, IPv6: RFC 4443's message, never above IPv6's least MTU") {
  const Bytes packet = testing::make_packet(large(true));
  const Bytes m = told(packet, kFrom6);
  REQUIRE(m.size() == 1280);
  CHECK(m[0] == 0x60);
  CHECK((m[4] << 8 | m[5]) == 1240);
  CHECK(m[6] == 58);
  CHECK(IpAddress::v6(ByteSpan(m).subspan(8, 16)) == kFrom6);
  CHECK(IpAddress::v6(ByteSpan(m).subspan(24, 16)) == IpAddress::v6(ByteSpan(packet).subspan(8, 16)));
  CHECK(m[40] == 2);
  CHECK(m[41] == 0);
  CHECK((m[44] << 24 | m[45] << 16 | m[46] << 8 | m[47]) == 1280);
  CHECK(ones_add(pseudo_header_sum(m, 58, 1240), ones_sum(ByteSpan(m).subspan(40))) == 0xffff);
  CHECK(std::equal(m.begin() + 48, m.end(), packet.begin()));
}

TEST_CASE("too big: nothing is said where RFC 1122 and RFC 4443 forbid it") {
  const Bytes v4 = testing::make_packet(large(false)), v6 = testing::make_packet(large(true));
  struct Case {
    const char* name;
    bool v6;
    std::vector<std::pair<size_t, uint8_t>> bytes;  // set in the packet
    bool answered;
  };
  const Case cases[] = {
      {"as it is, v4", false, {}, true},
      {"as it is, v6", true, {}, true},
      {"may be fragmented", false, {{6, 0}}, false},
      {"a later fragment", false, {{7, 1}}, false},
      {"the first of several", false, {{6, 0x60}}, true},
      {"echo request", false, {{9, 1}, {20, 8}}, true},
      {"echo reply", false, {{9, 1}, {20, 0}}, true},
      {"unreachable", false, {{9, 1}, {20, 3}}, false},
      {"source quench", false, {{9, 1}, {20, 4}}, false},
      {"redirect", false, {{9, 1}, {20, 5}}, false},
      {"time exceeded", false, {{9, 1}, {20, 11}}, false},
      {"parameter problem", false, {{9, 1}, {20, 12}}, false},
      {"to a multicast group", false, {{16, 224}}, false},
      {"to everybody", false, {{16, 255}, {17, 255}, {18, 255}, {19, 255}}, false},
      {"from a multicast group", false, {{12, 239}}, false},
      {"from nobody", false, {{12, 0}}, false},
      {"from loopback", false, {{12, 127}}, false},
      {"v6: too big itself", true, {{6, 58}, {40, 2}}, false},
      {"v6: an unknown error", true, {{6, 58}, {40, 127}}, false},
      {"v6: redirect", true, {{6, 58}, {40, 137}}, false},
      {"v6: echo request", true, {{6, 58}, {40, 128}}, true},
      {"v6: first fragment", true, {{6, 44}, {40, 17}, {42, 0}, {43, 1}}, true},
      {"v6: later fragment", true, {{6, 44}, {40, 17}, {42, 0}, {43, 8}}, false},
      {"v6: to a multicast group", true, {{24, 0xff}}, true},
      {"v6: from a multicast group", true, {{8, 0xff}}, false},
      {"v6: from nobody", true, {{23, 0}}, false},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    Bytes packet = c.v6 ? v6 : v4;
    for (const auto& [at, value] : c.bytes) packet[at] = value;
    CHECK(told(packet, c.v6 ? kFrom6 : kFrom4).empty() == !c.answered);
  }
  CHECK(told(v4, kFrom6).empty());
  CHECK(told(v4, IpAddress{}).empty());
  CHECK(told({}, kFrom4).empty());
  PacketPool full(2048, 0);
  std::vector<Packet> held;
  while (Packet p = full.allocate()) held.push_back(std::move(p));
  CHECK_FALSE(too_big_message(v4, kFrom4, 1280, full));
}

}  // namespace
}  // namespace hawser
