// Reads, writes and compares results.json: scenario, what, number.
#include "tests/sim/scenario/committed.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/sim/report/report.h"
#include "tests/sim/scenario/units.h"

namespace hawser::sim {
namespace {

nlohmann::ordered_json read(const std::string& file) {
  std::ifstream in(file);
  if (!in) return nlohmann::ordered_json::object();
  try {
    return nlohmann::ordered_json::parse(in);
  } catch (const nlohmann::json::exception& e) {
    throw ScenarioError(file + ": " + e.what());
  }
}

constexpr double kDecimals = 1e4;  // of the numbers in the file

// A bar without a limit is a report: any value is as good as another, and so is any between two limits. A time of a few packets
// may move by one of them, and a tiny number by what its rounding took.
bool worse(const BarResult& now, double then, double tolerance) {
  if (now.bar.min && now.bar.max && now.reached) return false;
  const double slack = std::max(std::fabs(then) * tolerance, 0.5 / kDecimals + 1e-9);
  if (now.bar.min && now.ours < then - slack) return true;
  return now.bar.max && now.ours > then + slack;
}

}  // namespace

std::vector<std::string> compare_with(const std::string& file, const std::vector<ScenarioResult>& results, double tolerance) {
  const nlohmann::ordered_json committed = read(file);
  std::vector<std::string> breaches;
  for (const ScenarioResult& r : results) {
    for (const BarResult& b : r.bars) {
      const std::string what = r.scenario->name + ", " + bar_label(b.bar);
      if (!committed.contains(r.scenario->name) || !committed[r.scenario->name].contains(bar_label(b.bar))) {
        breaches.push_back(what + ": not in " + file + "; run hawser-sim --all --update");
        continue;
      }
      const double then = committed[r.scenario->name][bar_label(b.bar)];
      if (!worse(b, then, tolerance)) continue;
      breaches.push_back(what + ": was " + std::to_string(then) + ", is " + std::to_string(b.ours));
    }
  }
  return breaches;
}

void write_committed(const std::string& file, const std::vector<ScenarioResult>& results) {
  nlohmann::ordered_json committed = read(file);
  for (const ScenarioResult& r : results) {
    nlohmann::ordered_json lines = nlohmann::ordered_json::object();
    for (const BarResult& b : r.bars) lines[bar_label(b.bar)] = std::round(b.ours * kDecimals) / kDecimals;
    committed[r.scenario->name] = lines;
  }
  std::ofstream out(file);
  out << committed.dump(1) << '\n';
  if (!out) throw ScenarioError("cannot write " + file);
}

std::vector<ScenarioResult> read_committed(const std::string& file, const std::vector<Scenario>& scenarios) {
  const nlohmann::ordered_json committed = read(file);
  std::vector<ScenarioResult> results;
  for (const Scenario& s : scenarios) {
    ScenarioResult r;
    r.scenario = &s;
    const auto lines = committed.find(s.name);
    for (const Bar& bar : s.bars) {
      if (lines == committed.end() || !lines->contains(bar_label(bar))) continue;
      r.bars.push_back({bar, lines->at(bar_label(bar)), false});
      r.bars.back().reached = reached(bar, r.bars.back().ours);
    }
    results.push_back(std::move(r));
  }
  return results;
}

}  // namespace hawser::sim
