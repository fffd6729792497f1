// The rules of steering. platform/linux has them a second time, as programs for the kernel.
#include "common/steering.h"

#include "common/big_endian.h"

namespace hawser {
namespace {

uint32_t host_mask(const IpPrefix& pool) {
  const unsigned bits = (pool.address.is_v4() ? 32u : 128u) - pool.length;
  return bits >= 32 ? 0xffff'ffff : (1u << bits) - 1;
}

}  // namespace

Steering Steering::of_pools(uint32_t workers, const std::optional<IpPrefix>& v4, const std::optional<IpPrefix>& v6) {
  Steering s;
  s.workers = workers;
  if (v4) s.host_mask_v4 = host_mask(*v4);
  if (v6) s.host_mask_v6 = host_mask(*v6);
  return s;
}

uint32_t Steering::of_address(const IpAddress& inner) const {
  if (!inner.is_set()) return 0;
  return (inner.is_v4() ? get32(inner.bytes, 0) & host_mask_v4 : get32(inner.bytes, 12) & host_mask_v6) % workers;
}

uint32_t Steering::of_datagram(ByteSpan datagram) const {
  if (datagram.empty()) return 0;
  const size_t offset = datagram[0] == kDataType ? kIndexOffset : datagram[0] == kInitiationType ? kEphemeralOffset : datagram.size();
  return datagram.size() < offset + 4 ? 0 : get32(datagram, offset) % workers;
}

uint32_t Steering::of_packet(ByteSpan packet) const {
  const bool v6 = !packet.empty() && packet[0] >> 4 == 6;
  const size_t offset = v6 ? kDestinationV6End : kDestinationV4;
  if (packet.size() < offset + 4) return 0;
  return (get32(packet, offset) & (v6 ? host_mask_v6 : host_mask_v4)) % workers;
}

}  // namespace hawser
