// ICMP and ICMPv6 echo by hand.
#include "client/first_round_trip.h"

#include <algorithm>
#include <array>

#include "common/big_endian.h"

namespace hawser::client {
namespace {

constexpr size_t kContent = 8;
constexpr size_t kIcmp = 8 + kContent;
constexpr uint8_t kProtocolIcmp = 1, kProtocolIcmp6 = 58;
constexpr uint8_t kEchoRequest = 8, kEchoReply = 0, kEchoRequest6 = 128, kEchoReply6 = 129;

// The Internet checksum's running sum (RFC 1071); all pieces but the last have an even length.
uint32_t add(uint32_t sum, ByteSpan bytes) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += get16(bytes, i);
  if (bytes.size() % 2 != 0) sum += static_cast<uint32_t>(bytes.back() << 8);
  return sum;
}

uint16_t finish(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

std::array<uint8_t, kContent> content_of(uint64_t secret) {
  std::array<uint8_t, kContent> content{};
  for (size_t i = 0; i < kContent; ++i) content[i] = static_cast<uint8_t>(secret >> (8 * i));
  return content;
}

// IPv4 without options, or IPv6; returns the header's size.
size_t write_ip_header(const IpAddress& from, const IpAddress& to, MutableByteSpan out) {
  if (from.is_v4()) {
    out[0] = 0x45;
    put16(out, 2, static_cast<uint16_t>(20 + kIcmp));
    out[8] = 64;
    out[9] = kProtocolIcmp;
    std::ranges::copy(from.octets(), out.begin() + 12);
    std::ranges::copy(to.octets(), out.begin() + 16);
    put16(out, 10, finish(add(0, out.first(20))));
    return 20;
  }
  out[0] = 0x60;
  put16(out, 4, kIcmp);
  out[6] = kProtocolIcmp6;
  out[7] = 64;
  std::ranges::copy(from.octets(), out.begin() + 8);
  std::ranges::copy(to.octets(), out.begin() + 24);
  return 40;
}

}  // namespace

size_t FirstRoundTrip::write_request(MutableByteSpan out) {
  out = out.first(kMaxPacket);
  std::ranges::fill(out, uint8_t{0});
  const size_t header = write_ip_header(from_, to_, out);
  const MutableByteSpan icmp = out.subspan(header, kIcmp);
  icmp[0] = from_.is_v4() ? kEchoRequest : kEchoRequest6;
  put16(icmp, 4, identifier_);
  put16(icmp, 6, ++sequence_);
  std::ranges::copy(content_of(secret_), icmp.begin() + 8);
  uint32_t sum = add(0, icmp);
  // ICMPv6 also covers a pseudo header: addresses, length, protocol (RFC 8200, 8.1).
  if (!from_.is_v4()) sum = add(add(sum, from_.octets()), to_.octets()) + kIcmp + kProtocolIcmp6;
  put16(icmp, 2, finish(sum));
  return header + kIcmp;
}

bool FirstRoundTrip::is_reply(ByteSpan packet) const {
  const bool v4 = from_.is_v4();
  const size_t header = v4 ? 20 : 40;
  if (packet.size() != header + kIcmp) return false;
  if (v4 ? packet[0] != 0x45 || packet[9] != kProtocolIcmp : packet[0] >> 4 != 6 || packet[6] != kProtocolIcmp6)
    return false;
  const size_t address = from_.octets().size();
  const size_t source_at = v4 ? 12 : 8;
  if (!std::ranges::equal(packet.subspan(source_at, address), to_.octets())) return false;
  if (!std::ranges::equal(packet.subspan(source_at + address, address), from_.octets())) return false;
  const ByteSpan icmp = packet.subspan(header);
  const uint16_t sequence = get16(icmp, 6);
  return icmp[0] == (v4 ? kEchoReply : kEchoReply6) && icmp[1] == 0 && get16(icmp, 4) == identifier_ && sequence != 0 &&
         sequence <= sequence_ && std::ranges::equal(icmp.subspan(8), content_of(secret_));
}

}  // namespace hawser::client
