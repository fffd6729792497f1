// Helpers of the simulator's own tests: a link between two hosts without a tunnel, and a sink that counts.
#pragma once

#include <catch2/catch.hpp>

#include "tests/sim/net/link.h"
#include "tests/sim/traffic/flow.h"

namespace hawser::sim {

inline DirectionSettings wire(BitRate rate, Duration delay) {
  DirectionSettings s;
  s.rate = rate;
  s.delay = delay;
  return s;
}

// Two hosts at the ends of one link.
struct Pair {
  explicit Pair(const DirectionSettings& both, uint64_t seed = 1) : Pair(both, both, seed) {}
  Pair(const DirectionSettings& up, const DirectionSettings& down, uint64_t seed = 1) : link(loop, "link", up, down, seed) {
    client.connect(server, {&link.up});
    server.connect(client, {&link.down});
  }

  Flow& add(FlowSettings settings) {
    const auto port = static_cast<uint16_t>(30'000 + 1'000 * flows.size());
    flows.push_back(make_flow(loop, settings, {client, server, port, 5001, 1}));
    return *flows.back();
  }
  // Runs, and gives the flows' results from `from` on.
  std::vector<FlowResult> run(Duration length, Duration from = {}) {
    for (auto& f : flows) f->start();
    loop.run_until(EventLoop::kStart + length);
    std::vector<FlowResult> results;
    for (auto& f : flows) results.push_back(f->result({EventLoop::kStart + from, EventLoop::kStart + length}, {}));
    return results;
  }

  EventLoop loop;
  Link link;
  DirectHost client{IpAddress::v4(172, 16, 1, 2)}, server{IpAddress::v4(172, 17, 1, 1)};
  std::vector<std::unique_ptr<Flow>> flows;
};

}  // namespace hawser::sim
