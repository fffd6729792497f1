// Data over one and two links: order, striping, loss repair, death of a link, rekey, restart: two engines in virtual time.
#include <catch2/catch.hpp>

#include <algorithm>

#include "common/big_endian.h"
#include "tests/unit/session/traffic.h"

namespace hawser::test {
namespace {

bool ascending(const std::vector<uint32_t>& v) { return std::is_sorted(v.begin(), v.end()); }

}  // namespace

TEST_CASE("a flood over one link reaches the link's rate") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  uint32_t marker = 0;
  const double mbps = flood_down(net, 40e6, Duration::seconds(6), marker);
  INFO("Mbit/s " << mbps << " turns " << net.turns);
  CHECK(mbps > 17.5);  // 20 Mbit/s less headers (1400 of 1473 bytes) is 19
  CHECK(ascending(net.at_client));
}

// What each packet sets (an ack held back, a probe timeout) replaces or follows what the one before it set.
TEST_CASE("a call wakes the server's timer at most once for each packet, and leaves nothing that wakes it afterwards") {
  TestNet net;
  net.add_link(wire_of(0, Duration::millis(1)));
  net.up_all();
  net.run(Duration::seconds(15));  // path MTU discovery and all else has come to rest
  uint32_t marker = 0;
  net.on_server_packet = [&](ByteSpan) { net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 160)); };
  const uint64_t before = net.server_timers;
  for (int i = 0; i < 200; ++i) {
    net.send_to_server(make_packet(net.client_ip, net.server_ip, marker++, 160));
    net.run(Duration::millis(10));
  }
  const uint64_t during = net.server_timers - before;
  INFO("timers during the call: " << during);
  CHECK(during <= 210);
  net.run(Duration::millis(50));  // the last packet's own
  const uint64_t ended = net.server_timers;
  net.run(Duration::millis(800));
  CHECK(net.server_timers - ended <= 2);
}

TEST_CASE("a flood over two unlike links reaches the sum, in order") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(30e6, Duration::millis(25)));
  net.up_all();
  net.run(Duration::millis(300));
  uint32_t marker = 0;
  const double mbps = flood_down(net, 80e6, Duration::seconds(6), marker);
  auto s = net.client->sessions(net.now)[0];
  INFO("Mbit/s " << mbps << " turns " << net.turns << " held " << s.drops[DropReason::resequencer_full]);
  CHECK(mbps > 45);  // 50 less headers is 47.5
  CHECK(ascending(net.at_client));
}

TEST_CASE("random loss is repaired: nothing of an ordered flow is missing") {
  TestNet net(7);
  net.add_link(wire_of(20e6, Duration::millis(10), 0.02));
  net.add_link(wire_of(20e6, Duration::millis(15), 0.02));
  net.up_all();
  net.run(Duration::millis(300));
  uint32_t marker = 0;
  const double mbps = flood_down(net, 30e6, Duration::seconds(5), marker);
  net.run(Duration::seconds(2));
  INFO("Mbit/s " << mbps);
  CHECK(ascending(net.at_client));
  const auto server = net.server->sessions(net.now)[0];
  INFO("aqm " << server.drops[DropReason::ingress_aqm] << " full " << server.drops[DropReason::ingress_full] << " expired "
              << server.drops[DropReason::expired]);
  CHECK(net.at_client.size() + server.drops[DropReason::ingress_aqm] + server.drops[DropReason::ingress_full] == marker);
}

TEST_CASE("the acks of a download do not wait for one that was lost, and data behind it still does") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(40), 0.03));
  net.up_all();
  net.run(Duration::millis(500));
  std::vector<Time> sent;
  size_t late = 0, lost_order = 0;
  uint32_t next_data = 0;
  net.on_server_packet = [&](ByteSpan p) {
    const uint32_t m = marker_of(p);
    if (p.size() == 40 && net.now - sent[m] > Duration::millis(60)) ++late;
    if (p.size() > 40) lost_order += m != next_data++;
  };
  for (uint32_t i = 0; i < 2000; ++i) {
    // Every hundredth carries data, as the next request of a connection.
    auto p = make_packet(net.client_ip, net.server_ip, i % 100 == 99 ? i / 100 : static_cast<uint32_t>(sent.size()), i % 100 == 99 ? 600 : 40);
    p[9] = 6;
    p[32] = 0x50;
    p[33] = 0x10;
    if (p.size() > 40) put32(p, 24, i / 100 * 560);
    if (p.size() == 40) sent.push_back(net.now);
    net.send_to_server(p);
    net.run(Duration::millis(2));
  }
  net.run(Duration::seconds(2));
  // Those that were lost themselves: each is repaired about two round trips later, with dozens behind it.
  CHECK(late > 20);
  CHECK(late < 120);
  CHECK(next_data == 20);
  CHECK(lost_order == 0);
}

TEST_CASE("a link that goes silent under load loses nothing of an ordered flow and stalls it briefly") {
  TestNet net(3);
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(30e6, Duration::millis(25)));
  net.up_all();
  net.run(Duration::millis(300));
  uint32_t marker = 0;
  flood_down(net, 15e6, Duration::seconds(3), marker);
  const size_t from = net.at_client_times.size();
  net.links[0]->to_client.blackhole = net.links[0]->to_server.blackhole = true;
  flood_down(net, 15e6, Duration::seconds(3), marker);
  net.run(Duration::seconds(2));
  Duration longest;
  for (size_t i = from; i < net.at_client_times.size(); ++i) longest = std::max(longest, net.at_client_times[i] - net.at_client_times[i - 1]);
  INFO("longest gap " << longest.to_millis() << " ms");
  CHECK(longest < Duration::millis(250));
  CHECK(net.at_client.size() == marker);
  CHECK(ascending(net.at_client));
}

