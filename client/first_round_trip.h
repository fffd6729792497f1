// The proof that the tunnel carries data: an ICMP echo from our inner address to the server's, built here, put into
// the engine like any packet, and recognised among the packets that come out. The kernel is not involved, so it works
// before routes exist. RFC 792, RFC 4443.
#pragma once

#include <optional>

#include "common/net.h"
#include "common/types.h"

namespace hawser::client {

class FirstRoundTrip {
 public:
  // IPv4 header or IPv6 header, ICMP header, 8 bytes of content.
  static constexpr size_t kMaxPacket = 40 + 8 + 8;

  // Both addresses of one family; `identifier` and `secret` are random: nobody else's echo is taken for ours.
  FirstRoundTrip(const IpAddress& from, const IpAddress& to, uint16_t identifier, uint64_t secret)
      : from_(from), to_(to), identifier_(identifier), secret_(secret) {}

  // Writes the next echo request and returns its size; `out` must hold kMaxPacket.
  size_t write_request(MutableByteSpan out);
  // Whether an inner packet is the reply to any of our requests. Never reads beyond it.
  bool is_reply(ByteSpan packet) const;
  uint16_t sent() const { return sequence_; }

 private:
  IpAddress from_, to_;
  uint16_t identifier_;
  uint64_t secret_;
  uint16_t sequence_ = 0;
};

}  // namespace hawser::client
