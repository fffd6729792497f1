// The QUIC model's packets as bytes: a packet number with a piece of the stream, or ranges of received packet numbers.
#pragma once

#include <cstring>
#include <optional>
#include <vector>

#include "common/wire/varint.h"
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
// As long as in RFC 9000, section 19.3, but for the delay: the largest, then each range's length and the gap before the next, as varints.
inline size_t quic_ack_size(const QuicRanges& ranges) {
  size_t size = kUdpIpHeaders + 2 + wire::varint_size(ranges.front().high);
  for (size_t i = 0; i < ranges.size(); ++i) {
    size += wire::varint_size(ranges[i].high - ranges[i].low);
    if (i > 0) size += wire::varint_size(ranges[i - 1].low - ranges[i].high);
  }
  return size;
}
inline void put_quic_ack(std::vector<uint8_t>& packet, const QuicRanges& ranges) {
  packet[kUdpIpHeaders] = 2;
  packet[kUdpIpHeaders + 1] = static_cast<uint8_t>(ranges.size());
  MutableByteSpan rest(&packet[kUdpIpHeaders + 2], packet.size() - kUdpIpHeaders - 2);
  const auto put = [&](uint64_t value) { rest = rest.subspan(wire::put_varint(value, rest)); };
  put(ranges.front().high);
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (i > 0) put(ranges[i - 1].low - ranges[i].high);
    put(ranges[i].high - ranges[i].low);
  }
}
inline QuicRanges get_quic_ack(ByteSpan packet) {
  if (packet.size() < kUdpIpHeaders + 2 || packet[kUdpIpHeaders] != 2) return {};
  ByteSpan rest = packet.subspan(kUdpIpHeaders + 2);
  QuicRanges ranges(packet[kUdpIpHeaders + 1]);
  uint64_t high = wire::take_varint(rest).value_or(0);
  for (QuicRange& r : ranges) {
    if (&r != &ranges.front()) high -= wire::take_varint(rest).value_or(0);
    const uint64_t length = wire::take_varint(rest).value_or(0);
    r = {high - length, high};
    high = r.low;
  }
  return ranges;
}

}  // namespace hawser::sim
