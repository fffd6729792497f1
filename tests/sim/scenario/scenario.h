// A scenario as read from its file: links, flows, how long, what is measured, and which numbers it has to reach.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/sim/net/settings.h"
#include "tests/sim/traffic/flow.h"
#include "tests/sim/tunnel/tunnel.h"

namespace hawser::sim {

// Something happens to a link: its settings from then on, and acts.
struct Step {
  Duration at;
  DirectionSettings up, down;
  std::optional<bool> carrier;  // the interface loses or gets it
  bool rebind = false;          // the NAT forgets
  std::optional<wire::PathPriority> priority;
};

struct LinkSpec {
  InterfaceSettings interface;
  size_t user = 0;           // whose interface it is
  std::string via;           // frames also pass this shared link
  bool is_path = true;       // false: only a shared link, no interface of the client
  bool starts_down = false;  // the interface comes with the first step that has a carrier
  DirectionSettings up, down;
  std::vector<Step> steps;
  const std::string& name() const { return interface.name; }
};

// A number to reach. With `over` it is divided by the same number of another variant of the file, or of the best link
// alone ("alone").
struct Bar {
  std::string metric;
  std::optional<double> min, max;
  std::string over;
  std::string published;  // what others reach
};

struct Scenario {
  std::string name;     // file name and variant: "p1/down"
  std::string about;
  std::string variant;
  TunnelSettings tunnel;
  Duration length = Duration::seconds(30);
  Duration measure_from = Duration::seconds(10);
  Duration idle_until{};  // the load begins here; before it the network is idle
  std::vector<std::pair<Duration, Duration>> phases;  // from and to, each with numbers of its own
  int seeds = 1;          // so many runs; each number is the median
  bool alone = false;     // also run over each link alone
  bool slow = false;      // not in the test, only in `--all`
  std::vector<LinkSpec> links;
  std::vector<FlowSettings> flows;
  std::vector<Bar> bars;
};

// Reads a file; one scenario per variant. Throws ScenarioError with file and line.
std::vector<Scenario> load_scenarios(const std::string& path);

}  // namespace hawser::sim
