// Compares results with the bars: absolute ones, ratios to another variant, ratios to the best link alone.
#include <algorithm>
#include <cmath>

#include "tests/sim/scenario/result.h"
#include "tests/sim/scenario/units.h"

namespace hawser::sim {
namespace {

double value_of(const std::map<std::string, double>& values, const Bar& bar, const std::string& scenario) {
  const auto it = values.find(bar.metric);
  if (it != values.end()) return it->second;
  // Counters exist once they have counted.
  if (bar.metric.find(".drop.") != std::string::npos || bar.metric == "reinjected") return 0;
  throw ScenarioError(scenario + ": there is no metric '" + bar.metric + "'");
}

std::string file_of(const Scenario& s) { return s.variant.empty() ? s.name : s.name.substr(0, s.name.size() - s.variant.size() - 1); }

double reference(const ScenarioResult& result, const Bar& bar, const std::vector<ScenarioResult>& all) {
  const Scenario& scenario = *result.scenario;
  if (bar.over == "alone") {
    // The better link: the higher one where more is better, else the lower one.
    double best = bar.min ? 0 : INFINITY;
    for (const auto& [link, values] : result.alone) {
      const double v = value_of(values, bar, scenario.name);
      best = bar.min ? std::max(best, v) : std::min(best, v);
    }
    return best;
  }
  for (const ScenarioResult& other : all) {
    if (file_of(*other.scenario) == file_of(scenario) && other.scenario->variant == bar.over) {
      return value_of(other.run.values, bar, scenario.name);
    }
  }
  throw ScenarioError(scenario.name + ": there is no variant '" + bar.over + "' to compare with");
}

}  // namespace

bool reached(const Bar& bar, double ours) { return (!bar.min || ours >= *bar.min) && (!bar.max || ours <= *bar.max); }

void judge(std::vector<ScenarioResult>& results) {
  for (ScenarioResult& r : results) {
    r.bars.clear();
    for (const Bar& bar : r.scenario->bars) {
      BarResult b{bar, value_of(r.run.values, bar, r.scenario->name), true};
      if (!bar.over.empty()) {
        const double base = reference(r, bar, results);
        b.ours = base > 0 ? b.ours / base : 0;
      }
      b.reached = reached(bar, b.ours);
      r.bars.push_back(b);
    }
  }
}

}  // namespace hawser::sim
