// Reads an inner IP packet's headers: its flow (for lanes and fair queueing) and the class its markings ask for.
#pragma once

#include <optional>

#include "common/net.h"
#include "common/traffic_class.h"
#include "common/types.h"

namespace hawser {

struct PacketHeaders {
  uint64_t flow_hash = 0;   // of addresses, protocol and ports; of addresses and protocol for fragments
  IpAddress source, destination;
  uint8_t protocol = 0;
  uint8_t dscp = 0, ecn = 0;
  uint16_t source_port = 0, destination_port = 0;  // zero when there are none
  bool small = false;       // at most 300 bytes
  bool syn = false;         // of a TCP connection's first exchange
  bool pure_ack = false;    // TCP without data, beginning or end
  uint32_t tcp_begin = 0, tcp_end = 0;  // sequence numbers of TCP's data; equal when there is none, or more than data
  uint64_t tcp_says = 0;                // its acknowledgement and its window
  PacketClass marked;       // by DSCP, protocol and size alone; the queue knows more (rate)
};

// Nothing when it is not a well-formed IPv4 or IPv6 packet (its length fields included). `seed` makes the hash
// unpredictable, so that nobody can aim flows at one queue.
std::optional<PacketHeaders> parse_packet(ByteSpan packet, uint64_t seed);

// Where a packet's transport header is.
struct TransportHeader {
  uint8_t protocol = 0;
  size_t offset = 0;         // from the packet's start; may lie at or beyond its end
  bool fragment = false;     // a part of a packet only
  bool is_first = true;      // else a later fragment: there is no transport header at `offset`
};
// Follows IPv6 extension headers to a bound, up to a fragment header, which it skips. Nothing when it is no IP packet, or its
// headers lead out of it. Looks at no length field but those of headers: for packets from inside the tunnel too.
std::optional<TransportHeader> find_transport(ByteSpan packet);

// Sets the ECN field of an IP packet and repairs the IPv4 header checksum.
void set_ecn(MutableByteSpan packet, uint8_t ecn);

}  // namespace hawser
