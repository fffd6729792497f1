// The echo that proves the tunnel: its bytes, and what is taken for its reply.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "client/first_round_trip.h"

using namespace hawser;
using client::FirstRoundTrip;

namespace {

// RFC 1071 over everything: zero when the checksum inside is right.
uint16_t checksum(ByteSpan bytes, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

uint32_t pseudo_header_sum(ByteSpan packet) {
  uint32_t sum = 16 + 58;
  for (size_t i = 8; i < 40; i += 2) sum += static_cast<uint32_t>(packet[i] << 8 | packet[i + 1]);
  return sum;
}

// What the server's kernel makes of a request.
std::vector<uint8_t> reply_to(ByteSpan request) {
  std::vector<uint8_t> r(request.begin(), request.end());
  const bool v4 = r[0] >> 4 == 4;
  const size_t address = v4 ? 4 : 16, source = v4 ? 12 : 8;
  std::swap_ranges(r.begin() + static_cast<long>(source), r.begin() + static_cast<long>(source + address),
                   r.begin() + static_cast<long>(source + address));
  r[v4 ? 20 : 40] = v4 ? 0 : 129;
  return r;
}

struct Case {
  const char* name;
  IpAddress from, to;
  size_t size;
};
const Case kCases[] = {{"IPv4", *IpAddress::parse("10.9.0.2"), *IpAddress::parse("10.9.0.1"), 36},
                       {"IPv6", *IpAddress::parse("fd00::2"), *IpAddress::parse("fd00::1"), 56}};

}  // namespace

TEST_CASE("the request is a correct packet") {
  for (const Case& c : kCases) {
    INFO(c.name);
    FirstRoundTrip echo(c.from, c.to, 0x1234, 0x1122334455667788);
    std::array<uint8_t, FirstRoundTrip::kMaxPacket> buffer;
    buffer.fill(0xff);
    REQUIRE(echo.write_request(buffer) == c.size);
    const ByteSpan packet = ByteSpan(buffer).first(c.size);
    if (c.from.is_v4()) {
      CHECK(checksum(packet.first(20)) == 0);
      CHECK(checksum(packet.subspan(20)) == 0);
      CHECK(packet[2] * 256 + packet[3] == 36);
      CHECK(packet[20] == 8);
    } else {
      CHECK(checksum(packet.subspan(40), pseudo_header_sum(packet)) == 0);
      CHECK(packet[4] * 256 + packet[5] == 16);
      CHECK(packet[40] == 128);
    }
  }
}

TEST_CASE("only the reply to one of our requests is taken for it") {
  for (const Case& c : kCases) {
    INFO(c.name);
    FirstRoundTrip echo(c.from, c.to, 0x1234, 0x1122334455667788);
    std::array<uint8_t, FirstRoundTrip::kMaxPacket> buffer;
    const size_t size = echo.write_request(buffer);
    const std::vector<uint8_t> first = reply_to(ByteSpan(buffer).first(size));
    CHECK(echo.is_reply(first));
    CHECK_FALSE(echo.is_reply(ByteSpan(buffer).first(size)));  // the request itself
    echo.write_request(buffer);
    CHECK(echo.is_reply(first));  // late, but ours
    CHECK(echo.is_reply(reply_to(ByteSpan(buffer).first(size))));

    // The fields that tell whose reply it is: each changed alone.
    const size_t icmp = c.from.is_v4() ? 20 : 40, source = c.from.is_v4() ? 12 : 8;
    for (const size_t at :
         {source, source + 2 * c.from.octets().size() - 1, icmp, icmp + 1, icmp + 4, icmp + 6, icmp + 8, size - 1}) {
      INFO("byte " << at);
      std::vector<uint8_t> other = first;
      other[at] ^= 0x40;
      CHECK_FALSE(echo.is_reply(other));
    }
    for (size_t n = 0; n < size; ++n) CHECK_FALSE(echo.is_reply(ByteSpan(first).first(n)));
  }
}