TEST_CASE("a call does not stand behind the repairs of a link that died under a download") {
  TestNet net(3);
  net.add_link(wire_of(40e6, Duration::millis(10)));
  net.add_link(wire_of(2e6, Duration::millis(15)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  uint32_t marker = 0;
  const auto talk = [&](int packets) {
    for (int i = 0; i < packets; ++i) {
      call.say();
      flood_down(net, 30e6, Duration::millis(20), marker);
    }
  };
  talk(150);
  call.delays.clear();
  net.links[0]->to_client.blackhole = net.links[0]->to_server.blackhole = true;
  talk(100);
  INFO("longest delay " << call.quantile(1).to_millis() << " ms");
  CHECK(call.quantile(1) < Duration::millis(250));
}

// What a path has in flight waits for its acknowledgements behind the upload as well; that is no queue of the way down.
TEST_CASE("on slow links full in both directions a call goes by the sooner one") {
  TestNet net(3);
  net.add_link(wire_of(2e6, Duration::millis(10)));
  net.add_link(wire_of(2e6, Duration::millis(25)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  uint32_t marker = 0;
  for (int i = 0; i < 3000; ++i) {
    call.say();
    if (i % 2 == 0) net.send_to_server(make_packet(net.client_ip, net.server_ip, marker, 1400));
    flood_down(net, 5e6, Duration::millis(5), marker);
    if (i == 600) call.delays.clear();
  }
  INFO("p50 " << call.quantile(.5).to_millis() << " p95 " << call.quantile(.95).to_millis() << " p99 " << call.quantile(.99).to_millis() << " ms");
  CHECK(call.quantile(.95) < Duration::millis(33));
}

// What was measured under load is soon forgotten.
TEST_CASE("after a load a call goes by the sooner link at once") {
  TestNet net(3);
  net.add_link(wire_of(2e6, Duration::millis(15)));
  net.add_link(wire_of(2e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  Call call(net);
  const auto talk = [&](int packets) {
    for (int i = 0; i < packets; ++i) {
      call.say();
      net.run(Duration::millis(20));
    }
  };
  uint32_t marker = 0;
  talk(20);
  flood_down(net, 4.2e6, Duration::seconds(5), marker);
  net.run(Duration::millis(1'500));  // what still waits
  call.delays.clear();
  talk(50);
  INFO("p95 " << call.quantile(.95).to_millis() << " ms");
  CHECK(call.quantile(.95) < Duration::millis(13));
}

TEST_CASE("small packets that wait anyway share a datagram") {
  TestNet net(3);
  net.add_link(wire_of(1e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(500));
  const uint64_t before = net.links[0]->to_client.sent;
  for (uint32_t i = 0; i < 600; ++i) net.send_to_client(make_packet(net.server_ip, net.client_ip, i, 120));
  net.run(Duration::seconds(3));
  // Half a second of queue: CoDel takes some; what it took is counted.
  CHECK(net.at_client.size() + net.server->sessions(net.now)[0].drops[DropReason::ingress_aqm] == 600);
  CHECK(net.at_client.size() > 550);
  CHECK(ascending(net.at_client));
  INFO("datagrams " << net.links[0]->to_client.sent - before);
  CHECK(net.links[0]->to_client.sent - before < 250);  // at most six share one; acks and probes come on top
}

TEST_CASE("keys are renewed under load without losing a packet") {
  TestNet net(5);
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  uint32_t marker = 0;
  for (int i = 0; i < 2600; ++i) {  // 260 s: two renewals
    net.run(Duration::millis(100));
    net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 500));
    net.send_to_server(make_packet(net.client_ip, net.server_ip, marker, 500));
  }
  net.run(Duration::seconds(1));
  CHECK(net.client->info().handshakes_completed >= 3);
  CHECK(net.at_client.size() == marker);
  CHECK(net.at_server.size() == marker);
}

TEST_CASE("after a restart of the server the client comes back by itself") {
  TestNet net(5);
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  net.make_server();
  for (int i = 0; i < 40; ++i) {
    net.send_to_server(make_packet(net.client_ip, net.server_ip, 1, 500));
    net.run(Duration::millis(100));
  }
  CHECK(net.server->info().sessions == 1);
  net.at_server.clear();
  net.send_to_server(make_packet(net.client_ip, net.server_ip, 42, 500));
  net.run(Duration::millis(100));
  CHECK(net.at_server == std::vector<uint32_t>{42});
}

TEST_CASE("after a restart of the client the server takes the new session") {
  TestNet net(5);
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  net.make_client();
  net.up_all();
  net.run(Duration::millis(300));
  net.send_to_client(make_packet(net.server_ip, net.client_ip, 43, 500));
  net.run(Duration::millis(100));
  CHECK(net.at_client == std::vector<uint32_t>{43});
  CHECK(net.server->info().sessions == 1);
}

TEST_CASE("an idle connected pair is quiet") {
  TestNet net(5);
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::seconds(5));
  const uint64_t turns = net.turns;
  net.run(Duration::seconds(60));
  INFO("turns in a minute " << net.turns - turns);
  CHECK(net.turns - turns < 60);
}

}  // namespace hawser::test
