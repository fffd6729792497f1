// What the sender of a packet that is too large for the tunnel is told: ICMP "fragmentation needed and DF set" (RFC 792, RFC
// 1191) or ICMPv6 "packet too big" (RFC 4443, 3.2).
#pragma once

#include "common/net.h"
#include "common/queue/packet.h"

namespace hawser {

// The message about `packet` (well formed, as parse_packet says) from `from`, the router in front of the smaller link, with
// `mtu` for the next packets. Empty when there must be none (RFC 1122, 3.2.2; RFC 4443, 2.4): about ICMP errors, later
// fragments, packets that many receive or that nobody sent, IPv4 without DF; when `from` is not of the packet's family;
// when the pool is at its bound.
Packet too_big_message(ByteSpan packet, const IpAddress& from, uint16_t mtu, PacketPool& pool);

}  // namespace hawser
