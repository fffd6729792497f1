// IPv4 and UDP headers.
#include "tests/sim/net/ipv4.h"

#include <algorithm>

namespace hawser::sim {
namespace {

void put16(uint8_t* p, size_t v) {
  p[0] = static_cast<uint8_t>(v >> 8);
  p[1] = static_cast<uint8_t>(v);
}

}  // namespace

void put_ipv4(std::vector<uint8_t>& packet, uint8_t protocol, IpAddress source, IpAddress destination, uint8_t tos) {
  packet[0] = 0x45;
  packet[1] = tos;
  put16(&packet[2], packet.size());
  packet[6] = 0x40;  // don't fragment
  packet[8] = 64;
  packet[9] = protocol;
  std::copy_n(source.bytes.begin(), 4, packet.begin() + 12);
  std::copy_n(destination.bytes.begin(), 4, packet.begin() + 16);
  uint32_t sum = 0;
  for (size_t i = 0; i < 20; i += 2) sum += static_cast<uint32_t>(packet[i] << 8 | packet[i + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  put16(&packet[10], static_cast<uint16_t>(~sum));
}

void make_udp(std::vector<uint8_t>& packet, size_t size, IpAddress source, IpAddress destination, uint16_t source_port,
              uint16_t destination_port, uint8_t tos) {
  packet.assign(std::max(size, kUdpIpHeaders), 0);
  put_ipv4(packet, 17, source, destination, tos);
  put16(&packet[20], source_port);
  put16(&packet[22], destination_port);
  put16(&packet[24], packet.size() - 20);
}

}  // namespace hawser::sim
