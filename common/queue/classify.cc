// Header parsing by hand: total, never beyond the packet, IPv6 extension headers followed to a bound.
#include "common/queue/classify.h"

#include "common/big_endian.h"
#include "common/constants.h"
#include "common/queue/tcp_options.h"

namespace hawser {
namespace {

constexpr uint8_t kUdp = 17, kIcmp = 1, kIcmpV6 = 58;
constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10, kUrg = 0x20;
constexpr uint16_t kQuicPort = 443;

uint64_t mix(uint64_t h, uint64_t v) {
  h ^= v;
  h *= 0xff51afd7ed558ccdull;
  return h ^ h >> 32;
}

uint64_t hash_address(uint64_t h, const IpAddress& a) {
  for (size_t i = 0; i < a.octets().size(); i += 4) h = mix(h, load_big_endian<4>(&a.bytes[i]));
  return h;
}

// EF, CS5 and CS6 mark traffic for which late is as bad as lost.
bool is_realtime_dscp(uint8_t dscp) { return dscp == 46 || dscp == 40 || dscp == 48; }

PacketClass marked_class(const PacketHeaders& h) {
  if (is_realtime_dscp(h.dscp)) return {TrafficClass::realtime, true};
  const bool dns = h.source_port == 53 || h.destination_port == 53;
  if (h.protocol == kIcmp || h.protocol == kIcmpV6 || (h.protocol == kUdp && dns)) return {TrafficClass::interactive, true};
  return {TrafficClass::bulk, false};
}

std::optional<TransportHeader> ipv6_transport(ByteSpan p) {
  TransportHeader t;
  t.offset = 40;
  t.protocol = p[6];
  for (int i = 0; i < 8; ++i) {
    if (t.protocol == 44) {  // fragment: only its protocol is known to all pieces
      if (t.offset + 8 > p.size()) return std::nullopt;
      t.fragment = true;
      t.is_first = (get16(p, t.offset + 2) & 0xfff8) == 0;
      t.protocol = p[t.offset];
      t.offset += 8;
      return t;
    }
    const bool skippable = t.protocol == 0 || t.protocol == 43 || t.protocol == 60 || t.protocol == 135;
    if (!skippable) return t;
    if (t.offset + 8 > p.size()) return std::nullopt;
    t.protocol = p[t.offset];
    t.offset += 8 + size_t{p[t.offset + 1]} * 8;
  }
  return std::nullopt;
}

}  // namespace

std::optional<TransportHeader> find_transport(ByteSpan p) {
  if (p.size() >= 40 && p[0] >> 4 == 6) return ipv6_transport(p);
  if (p.size() < 20 || p[0] >> 4 != 4) return std::nullopt;
  TransportHeader t;
  t.offset = size_t{p[0] & 0xfu} * 4;
  if (t.offset < 20 || t.offset > p.size()) return std::nullopt;
  t.protocol = p[9];
  t.fragment = (get16(p, 6) & 0x3fff) != 0;
  t.is_first = (get16(p, 6) & 0x1fff) == 0;
  return t;
}

std::optional<PacketHeaders> parse_packet(ByteSpan p, uint64_t seed) {
  PacketHeaders h;
  const auto transport = find_transport(p);
  if (p.size() >= 20 && p[0] >> 4 == 4) {
    if (!transport || get16(p, 2) != p.size()) return std::nullopt;
    h.dscp = p[1] >> 2;
    h.ecn = p[1] & 3;
    h.source = IpAddress::v4(p.subspan(12, 4));
    h.destination = IpAddress::v4(p.subspan(16, 4));
  } else if (p.size() >= 40 && p[0] >> 4 == 6) {
    if (size_t{get16(p, 4)} + 40 != p.size()) return std::nullopt;
    const auto traffic_class = static_cast<uint8_t>(p[0] << 4 | p[1] >> 4);
    h.dscp = traffic_class >> 2;
    h.ecn = traffic_class & 3;
    h.source = IpAddress::v6(p.subspan(8, 16));
    h.destination = IpAddress::v6(p.subspan(24, 16));
  } else {
    return std::nullopt;
  }
  if (transport) h.protocol = transport->protocol;
  const bool has_ports = transport && !transport->fragment && (h.protocol == kTcp || h.protocol == kUdp);
  if (has_ports && transport->offset + 4 <= p.size()) {
    h.source_port = get16(p, transport->offset);
    h.destination_port = get16(p, transport->offset + 2);
    if (h.protocol == kTcp && transport->offset + 14 <= p.size()) {
      const ByteSpan tcp = p.subspan(transport->offset);
      h.syn = (tcp[13] & kSyn) != 0;
      const size_t header = static_cast<size_t>(tcp[12] >> 4) * 4;
      h.pure_ack = tcp.size() == header && (tcp[13] & (kFin | kSyn | kRst | kAck | kUrg)) == kAck;
      if (header >= 20 && tcp.size() > header && (tcp[13] & (kFin | kSyn | kRst | kUrg)) == 0) {
        h.tcp_begin = get32(tcp, 4);
        h.tcp_end = h.tcp_begin + static_cast<uint32_t>(tcp.size() - header);
        h.tcp_says = uint64_t{get32(tcp, 8)} << 16 | get16(tcp, 14);
      }
    }
  }
  h.small = p.size() <= kSmallPacket;
  uint64_t hash = mix(seed, h.protocol);
  hash = hash_address(hash, h.source);
  hash = hash_address(hash, h.destination);
  h.flow_hash = mix(hash, static_cast<uint64_t>(h.source_port) << 16 | h.destination_port);
  h.marked = marked_class(h);
  // QUIC is one flow that carries files: it is ordered like TCP whatever its packets' size.
  const bool quic = h.protocol == kUdp && (h.source_port == kQuicPort || h.destination_port == kQuicPort);
  if (quic) h.marked = {TrafficClass::bulk, false};
  // A later acknowledgement says all that the earlier ones do, and who sends files waits for it.
  if (h.pure_ack) h.marked.unordered = true;
  return h;
}

void set_ecn(MutableByteSpan p, uint8_t ecn) {
  if (p.size() >= 40 && p[0] >> 4 == 6) {
    p[1] = static_cast<uint8_t>((p[1] & ~0x30) | (ecn & 3) << 4);
    return;
  }
  if (p.size() < 20 || p[0] >> 4 != 4) return;
  // RFC 1624: HC' = ~(~HC + ~m + m').
  const uint16_t old_word = get16(p, 0);
  p[1] = static_cast<uint8_t>((p[1] & ~3) | (ecn & 3));
  const uint16_t new_word = get16(p, 0);
  uint32_t sum = static_cast<uint16_t>(~get16(p, 10));
  sum += static_cast<uint16_t>(~old_word);
  sum += new_word;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  put16(p, 10, ~sum);
}

}  // namespace hawser
