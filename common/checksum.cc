// Summed in words as the machine has them: byte order does not matter to a one's complement sum, only to its result.
#include "common/checksum.h"

#include <bit>
#include <cstring>

namespace hawser {

uint16_t ones_sum(ByteSpan bytes) {
  // Both halves of 64-bit words apart, so that no carry is lost: good for 2^32 words. The halves do not depend on each
  // other, which keeps the processor's adders busy.
  uint64_t low = 0, high = 0;
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 16; left -= 16, at += 16) {
    uint64_t a, b;
    std::memcpy(&a, at, 8);
    std::memcpy(&b, at + 8, 8);
    low += (a & 0xffffffff) + (b & 0xffffffff);
    high += (a >> 32) + (b >> 32);
  }
  for (; left > 0;) {
    uint64_t a = 0;
    const size_t step = left < 8 ? left : 8;
    std::memcpy(&a, at, step);
    low += a & 0xffffffff;
    high += a >> 32;
    at += step;
    left -= step;
  }
  uint64_t sum = (low & 0xffffffff) + (low >> 32) + (high & 0xffffffff) + (high >> 32);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  const auto folded = static_cast<uint16_t>(sum);
  if constexpr (std::endian::native == std::endian::big) return folded;
  return static_cast<uint16_t>(folded << 8 | folded >> 8);
}

uint16_t pseudo_header_sum(ByteSpan packet, uint8_t protocol, size_t transport_length) {
  const bool v4 = packet[0] >> 4 == 4;
  const uint16_t addresses = ones_sum(v4 ? packet.subspan(12, 8) : packet.subspan(8, 32));
  const uint32_t length = static_cast<uint32_t>(transport_length);
  const uint16_t rest = ones_add(static_cast<uint16_t>(length & 0xffff), static_cast<uint16_t>(length >> 16));
  return ones_add(ones_add(addresses, rest), protocol);
}

}  // namespace hawser
