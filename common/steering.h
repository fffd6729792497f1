// Which of a server's workers something belongs to, told by its bytes alone, so that the kernel can be given the same rules.
#pragma once

#include "common/net.h"
#include "common/types.h"

namespace hawser {

struct Steering {
  uint32_t workers = 1;
  // The host part of an inner address, of its last 32 bits: a user's place in the address pools, the same in both.
  uint32_t host_mask_v4 = 0xffff'ffff, host_mask_v6 = 0xffff'ffff;

  static Steering of_pools(uint32_t workers, const std::optional<IpPrefix>& v4, const std::optional<IpPrefix>& v6);

  // The owner of a user. Places are given out in turn, so that the remainder spreads them evenly.
  uint32_t of_address(const IpAddress& inner) const;
  uint32_t of_user(const IpAddress& inner_v4, const IpAddress& inner_v6) const {
    return of_address(inner_v4.is_set() ? inner_v4 : inner_v6);
  }
  // A receiver index names its key's worker: one that is drawn for a worker has this remainder.
  uint32_t of_index(SessionIndex index) const { return index.value % workers; }

  // A datagram under a key goes where its receiver index says; an initiation where its ephemeral key says, so that its
  // copies by all paths meet; anything else, to be dropped, to the first worker.
  uint32_t of_datagram(ByteSpan datagram) const;
  // An inner packet goes to the owner of its destination.
  uint32_t of_packet(ByteSpan packet) const;

  // Where these are: PROTOCOL.md, and the headers of IP.
  static constexpr uint8_t kDataType = 1, kInitiationType = 2;
  static constexpr size_t kIndexOffset = 1, kEphemeralOffset = 8;
  static constexpr size_t kDestinationV4 = 16, kDestinationV6End = 36;  // the last four bytes of the destination
};

}  // namespace hawser
