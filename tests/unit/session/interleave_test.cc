// Bulk on a slow link goes in halves while a call goes on, so that the call stands behind half a datagram.
#include <catch2/catch.hpp>

#include "tests/unit/session/traffic.h"

namespace hawser::test {
namespace {

constexpr size_t kHalf = 760;  // bytes of a datagram with half of a packet of 1400 in it, and some

// What a link carries to the client: how many datagrams were longer than half a packet's, and how many not (acks aside).
struct Sizes {
  explicit Sizes(TestNet& net) {
    net.tap = [this](bool up, std::vector<uint8_t>& bytes, TestLink&) {
      if (!up && bytes.size() > 400) ++(bytes.size() > kHalf ? whole : halves);
      return true;
    };
  }
  void clear() { whole = halves = 0; }
  size_t whole = 0, halves = 0;
};

void talk_and_load(TestNet& net, Call& call, double load_bps, int packets, uint32_t& marker) {
  for (int i = 0; i < packets; ++i) {
    call.say();
    flood_down(net, load_bps, Duration::millis(20), marker);
  }
}

}  // namespace

TEST_CASE("a call beside a download on a slow link stands behind half a datagram") {
  TestNet net(3);
  net.add_link(wire_of(2e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  Sizes sizes(net);
  uint32_t marker = 0;
  flood_down(net, 3e6, Duration::seconds(5), marker);
  CHECK(sizes.halves < sizes.whole / 50);  // nobody calls: no packet is cut
  talk_and_load(net, call, 3e6, 100, marker);
  sizes.clear();
  call.delays.clear();
  net.at_client.clear();
  talk_and_load(net, call, 3e6, 500, marker);
  CHECK(sizes.whole == 0);
  CHECK(sizes.halves > 1000);
  INFO("p50 " << call.quantile(.5).to_millis() << " p95 " << call.quantile(.95).to_millis() << " p99 " << call.quantile(.99).to_millis() << " ms");
  CHECK(call.delays.size() >= 499);
  CHECK(call.quantile(.99) < Duration::millis(27));  // behind whole datagrams 29
  const double mbps = static_cast<double>(net.at_client.size() - call.delays.size()) * 1400 * 8 / 10e6;
  INFO("Mbit/s " << mbps);
  CHECK(mbps > 1.55);
  // The call is over.
  flood_down(net, 3e6, Duration::seconds(2), marker);
  sizes.clear();
  flood_down(net, 3e6, Duration::seconds(2), marker);
  CHECK(sizes.halves < sizes.whole / 50);
}

TEST_CASE("on a quick link a call does not have the download cut") {
  TestNet net(3);
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  uint32_t marker = 0;
  talk_and_load(net, call, 30e6, 100, marker);
  Sizes sizes(net);
  talk_and_load(net, call, 30e6, 100, marker);
  CHECK(sizes.halves < sizes.whole / 50);
}

// Either half may be lost, the link may die between the two: the packet is repaired whole, and nothing is delivered in pieces.
TEST_CASE("halves that are lost, and a link that dies between two of them, leave no gap") {
  TestNet net(4);
  net.add_link(wire_of(2e6, Duration::millis(10), .05));
  net.add_link(wire_of(1.5e6, Duration::millis(20), .05));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  std::vector<uint32_t> bulk;
  const auto count_call = net.on_client_packet;
  net.on_client_packet = [&](ByteSpan p) {
    if (p.size() == 1400) bulk.push_back(marker_of(p));
    count_call(p);
  };
  uint32_t marker = 0;
  talk_and_load(net, call, 1.5e6, 300, marker);
  net.links[0]->down = true;
  net.client->on_path_event(LinkDown{net.links[0]->up.link}, net.now);
  talk_and_load(net, call, .5e6, 100, marker);
  net.run(Duration::seconds(3));
  const DropCounters drops = net.server->sessions(net.now)[0].drops;
  CHECK(std::is_sorted(bulk.begin(), bulk.end()));
  CHECK(std::adjacent_find(bulk.begin(), bulk.end()) == bulk.end());
  // What CoDel took it took before it had a number.
  CHECK(bulk.size() + drops[DropReason::ingress_aqm] + drops[DropReason::ingress_full] == marker);
}

}  // namespace hawser::test
