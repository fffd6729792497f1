// TCP's options: walked, and changed in place.
#pragma once

#include <optional>

#include "common/types.h"

namespace hawser {

inline constexpr uint8_t kTcp = 6;       // in the IP header
inline constexpr size_t kTcpHeader = 20;  // without options

// A packet's TCP header and what follows it, and where its options end. Nothing when it has no whole TCP header (a later
// fragment, a cut one). Looks at no length field but those of headers.
struct TcpSegment {
  size_t offset = 0;       // of `bytes` in the packet
  ByteSpan bytes;
  size_t options_end = 0;  // in `bytes`
};
std::optional<TcpSegment> find_tcp(ByteSpan packet);

// Calls visit(kind, at, length) for each well-formed option, `at` counted in the segment; malformed ones end the walk.
template <typename Visit>
void for_each_option(const TcpSegment& segment, Visit visit) {
  constexpr uint8_t kEndOfOptions = 0, kNoOperation = 1;
  const ByteSpan tcp = segment.bytes;
  for (size_t at = kTcpHeader; at < segment.options_end && tcp[at] != kEndOfOptions;) {
    if (tcp[at] == kNoOperation) {
      ++at;
      continue;
    }
    if (at + 2 > segment.options_end) return;
    const size_t length = tcp[at + 1];
    if (length < 2 || at + length > segment.options_end) return;
    visit(tcp[at], at, length);
    at += length;
  }
}

// Replaces 16 bits of a TCP header (which begins `tcp`) and repairs the checksum incrementally (RFC 1624), so that a wrong
// one stays wrong.
void replace16(MutableByteSpan tcp, size_t at, uint16_t now);

}  // namespace hawser
