// The walk over the options of a SYN.
#include "common/queue/mss.h"

#include "common/big_endian.h"
#include "common/queue/tcp_options.h"

namespace hawser {

bool clamp_mss(MutableByteSpan packet, uint16_t mtu) {
  constexpr uint8_t kSyn = 0x02, kMss = 2;
  constexpr size_t kMssLength = 4;
  const auto tcp = find_tcp(packet);
  if (!tcp || (tcp->bytes[13] & kSyn) == 0) return false;
  const size_t headers = (packet[0] >> 4 == 4 ? 20 : 40) + kTcpHeader;
  if (mtu <= headers) return false;
  const auto limit = static_cast<uint16_t>(mtu - headers);
  bool changed = false;
  for_each_option(*tcp, [&](uint8_t kind, size_t at, size_t length) {
    if (kind != kMss || length != kMssLength || get16(tcp->bytes, at + 2) <= limit) return;
    replace16(packet.subspan(tcp->offset), at + 2, limit);
    changed = true;
  });
  return changed;
}

}  // namespace hawser
