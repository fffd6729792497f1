// Total: what is read lies inside the packet, whatever its header fields say.
#include "common/queue/tcp_options.h"

#include "common/big_endian.h"
#include "common/checksum.h"
#include "common/queue/classify.h"

namespace hawser {
namespace {

uint16_t swapped(uint16_t v) { return static_cast<uint16_t>(v << 8 | v >> 8); }
uint16_t complement(uint16_t v) { return static_cast<uint16_t>(~v); }

}  // namespace

std::optional<TcpSegment> find_tcp(ByteSpan packet) {
  const auto transport = find_transport(packet);
  if (!transport || transport->protocol != kTcp || !transport->is_first) return std::nullopt;
  if (transport->offset + kTcpHeader > packet.size()) return std::nullopt;
  const TcpSegment s{transport->offset, packet.subspan(transport->offset), size_t{packet[transport->offset + 12]} >> 4 << 2};
  if (s.options_end > s.bytes.size()) return std::nullopt;
  return s;
}

// RFC 1624, equation 3: HC' = ~(~HC + ~m + m'); bits at an odd offset stand in the checksum's words the other way round.
void replace16(MutableByteSpan tcp, size_t at, uint16_t now) {
  constexpr size_t kChecksum = 16;
  const uint16_t before = get16(tcp, at);
  const bool odd = at % 2 != 0;
  const uint16_t m = odd ? swapped(before) : before, m_new = odd ? swapped(now) : now;
  put16(tcp, at, now);
  const uint16_t sum = ones_add(ones_add(complement(get16(tcp, kChecksum)), complement(m)), m_new);
  put16(tcp, kChecksum, complement(sum));
}

}  // namespace hawser
