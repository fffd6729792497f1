// TCP's MSS option kept to what the tunnel carries in one piece: most senders never hear the ICMP message that would tell
// them, because somebody on the way drops it.
#pragma once

#include "common/types.h"

namespace hawser {

// In a SYN (IPv4 or IPv6) lowers each MSS option that is too large for packets of `mtu` bytes (RFC 9293, 3.7.1: headers
// without options count) and repairs the checksum incrementally (RFC 1624), so that a wrong one stays wrong. Everything
// else, malformed options included, is left as it is. Returns whether something was changed.
bool clamp_mss(MutableByteSpan packet, uint16_t mtu);

}  // namespace hawser
