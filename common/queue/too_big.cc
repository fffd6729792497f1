// When to stay silent, then the two messages byte by byte.
#include "common/queue/too_big.h"

#include <algorithm>

#include "common/big_endian.h"
#include "common/checksum.h"
#include "common/queue/classify.h"

namespace hawser {
namespace {

constexpr uint8_t kIcmp = 1, kIcmpV6 = 58;
constexpr size_t kIpv4Header = 20, kIpv6Header = 40, kIcmpHeader = 8;
constexpr size_t kMaxMessageV4 = 576;   // RFC 1812, 4.3.2.3: as much of the packet as these hold
constexpr size_t kMaxMessageV6 = 1280;  // RFC 4443, 2.4 (c): IPv6's least MTU
constexpr uint8_t kNetworkControl = 0xc0, kHopLimit = 64;

void put_checksum(MutableByteSpan b, size_t at, uint16_t sum) { put16(b, at, static_cast<uint16_t>(~sum)); }

// Errors about errors would answer each other for ever.
bool is_icmp_error(ByteSpan packet, const TransportHeader& t) {
  if (t.protocol != kIcmp && t.protocol != kIcmpV6) return false;
  if (t.offset >= packet.size()) return true;  // cannot tell
  const uint8_t type = packet[t.offset];
  if (t.protocol == kIcmp) return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
  constexpr uint8_t kRedirect = 137;
  return type < 128 || type == kRedirect;
}

bool is_one_host_v4(ByteSpan address) { return address[0] != 0 && address[0] != 127 && address[0] < 224; }

bool may_answer(ByteSpan packet) {
  const auto transport = find_transport(packet);
  if (!transport || !transport->is_first || is_icmp_error(packet, *transport)) return false;
  if (packet[0] >> 4 == 4) {
    const bool dont_fragment = (packet[6] & 0x40) != 0;
    return dont_fragment && is_one_host_v4(packet.subspan(12, 4)) && is_one_host_v4(packet.subspan(16, 4));
  }
  // Of all errors this one is sent about multicast too: IPv6's path MTU discovery needs it (RFC 4443, 2.4 (e.3)).
  const ByteSpan source = packet.subspan(8, 16);
  const bool unspecified = std::all_of(source.begin(), source.end(), [](uint8_t b) { return b == 0; });
  return source[0] != 0xff && !unspecified;
}

void write_v4(MutableByteSpan out, ByteSpan packet, const IpAddress& from, uint16_t mtu) {
  std::fill(out.begin(), out.begin() + kIpv4Header + kIcmpHeader, uint8_t{0});
  out[0] = 0x45;
  out[1] = kNetworkControl;
  put16(out, 2, out.size());
  out[8] = kHopLimit;
  out[9] = kIcmp;
  std::copy_n(from.bytes.begin(), 4, out.begin() + 12);
  std::copy_n(packet.begin() + 12, 4, out.begin() + 16);
  put_checksum(out, 10, ones_sum(out.first(kIpv4Header)));
  const MutableByteSpan icmp = out.subspan(kIpv4Header);
  icmp[0] = 3;  // destination unreachable
  icmp[1] = 4;  // fragmentation needed and DF set
  put16(icmp, 6, mtu);
  std::copy_n(packet.begin(), icmp.size() - kIcmpHeader, icmp.begin() + kIcmpHeader);
  put_checksum(icmp, 2, ones_sum(icmp));
}

void write_v6(MutableByteSpan out, ByteSpan packet, const IpAddress& from, uint16_t mtu) {
  std::fill(out.begin(), out.begin() + kIpv6Header + kIcmpHeader, uint8_t{0});
  out[0] = 0x60;
  put16(out, 4, out.size() - kIpv6Header);
  out[6] = kIcmpV6;
  out[7] = kHopLimit;
  std::copy_n(from.bytes.begin(), 16, out.begin() + 8);
  std::copy_n(packet.begin() + 8, 16, out.begin() + 24);
  const MutableByteSpan icmp = out.subspan(kIpv6Header);
  icmp[0] = 2;  // packet too big
  put16(icmp, 6, mtu);
  std::copy_n(packet.begin(), icmp.size() - kIcmpHeader, icmp.begin() + kIcmpHeader);
  put_checksum(icmp, 2, ones_add(pseudo_header_sum(out, kIcmpV6, icmp.size()), ones_sum(icmp)));
}

}  // namespace

Packet too_big_message(ByteSpan packet, const IpAddress& from, uint16_t mtu, PacketPool& pool) {
  const bool v4 = !packet.empty() && packet[0] >> 4 == 4;
  if (!(v4 ? from.is_v4() : from.is_v6()) || !may_answer(packet)) return {};
  const size_t headers = (v4 ? kIpv4Header : kIpv6Header) + kIcmpHeader;
  Packet message = pool.allocate();
  if (!message) return {};
  message.resize(std::min(headers + packet.size(), v4 ? kMaxMessageV4 : kMaxMessageV6));
  (v4 ? write_v4 : write_v6)(message.writable(), packet, from, mtu);
  return message;
}

}  // namespace hawser
