// The path's state machine as a table, and the search for the path MTU.
#include <catch2/catch.hpp>

#include "common/path/mtu.h"
#include "common/path/path_state.h"

namespace hawser {

TEST_CASE("transitions of a path") {
  struct Case {
    const char* what;
    std::vector<PathInput> inputs;
    PathState end;
    bool reinject;
  };
  using I = PathInput;
  const Case cases[] = {
      {"validated", {I::validated}, PathState::active, false},
      {"progress alone does not validate", {I::progress}, PathState::validating, false},
      {"unanswered data", {I::validated, I::no_progress}, PathState::suspect, true},
      {"a suspect answers", {I::validated, I::no_progress, I::progress}, PathState::active, false},
      {"a suspect does not", {I::validated, I::no_progress, I::probes_failed}, PathState::lost, true},
      {"a lost one must be validated", {I::validated, I::link_down, I::progress}, PathState::lost, false},
      {"a lost one comes back", {I::validated, I::link_down, I::validated}, PathState::active, false},
      {"link down at once", {I::validated, I::link_down}, PathState::lost, true},
      {"backup stands by", {I::wants_standby, I::validated}, PathState::standby, false},
      {"backup promoted", {I::wants_standby, I::validated, I::wants_active}, PathState::active, false},
      {"a suspect backup stays backup", {I::wants_standby, I::validated, I::no_progress, I::progress}, PathState::standby, false},
      {"flapping stands by", {I::flapping, I::validated}, PathState::standby, false},
      {"settled again", {I::flapping, I::validated, I::settled}, PathState::active, false},
      {"two reasons, one of them gone", {I::validated, I::lossy, I::slow, I::clean}, PathState::standby, false},
      {"neither of two reasons left", {I::validated, I::lossy, I::slow, I::clean, I::prompt}, PathState::active, false},
      {"a lossy one dies", {I::validated, I::lossy, I::no_progress, I::probes_failed}, PathState::lost, true},
      {"paused", {I::validated, I::paused}, PathState::paused, true},
      {"paused is not woken by an answer", {I::validated, I::paused, I::validated}, PathState::paused, false},
      {"resumed must be validated", {I::validated, I::paused, I::resumed}, PathState::validating, false},
      {"never answered", {I::probes_failed}, PathState::lost, false},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    PathMachine m{Time{1}};
    PathAction last;
    for (PathInput i : c.inputs) last = m.on_event(i, Time{2});
    CHECK(m.state() == c.end);
    CHECK(last.reinject == c.reinject);
  }
}

TEST_CASE("path MTU: the ceiling is tried first") {
  Time now{1'000'000'000};
  PathMtu m(1472);
  CHECK(m.datagram() == kBaseDatagram);
  CHECK(m.probe_size(now) == 0);  // not before validation
  m.on_validated(now);
  CHECK(m.probe_size(now) == 1472);
  m.on_probe_sent(now, Duration::millis(50));
  CHECK(m.probe_size(now) == 0);
  m.on_probe_acked(1472, now);
  CHECK(m.datagram() == 1472);
  CHECK(m.next_probe() == Time::infinite());
}

TEST_CASE("path MTU: a smaller pipe is found from above and never exceeded") {
  Time now{1'000'000'000};
  PathMtu m(1472);
  m.on_validated(now);
  const uint16_t pipe = 1400;
  int probes = 0;
  while (m.next_probe() < now + Duration::seconds(100) && probes < 100) {
    now = std::max(now, m.next_probe());
    const uint16_t size = m.probe_size(now);
    REQUIRE(size > m.datagram());
    m.on_probe_sent(now, Duration::millis(20));
    if (size <= pipe) m.on_probe_acked(size, now + Duration::millis(20));
    ++probes;
  }
  CHECK(m.datagram() == 1392);
  CHECK(probes < 30);
}

}  // namespace hawser
