// Every reason for which a datagram or a packet is dropped. Each is counted; each has a test that provokes it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hawser {

enum class DropReason : uint8_t {
  // Before authentication.
  malformed,          // unknown type, too short, wrong length
  version,            // a handshake of another protocol version
  mac1,               // initiation or response whose mac1 is not for us
  cookie_required,    // under load and without a valid mac2: a cookie was sent instead
  handshake_budget,   // more handshakes than this turn may work on
  handshake_auth,     // the Noise message does not open
  unknown_user,       // an authentic initiation by a key that the registry does not know
  unknown_index,      // a data datagram for no key of ours
  auth,               // a data datagram whose tag is wrong
  expired_key,        // a data datagram under a key past its life
  // After authentication.
  replay,             // the packet number was seen before or is older than the window
  bad_frame,          // authentic, but its frames do not parse
  bad_path,           // a path id that may not be opened (too many, or closed for good)
  spoofed_source,     // an inner packet whose source is not the user's
  bad_packet,         // an inner packet that is not IPv4 or IPv6
  not_connected,      // an inner packet while no session is up and the queue is full
  no_route,           // server: an inner packet for no user
  too_big,            // an inner packet larger than the tunnel MTU
  ingress_aqm,        // CoDel's decision
  ingress_full,       // the ingress queue's bound
  ingress_duplicate,  // TCP sent it again while the first still waits in the ingress queue
  resequencer_late,   // came after its duplicate bookkeeping had ended
  resequencer_full,   // out-of-order store at its bound
  duplicate,          // a second copy of a packet
  reassembly,         // a piece whose other piece never came
  expired,            // reinjection gave up
  ecn_congestion,     // CE on the outer header of a packet whose sender understands no mark (RFC 6040)
  no_buffer,          // the packet pool is at its bound
  transmit,           // the socket refused the datagram
  count_
};

inline constexpr size_t kDropReasons = static_cast<size_t>(DropReason::count_);

struct DropCounters {
  std::array<uint64_t, kDropReasons> values{};
  void count(DropReason r, uint64_t n = 1) { values[static_cast<size_t>(r)] += n; }
  uint64_t operator[](DropReason r) const { return values[static_cast<size_t>(r)]; }
};

// The reason's name in status and metrics: "ingress_aqm".
const char* name(DropReason reason);

}  // namespace hawser
