// Traffic over two engines joined by links: a flood and a call, both to the client.
#pragma once

#include <algorithm>
#include <vector>

#include "tests/unit/session/test_net.h"

namespace hawser::test {

// Sends `rate` worth of 1400-byte packets of one flow towards the client for `d`; returns Mbit/s delivered in the second half.
inline double flood_down(TestNet& net, double rate_bps, Duration d, uint32_t& marker) {
  const Duration gap = BitRate{rate_bps}.time_for(1400);
  const Time end = net.now + d, half = net.now + d / 2;
  size_t at_half = 0;
  for (Time t = net.now; t < end; t += gap) {
    net.run_until(t);
    if (t < half) at_half = net.at_client.size();
    net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 1400));
  }
  return static_cast<double>(net.at_client.size() - at_half) * 1400 * 8 / (d / 2).to_seconds() / 1e6;
}

// A call to the client: its packets' delays. One for a net.
class Call {
 public:
  explicit Call(TestNet& net) : net_(net) {
    net.on_client_packet = [this](ByteSpan p) {
      if (p.size() == kSize) delays.push_back(net_.now - sent_[marker_of(p)]);
    };
  }
  void say() {
    net_.send_to_client(make_packet(net_.server_ip, net_.client_ip, static_cast<uint32_t>(sent_.size()), kSize, 7000));
    sent_.push_back(net_.now);
  }
  // Of `share` of the packets none took longer.
  Duration quantile(double share) {
    std::sort(delays.begin(), delays.end());
    return delays[std::min(delays.size() - 1, static_cast<size_t>(static_cast<double>(delays.size()) * share))];
  }
  std::vector<Duration> delays;

 private:
  static constexpr size_t kSize = 160;
  TestNet& net_;
  std::vector<Time> sent_;
};

}  // namespace hawser::test
