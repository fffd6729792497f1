// UDP measurements: one way (send, receive) and round trip (echo, ping).
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"
#include "common/types.h"

namespace hawser::netlab {

struct UdpOptions {
  std::string address;  // empty: any (receive, echo)
  uint16_t port = 0;
  std::string device;       // bind to this interface
  double rate = 200;        // packets per second
  double bits = 0;          // or: bit/s of Ethernet frames, instead of `rate`
  uint32_t size = 160;      // UDP payload, 24 or more
  double seconds = 10;      // sending time; receive: at most this long
  double idle_seconds = 1;  // receive: stop after this silence once something came; ping: wait for late answers
  std::string trace;        // file for one line per packet: sequence, sent (s), delay or round trip (ms), -1 when lost
};

// Sends numbered, stamped packets; prints {"sent":..}.
Status udp_send(const UdpOptions& options);
// Prints received, lost, reordered, duplicates, one-way delay percentiles (ms), the longest gap between packets (ms),
// and the rate in bit/s of Ethernet frames between first and last.
Status udp_receive(const UdpOptions& options);
// Returns every packet to its sender until killed.
Status udp_echo(const UdpOptions& options);
// Sends to an echo; prints sent, received, lost, round-trip percentiles, and the outage: the longest time in which no
// packet was sent that was answered, and when it began.
Status udp_ping(const UdpOptions& options);

}  // namespace hawser::netlab
