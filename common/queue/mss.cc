// Total: what is read lies inside the packet, whatever its header fields say.
#include "common/queue/mss.h"

#include "common/big_endian.h"
#include "common/checksum.h"
#include "common/queue/classify.h"

namespace hawser {
namespace {

constexpr uint8_t kTcp = 6, kSyn = 0x02;
constexpr uint8_t kEndOfOptions = 0, kNoOperation = 1, kMss = 2, kMssLength = 4;
constexpr size_t kTcpHeader = 20;

uint16_t swapped(uint16_t v) { return static_cast<uint16_t>(v << 8 | v >> 8); }
uint16_t complement(uint16_t v) { return static_cast<uint16_t>(~v); }

// Replaces 16 bits of a TCP header. RFC 1624, equation 3: HC' = ~(~HC + ~m + m'); bits at an odd offset stand in the
// checksum's words the other way round.
void replace16(MutableByteSpan tcp, size_t at, uint16_t now) {
  constexpr size_t kChecksum = 16;
  const uint16_t before = get16(tcp, at);
  const bool odd = at % 2 != 0;
  const uint16_t m = odd ? swapped(before) : before, m_new = odd ? swapped(now) : now;
  put16(tcp, at, now);
  const uint16_t sum = ones_add(ones_add(complement(get16(tcp, kChecksum)), complement(m)), m_new);
  put16(tcp, kChecksum, complement(sum));
}

}  // namespace

bool clamp_mss(MutableByteSpan packet, uint16_t mtu) {
  const auto transport = find_transport(packet);
  if (!transport || transport->protocol != kTcp || !transport->is_first) return false;
  if (transport->offset + kTcpHeader > packet.size()) return false;
  const MutableByteSpan tcp = packet.subspan(transport->offset);
  if ((tcp[13] & kSyn) == 0) return false;
  const size_t end = size_t{tcp[12]} >> 4 << 2;
  const size_t headers = (packet[0] >> 4 == 4 ? 20 : 40) + kTcpHeader;
  if (end > tcp.size() || mtu <= headers) return false;
  const auto limit = static_cast<uint16_t>(mtu - headers);
  bool changed = false;
  for (size_t at = kTcpHeader; at < end && tcp[at] != kEndOfOptions;) {
    if (tcp[at] == kNoOperation) {
      ++at;
      continue;
    }
    if (at + 2 > end) break;
    const size_t length = tcp[at + 1];
    if (length < 2 || at + length > end) break;
    if (tcp[at] == kMss && length == kMssLength && get16(tcp, at + 2) > limit) {
      replace16(tcp, at + 2, limit);
      changed = true;
    }
    at += length;
  }
  return changed;
}

}  // namespace hawser
