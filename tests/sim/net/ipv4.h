// Writes the headers that inner packets need to be told apart: IPv4, and UDP on top.
#pragma once

#include <vector>

#include "common/net.h"

namespace hawser::sim {

// Fills the first 20 bytes of a packet that has its final size. `tos`: DSCP and ECN.
void put_ipv4(std::vector<uint8_t>& packet, uint8_t protocol, IpAddress source, IpAddress destination, uint8_t tos);

inline constexpr size_t kUdpIpHeaders = 28;
// A whole UDP packet of `size` bytes, its payload zeros.
void make_udp(std::vector<uint8_t>& packet, size_t size, IpAddress source, IpAddress destination, uint16_t source_port,
              uint16_t destination_port, uint8_t tos);

}  // namespace hawser::sim
