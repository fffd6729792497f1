// The walk over the options of a segment.
#include "common/queue/tcp_timestamp.h"

#include "common/big_endian.h"
#include "common/queue/tcp_options.h"

namespace hawser {
namespace {

constexpr uint8_t kTimestamps = 8, kMd5 = 19, kAuthentication = 29;
constexpr size_t kTimestampsLength = 10;

struct Found {
  TcpTimestamp timestamp;
  size_t segment = 0, at = 0;  // of the TCP header in the packet, of the value in the segment
};

Found find(ByteSpan packet) {
  Found f;
  const auto tcp = find_tcp(packet);
  if (!tcp) return f;
  f.segment = tcp->offset;
  for_each_option(*tcp, [&](uint8_t kind, size_t at, size_t length) {
    if (kind == kMd5 || kind == kAuthentication) f.timestamp.sealed = true;
    if (kind != kTimestamps || length != kTimestampsLength || f.timestamp.present) return;
    f.timestamp.present = true;
    f.timestamp.value = get32(tcp->bytes, at + 2);
    f.at = at + 2;
  });
  return f;
}

}  // namespace

TcpTimestamp timestamp_of(ByteSpan packet) { return find(packet).timestamp; }

bool raise_timestamp(MutableByteSpan packet, uint32_t least) {
  const Found f = find(packet);
  if (!f.timestamp.present || f.timestamp.sealed || !is_earlier(f.timestamp.value, least)) return false;
  const MutableByteSpan tcp = packet.subspan(f.segment);
  replace16(tcp, f.at, static_cast<uint16_t>(least >> 16));
  replace16(tcp, f.at + 2, static_cast<uint16_t>(least));
  return true;
}

}  // namespace hawser
