// Ten thousand paths that come and go.
#include "tests/unit/session/paths_support.h"

using namespace hawser;
using namespace hawser::test;

TEST_CASE("ten thousand additions and removals of a path leave nothing behind at either end") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(5)));
  TestLink& other = net.add_link(wire_of(20e6, Duration::millis(5)));
  connect(net);
  uint32_t marker = 1;
  const auto churn = [&](int times) {
    for (int i = 0; i < times; ++i) {
      net.client->on_path_event(LinkDown{other.up.link}, net.now);
      net.run(Duration::millis(20));
      other.up.link = LinkId{other.up.link.value + 100};
      ++other.up.local.port;
      net.client->on_path_event(other.up, net.now);
      net.send_to_client(make_packet(net.server_ip, net.client_ip, marker++, 600));
      net.run(Duration::millis(30));
    }
  };
  const auto memory = [&](Endpoint& e) { return e.sessions(net.now).at(0).memory_bytes; };
  churn(500);
  const size_t client = memory(*net.client), server = memory(*net.server);
  net.client_events.clear();
  net.server_events.clear();
  churn(9'500);
  net.run(Duration::seconds(1));
  CHECK(memory(*net.client) <= client + client / 10);
  CHECK(memory(*net.server) <= server + server / 10);
  CHECK(net.client->sessions(net.now).at(0).paths.size() == 2);
  CHECK(net.server->sessions(net.now).at(0).paths.size() == 2);
  CHECK(net.at_client.size() == marker - 1);
}
