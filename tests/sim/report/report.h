// Results for people and for programs.
#pragma once

#include <iosfwd>

#include "tests/sim/scenario/result.h"

namespace hawser::sim {

// One scenario in full: numbers, paths, flows, bars.
void print_scenario(std::ostream& out, const ScenarioResult& result);
// One line per bar of all scenarios.
void print_table(std::ostream& out, const std::vector<ScenarioResult>& results);
void write_json(std::ostream& out, const std::vector<ScenarioResult>& results);
// second,series,value: rates of flows and links in Mbit/s per 100 ms, delays in ms as they were measured.
void write_csv(std::ostream& out, const ScenarioResult& result);
// Rates over time above, delays below.
void write_svg(std::ostream& out, const ScenarioResult& result);

// "of_ceiling", or "goodput over min-rtt".
std::string bar_label(const Bar& bar);

}  // namespace hawser::sim
