// What a run of a scenario gives: named numbers, series over time, a log.
#pragma once

#include "tests/sim/scenario/scenario.h"

namespace hawser::sim {

struct LinkResult {
  std::string name;
  double share_up = 0, share_down = 0;  // of the bytes of all paths while measured
  std::vector<double> bins_up, bins_down;  // bytes per 100 ms
};

struct RunResult {
  std::map<std::string, double> values;
  std::vector<FlowResult> flows;
  std::vector<LinkResult> links;
  std::vector<std::string> log;
  uint64_t fingerprint = 0, events = 0;
};

// Bits of inner TCP payload that the links could carry per second if they were one, Mbit/s.
double ceiling(const Scenario& scenario, const std::string& only, Heading heading);

// One run with one seed.
RunResult run_once(const Scenario& scenario, uint64_t seed, const std::string& only = {});

// A bar and what was reached.
struct BarResult {
  Bar bar;
  double ours = 0;
  bool reached = false;
};

struct ScenarioResult {
  const Scenario* scenario = nullptr;
  RunResult run;                                 // of the first seed; its values are medians over the seeds
  std::map<std::string, std::map<std::string, double>> alone;  // per link, when asked for
  std::vector<BarResult> bars;
  double wall_seconds = 0;
};

bool reached(const Bar& bar, double ours);

// All seeds, and each link alone when the scenario asks for it. Bars are judged by judge().
ScenarioResult run_scenario(const Scenario& scenario);
// Fills in `bars` of all; they may refer to each other's variants.
void judge(std::vector<ScenarioResult>& results);

}  // namespace hawser::sim
