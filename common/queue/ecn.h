// What the ECN mark of an outer header does to the packet inside when the tunnel ends: RFC 6040, section 4.2.
#pragma once

#include <cstdint>
#include <optional>

#include "common/types.h"

namespace hawser::ecn {

inline constexpr uint8_t kNotEct = 0, kEct1 = 1, kEct0 = 2, kCe = 3;

// The inner packet's mark when it leaves the tunnel. Nothing when the packet must be dropped: the network reported
// congestion, and its sender would not understand a mark. "Not reported by the socket" is Not-ECT here, which changes
// nothing, as the table wants it of an outer header without a mark.
inline std::optional<uint8_t> decapsulated(uint8_t inner, uint8_t outer) {
  if (outer == kCe) return inner == kNotEct ? std::nullopt : std::optional{kCe};
  if (outer == kEct1 && inner == kEct0) return kEct1;  // a weaker signal of congestion, for those who use it so
  return inner;
}

// The mark of a packet whose pieces came in two datagrams: congestion met by either counts (RFC 3168, section 5.3).
// Otherwise pieces that disagree say nothing.
inline uint8_t joined(uint8_t a, uint8_t b) {
  if (a == kCe || b == kCe) return kCe;
  return a == b ? a : kNotEct;
}

// Of an IPv4 or IPv6 packet with a whole header.
inline uint8_t of_packet(ByteSpan p) {
  return p[0] >> 4 == 4 ? p[1] & 3 : p[1] >> 4 & 3;
}

}  // namespace hawser::ecn
