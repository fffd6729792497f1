// TCP's timestamps (RFC 7323) when segments change their order: a receiver takes a segment that is stamped earlier than
// one it has had in order for one of an old connection (PAWS, section 5) and drops it.
#pragma once

#include "common/types.h"

namespace hawser {

// Of a packet, as far as it is a whole TCP segment.
struct TcpTimestamp {
  bool sealed = false;   // the header is signed (RFC 2385, RFC 5925): it must stay as it is
  bool present = false;
  uint32_t value = 0;    // in ticks of the sender's clock; wraps
};
TcpTimestamp timestamp_of(ByteSpan packet);

// Stamps a segment that is stamped earlier than `least` with `least`, the checksum repaired incrementally; every other packet
// stays as it is. Returns whether it was changed.
bool raise_timestamp(MutableByteSpan packet, uint32_t least);

inline bool is_earlier(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

}  // namespace hawser
