// IPv4 and IPv6 of one interface: two paths over one line, of which one carries and the other is warm.
#include "tests/unit/session/paths_support.h"

using namespace hawser;
using namespace hawser::test;

namespace {

// Two families of one interface, and on wish another interface.
struct Net : TestNet {
  TestLink* v4 = nullptr;
  TestLink* v6 = nullptr;
  explicit Net(bool with_other = false) {
    v4 = &add_link(wire_of(20e6, Duration::millis(10)));
    v6 = &add_link(wire_of(20e6, Duration::millis(12)));
    v4->up.twins = v6->up.twins = 7;
    v6->up.interface = v4->up.interface;
    if (with_other) add_link(wire_of(20e6, Duration::millis(20)));
    connect(*this);
  }
  PathState client_state(TestLink& l) { return path_on(*this, false, l).state; }
  PathState server_state(TestLink& l) { return path_on(*this, true, l).state; }
  void set_dead(TestLink& l, bool dead) { l.to_server.blackhole = l.to_client.blackhole = dead; }
};

}  // namespace

TEST_CASE("one of two families carries, the other is a warm spare at both ends") {
  Net net;
  CHECK(net.client_state(*net.v4) == PathState::active);
  CHECK(net.client_state(*net.v6) == PathState::standby);
  CHECK(path_on(net, false, *net.v6).reason == PathReason::spare);
  CHECK(net.server_state(*net.v4) == PathState::active);
  CHECK(net.server_state(*net.v6) == PathState::standby);
  const uint64_t before = path_on(net, true, *net.v6).sent_bytes;
  uint32_t marker = 1;
  trickle_down(net, Duration::seconds(2), marker);
  net.run(Duration::millis(100));
  CHECK(net.at_client.size() == marker - 1);
  // Kept warm, not used: neither data nor acks of the other's.
  CHECK(path_on(net, true, *net.v6).sent_bytes - before < 500);
}

TEST_CASE("a family that dies alone is replaced by the other within a second, and does not take over again when it returns") {
  for (const bool with_other : {false, true}) {
    INFO("another interface: " << with_other);
    Net net(with_other);
    uint32_t marker = 1;
    trickle_down(net, Duration::seconds(2), marker);
    net.at_client_times.clear();
    const Time died = net.now;
    net.set_dead(*net.v4, true);
    trickle_down(net, Duration::seconds(2), marker);
    CHECK(net.client_state(*net.v4) == PathState::lost);
    CHECK(net.client_state(*net.v6) == PathState::active);
    CHECK(net.server_state(*net.v6) == PathState::active);
    CHECK(net.at_client.size() >= marker - 15);
    Duration gap{};
    Time last = died;
    for (const Time t : net.at_client_times) {
      gap = std::max(gap, t - last);
      last = t;
    }
    CHECK(gap < Duration::millis(300));
    net.set_dead(*net.v4, false);
    trickle_down(net, Duration::seconds(5), marker);
    CHECK(net.client_state(*net.v4) == PathState::standby);
    CHECK(net.client_state(*net.v6) == PathState::active);
    CHECK(net.server_state(*net.v4) == PathState::standby);
  }
}

TEST_CASE("an address that goes away leaves the interface to the other family at once") {
  Net net;
  net.client->on_path_event(LinkDown{net.v4->up.link}, net.now);
  net.run(Duration::millis(200));
  CHECK(net.client_state(*net.v6) == PathState::active);
  CHECK(net.server_state(*net.v6) == PathState::active);
}

TEST_CASE("when both families died, the first that answers carries") {
  Net net;
  net.set_dead(*net.v4, true);
  net.set_dead(*net.v6, true);
  uint32_t marker = 1;
  trickle_down(net, Duration::seconds(20), marker);
  net.set_dead(*net.v6, false);
  trickle_down(net, Duration::seconds(20), marker);
  CHECK(net.client_state(*net.v6) == PathState::active);
  CHECK(net.server_state(*net.v6) == PathState::active);
  net.set_dead(*net.v4, false);
  trickle_down(net, Duration::seconds(20), marker);
  CHECK(net.client_state(*net.v4) == PathState::standby);
}

TEST_CASE("spares leave room for other interfaces: each of twelve has a path") {
  TestNet net;
  for (uint32_t i = 0; i < 12; ++i) {
    for (int family = 0; family < 2; ++family) {
      TestLink& l = net.add_link(wire_of(20e6, Duration::millis(10)));
      l.up.twins = i + 1;
    }
  }
  connect(net);
  net.run(Duration::seconds(2));
  size_t active = 0, spare = 0;
  const SessionInfo session = net.server->sessions(net.now).at(0);
  for (const PathInfo& p : session.paths) {
    active += p.state == PathState::active;
    spare += p.state == PathState::standby;
  }
  CHECK(active == 12);
  CHECK(active + spare <= kMaxPaths);
}
