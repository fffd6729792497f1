// Two engines in the simulator: the same seed gives the same bytes at the same times; both ciphers; NAT; interfaces that come and go.
#include <catch2/catch.hpp>

#include "common/crypto/secret.h"
#include "tests/sim/scenario/network.h"
#include "tests/sim/scenario/result.h"

namespace hawser::sim {
namespace {

const bool kReady = init();

LinkSpec link(const char* name, double mbps, int delay_ms) {
  LinkSpec l;
  l.interface.name = name;
  l.up.rate = l.down.rate = {mbps * 1e6};
  l.up.delay = l.down.delay = Duration::millis(delay_ms);
  return l;
}

Scenario two_links() {
  Scenario s;
  s.name = "test";
  s.length = Duration::seconds(6);
  s.measure_from = Duration::seconds(3);
  s.links = {link("a", 20, 10), link("b", 30, 25)};
  s.links[1].down.loss = s.links[1].up.loss = 0.01;
  s.flows = {FlowSettings{}};
  s.flows[0].name = "tcp";
  return s;
}

}  // namespace

TEST_CASE("the same seed sends the same bytes at the same times; another seed does not") {
  REQUIRE(kReady);
  const Scenario s = two_links();
  const RunResult a = run_once(s, 1), b = run_once(s, 1), c = run_once(s, 2);
  CHECK(a.fingerprint == b.fingerprint);
  CHECK(a.events == b.events);
  CHECK(a.values == b.values);
  CHECK(a.log == b.log);
  CHECK(a.fingerprint != c.fingerprint);
}

TEST_CASE("the real cipher changes bytes and not what happens") {
  Scenario s = two_links();
  const RunResult null = run_once(s, 1);
  s.tunnel.real_cipher = true;
  const RunResult real = run_once(s, 1);
  CHECK(null.fingerprint != real.fingerprint);
  CHECK(real.values.at("goodput") == Approx(null.values.at("goodput")).epsilon(0.05));
}

TEST_CASE("what the tunnel delivers is what was sent, and both links carry it") {
  const RunResult r = run_once(two_links(), 1);
  CHECK(r.values.at("mixed_up") == 0);
  CHECK(r.values.at("goodput") > 20);  // more than one link alone
  CHECK(r.values.at("a.share") > 0.2);
  CHECK(r.values.at("b.share") > 0.2);
}

TEST_CASE("a NAT that forgets its mapping ends nothing") {
  Scenario s = two_links();
  s.links.pop_back();
  Step rebind;
  rebind.at = Duration::seconds(3);
  rebind.up = s.links[0].up;
  rebind.down = s.links[0].down;
  rebind.rebind = true;
  s.links[0].steps = {rebind};
  const RunResult r = run_once(s, 1);
  CHECK(r.values.at("goodput") > 15);
}

TEST_CASE("an interface that goes and comes back is another path each time") {
  Scenario s = two_links();
  Step down;
  down.at = Duration::seconds(2);
  down.up = s.links[0].up;
  down.down = s.links[0].down;
  down.carrier = false;
  Step up = down;
  up.at = Duration::seconds(3);
  up.carrier = true;
  s.links[0].steps = {down, up};
  s.length = Duration::seconds(8);
  s.measure_from = Duration::seconds(5);
  const RunResult r = run_once(s, 1);
  CHECK(r.values.at("a.share") > 0.2);
  CHECK(r.values.at("mixed_up") == 0);
}

TEST_CASE("links behind a shared bottleneck together get its rate") {
  Scenario s = two_links();
  s.links = {link("a", 100, 5), link("b", 100, 5), link("shared", 20, 5)};
  s.links[0].via = s.links[1].via = "shared";
  s.links[2].is_path = false;
  CHECK(ceiling(s, "", Heading::down) == Approx(20 * 1348.0 / 1473));
  const RunResult r = run_once(s, 1);
  CHECK(r.values.at("of_ceiling") <= 1.0);
  CHECK(r.values.at("of_ceiling") > 0.5);
}

TEST_CASE("a flow beside the tunnel shares the link with it") {
  Scenario s = two_links();
  s.links.pop_back();
  FlowSettings beside;
  beside.name = "beside";
  beside.over = "a";
  beside.count_in_goodput = false;
  s.flows.push_back(beside);
  const RunResult r = run_once(s, 1);
  CHECK(r.values.at("beside.goodput") > 0.5);
  CHECK(r.values.at("beside.goodput") + r.values.at("tcp.goodput") <= 20);
}

}  // namespace hawser::sim
