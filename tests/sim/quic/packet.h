// The QUIC model's packets as bytes: a packet number with a piece of the stream, or ranges of received packet numbers.
#pragma once

#include <cstring>
#include <optional>
#include <vector>

#include "tests/sim/net/ipv4.h"

namespace hawser::sim {

struct QuicData {
  uint64_t number = 0, offset = 0;
};
struct QuicRange {
  uint64_t low = 0, high = 0;  // inclusive
};
using QuicRanges = std::vector<QuicRange>;  // descending

inline constexpr size_t kQuicDataHeader = 1 + sizeof(QuicData);
inline constexpr size_t kQuicMaxRanges = 32;

inline void put_quic_data(std::vector<uint8_t>& packet, const QuicData& d) {
  packet[kUdpIpHeaders] = 1;
  std::memcpy(&packet[kUdpIpHeaders + 1], &d, sizeof d);
}
inline std::optional<QuicData> get_quic_data(ByteSpan packet) {
  if (packet.size() < kUdpIpHeaders + kQuicDataHeader || packet[kUdpIpHeaders] != 1) return std::nullopt;
  QuicData d;
  std::memcpy(&d, &packet[kUdpIpHeaders + 1], sizeof d);
  return d;
}
inline size_t quic_ack_size(const QuicRanges& ranges) { return kUdpIpHeaders + 2 + 16 * ranges.size(); }
inline void put_quic_ack(std::vector<uint8_t>& packet, const QuicRanges& ranges) {
  packet[kUdpIpHeaders] = 2;
  packet[kUdpIpHeaders + 1] = static_cast<uint8_t>(ranges.size());
  std::memcpy(&packet[kUdpIpHeaders + 2], ranges.data(), 16 * ranges.size());
}
inline QuicRanges get_quic_ack(ByteSpan packet) {
  if (packet.size() < kUdpIpHeaders + 2 || packet[kUdpIpHeaders] != 2) return {};
  QuicRanges ranges(std::min<size_t>(packet[kUdpIpHeaders + 1], (packet.size() - kUdpIpHeaders - 2) / 16));
  std::memcpy(ranges.data(), &packet[kUdpIpHeaders + 2], 16 * ranges.size());
  return ranges;
}

}  // namespace hawser::sim
