// The committed table of all scenarios, and what has become worse since.
#pragma once

#include "tests/sim/scenario/result.h"

namespace hawser::sim {

// One line per bar that is more than `tolerance` worse than the file says, or that the file does not have. Empty: all is well.
std::vector<std::string> compare_with(const std::string& file, const std::vector<ScenarioResult>& results, double tolerance);
// Writes the file anew; scenarios that were not run keep their lines.
void write_committed(const std::string& file, const std::vector<ScenarioResult>& results);
// The file's numbers as results of these scenarios, for the table; what it does not have is left out.
std::vector<ScenarioResult> read_committed(const std::string& file, const std::vector<Scenario>& scenarios);

}  // namespace hawser::sim
