// What the tests of paths share: a connected net, traffic, one path's status.
#pragma once

#include <catch2/catch.hpp>

#include "tests/unit/session/test_net.h"

namespace hawser::test {

inline void connect(TestNet& net) {
  net.up_all();
  net.run(Duration::millis(500));
  REQUIRE(net.count<Connected>(net.client_events) == 1);
}

// A packet every 5 ms towards the client for `d`.
inline void trickle_down(TestNet& net, Duration d, uint32_t& marker) {
  const Time end = net.now + d;
  while (net.now < end) {
    net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 600));
    net.run(Duration::millis(5));
  }
}

// Two connected links of 20 Mbit/s, 10 and 30 ms long, by which something was downloaded already.
struct TwoLinks {
  TestNet net{5};
  TestLink &a = net.add_link(wire_of(20e6, Duration::millis(10))), &b = net.add_link(wire_of(20e6, Duration::millis(30)));
  uint32_t marker = 0;
  TwoLinks() {
    connect(net);
    trickle_down(net, Duration::seconds(1), marker);
  }
};

inline void silence(TestLink& l, bool on) { l.to_client.blackhole = l.to_server.blackhole = on; }

inline PathInfo path_on(TestNet& net, bool server, const TestLink& l) {
  const std::vector<SessionInfo> sessions = (server ? net.server : net.client)->sessions(net.now);
  for (const PathInfo& p : sessions.at(0).paths) {
    if (server ? p.remote == l.up.local : p.link == l.up.link) return p;
  }
  return {};
}

}  // namespace hawser::test
