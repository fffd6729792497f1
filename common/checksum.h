// The Internet checksum (RFC 1071): sums of 16-bit big-endian words in one's complement, as numbers 0..0xffff.
#pragma once

#include "common/types.h"

namespace hawser {

// The folded sum of `bytes`; an odd last byte counts as the high half of a word.
uint16_t ones_sum(ByteSpan bytes);
// Adds sums of parts that begin at even offsets.
constexpr uint16_t ones_add(uint16_t a, uint16_t b) {
  const uint32_t sum = uint32_t{a} + b;
  return static_cast<uint16_t>((sum & 0xffff) + (sum >> 16));
}
// The sum over an IPv4 or IPv6 packet's addresses, its transport protocol and the transport length (RFC 9293, 3.1; RFC
// 8200, 8.1). The packet holds a whole IP header.
uint16_t pseudo_header_sum(ByteSpan packet, uint8_t protocol, size_t transport_length);

}  // namespace hawser
