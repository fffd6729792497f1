// What travels over emulated links: a tunnel's UDP payload or a bare IP packet, the room it takes on the wire, and its route.
#pragma once

#include <memory>
#include <vector>

#include "common/net.h"
#include "common/types.h"

namespace hawser::sim {

class Direction;
struct Frame;
using FramePtr = std::unique_ptr<Frame>;

class FrameSink {
 public:
  virtual void on_frame(FramePtr frame) = 0;

 protected:
  ~FrameSink() = default;
};

// The links that a frame passes one after the other, and who gets it in the end.
struct Route {
  std::vector<Direction*> hops;
  FrameSink* sink = nullptr;
};

// 14 bytes of Ethernet on each frame, as on netlab's links; a UDP payload has 28 more of IPv4 and UDP.
inline constexpr size_t kEthernetHeader = 14;
inline constexpr size_t kUdpIpv4Headers = 28;

struct Frame {
  std::vector<uint8_t> bytes;
  size_t wire_bytes = 0;  // with all headers
  uint8_t ecn = 0;        // of the outer IP header
  UdpTuple to;            // tunnel datagrams: as the receiver sees them (its socket, its address, the sender's)
  const Route* route = nullptr;
  size_t hop = 0;
  Time entered;           // this hop's queue
};

// Gives the frame to the next hop of its route, or to the sink after the last.
void launch(FramePtr frame);

}  // namespace hawser::sim
