// A TCP segment in an IPv4 packet, as bytes: options MSS, window scale, SACK and timestamps, like Linux sends them.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "common/net.h"

namespace hawser::sim {

struct SackBlock {
  uint32_t begin = 0, end = 0;  // sequence numbers; end is exclusive
};

struct Segment {
  IpAddress source, destination;
  uint16_t source_port = 0, destination_port = 0;
  uint32_t seq = 0, ack = 0;
  bool syn = false, has_ack = false;
  uint32_t window = 0;      // bytes, already scaled
  uint16_t mss = 0;         // in SYN only
  uint32_t timestamp = 0, echo = 0;  // ticks
  std::array<SackBlock, 3> sack{};
  size_t sack_count = 0;
  uint64_t payload = 0;     // bytes
  uint64_t stream_offset = 0;  // written at the payload's start, so that a mix-up of packets shows
};

inline constexpr size_t kTcpIpHeaders = 52;  // with timestamps and no SACK block
inline constexpr int kWindowScale = 10;
inline constexpr Duration kTick = Duration::millis(1);  // of timestamps

// Encodes into `out` (overwritten), a whole IPv4 packet. The payload is the stream offset and zeros.
void encode(const Segment& segment, std::vector<uint8_t>& out);
// Nothing when it is not a TCP packet of the form above.
std::optional<Segment> decode(ByteSpan packet);

}  // namespace hawser::sim
