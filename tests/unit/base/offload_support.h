// Packets for the tests of cutting and coalescing: built field by field, with right checksums unless broken afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/checksum.h"

namespace hawser::testing {

using Bytes = std::vector<uint8_t>;

struct PacketSpec {
  bool v6 = false;
  bool udp = false;
  uint8_t tos = 0, ttl = 64, flags = 0x10;
  bool df = true;
  uint16_t id = 100, source_port = 1000, destination_port = 2000, window = 500, urgent = 0;
  uint32_t sequence = 1, ack = 7;
  Bytes options = {};  // TCP
  size_t payload = 100;
  uint8_t fill = 1;
};

inline void put16(Bytes& b, size_t at, size_t v) {
  b[at] = static_cast<uint8_t>(v >> 8);
  b[at + 1] = static_cast<uint8_t>(v);
}

inline size_t transport_of(const PacketSpec& s) {
  return s.v6 ? 40 : 20;
}

// Writes the IPv4 header's and the transport's checksum.
inline void complete(Bytes& b, const PacketSpec& s) {
  const size_t t = transport_of(s);
  if (!s.v6) {
    put16(b, 10, 0);
    put16(b, 10, static_cast<uint16_t>(~ones_sum(ByteSpan(b).first(20))));
  }
  const size_t at = t + (s.udp ? 6 : 16);
  put16(b, at, 0);
  const uint16_t pseudo = pseudo_header_sum(b, s.udp ? 17 : 6, b.size() - t);
  put16(b, at, static_cast<uint16_t>(~ones_add(pseudo, ones_sum(ByteSpan(b).subspan(t)))));
}

inline Bytes make_packet(const PacketSpec& s) {
  const size_t t = transport_of(s);
  const size_t header = t + (s.udp ? 8 : 20 + s.options.size());
  Bytes b(header + s.payload);
  if (s.v6) {
    b[0] = static_cast<uint8_t>(0x60 | s.tos >> 4);
    b[1] = static_cast<uint8_t>(s.tos << 4);
    put16(b, 4, b.size() - 40);
    b[6] = s.udp ? 17 : 6;
    b[7] = s.ttl;
    b[23] = 1;
    b[39] = 2;
  } else {
    b[0] = 0x45;
    b[1] = s.tos;
    put16(b, 2, b.size());
    put16(b, 4, s.id);
    b[6] = s.df ? 0x40 : 0;
    b[8] = s.ttl;
    b[9] = s.udp ? 17 : 6;
    b[12] = b[16] = 10;
    b[15] = 1;
    b[19] = 2;
  }
  put16(b, t, s.source_port);
  put16(b, t + 2, s.destination_port);
  if (s.udp) {
    put16(b, t + 4, b.size() - t);
  } else {
    put16(b, t + 4, s.sequence >> 16);
    put16(b, t + 6, s.sequence & 0xffff);
    put16(b, t + 8, s.ack >> 16);
    put16(b, t + 10, s.ack & 0xffff);
    b[t + 12] = static_cast<uint8_t>((20 + s.options.size()) / 4 << 4);
    b[t + 13] = s.flags;
    put16(b, t + 14, s.window);
    put16(b, t + 18, s.urgent);
    std::copy(s.options.begin(), s.options.end(), b.begin() + static_cast<long>(t) + 20);
  }
  for (size_t i = header; i < b.size(); ++i) b[i] = static_cast<uint8_t>(s.fill + i * 7 + i / 256);
  complete(b, s);
  return b;
}

inline bool transport_checksum_right(const Bytes& b) {
  const bool v4 = b[0] >> 4 == 4;
  const size_t t = v4 ? 20 : 40;
  const uint8_t protocol = v4 ? b[9] : b[6];
  return ones_add(pseudo_header_sum(b, protocol, b.size() - t), ones_sum(ByteSpan(b).subspan(t))) == 0xffff &&
         (!v4 || ones_sum(ByteSpan(b).first(20)) == 0xffff);
}

}  // namespace hawser::testing
