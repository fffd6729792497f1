// Offloads of the kernel that the user may switch off ([advanced] offload), and what of them is in use.
#pragma once

#include <cstdint>

namespace hawser {

struct OffloadChoice {
  bool udp_gso = true;  // several datagrams in one send
  bool udp_gro = true;  // several datagrams in one receive
  bool tun_tso = true;  // TCP super-packets from and to the TUN
  bool tun_uso = true;  // UDP super-packets; never without tun_tso
  // A server's with several workers: what the kernel hands to the right one at once.
  bool udp_steering = true;  // datagrams by their receiver index
  bool tun_steering = true;  // packets of the TUN by their destination
  bool operator==(const OffloadChoice&) const = default;
};

// Granted by the kernel and not given up since. The counters are of super-packets, not of what they stand for.
struct OffloadState {
  bool udp_gso = false, udp_gro = false, tun_tso = false, tun_uso = false;
  uint64_t udp_sent = 0, udp_received = 0, tun_read = 0, tun_written = 0;
  uint64_t fallbacks = 0;  // super-packets that the kernel refused: sent again piece by piece
  bool operator==(const OffloadState&) const = default;
};

}  // namespace hawser
