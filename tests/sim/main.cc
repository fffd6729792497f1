// hawser-sim: runs scenario files over two real engines in virtual time and prints what came of it.
#include <CLI/CLI.hpp>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include "common/crypto/secret.h"
#include "tests/sim/report/report.h"
#include "tests/sim/scenario/committed.h"
#include "tests/sim/scenario/units.h"

namespace hawser::sim {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string scenarios = HAWSER_SIM_SCENARIOS;
  std::string variant, csv, svg, check, update;
  uint64_t seed = 0;
  double tolerance = 0.03;
  unsigned jobs = 1;
  bool all = false, json = false, log = false, fast = false, values = false;
};

std::vector<Scenario> load(const Options& o) {
  std::vector<std::string> files = o.files;
  if (o.all) {
    for (const auto& entry : std::filesystem::directory_iterator(o.scenarios)) {
      if (entry.path().extension() == ".toml") files.push_back(entry.path().string());
    }
    for (std::string& file : files) file = std::filesystem::weakly_canonical(file).string();
    std::sort(files.begin(), files.end());
    files.erase(std::unique(files.begin(), files.end()), files.end());
  }
  std::vector<Scenario> scenarios;
  for (const std::string& file : files) {
    for (Scenario& s : load_scenarios(file)) {
      if (o.fast && s.slow) continue;
      if (!o.variant.empty() && s.variant != o.variant) continue;
      if (o.seed) s.tunnel.seed = o.seed;
      scenarios.push_back(std::move(s));
    }
  }
  return scenarios;
}

// Runs are independent of each other: as many at once as there are threads, results in the order of the files.
std::vector<ScenarioResult> run_all(const std::vector<Scenario>& scenarios, unsigned jobs) {
  std::vector<ScenarioResult> results(scenarios.size());
  std::vector<std::string> failures(scenarios.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < scenarios.size(); i = next++) {
      try {
        results[i] = run_scenario(scenarios[i]);
      } catch (const std::exception& e) {
        failures[i] = e.what();
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < jobs; ++i) threads.emplace_back(work);
  work();
  for (std::thread& t : threads) t.join();
  for (const std::string& failure : failures) {
    if (!failure.empty()) throw ScenarioError(failure);
  }
  judge(results);
  return results;
}

template <typename Write>
void to_file(const std::string& file, Write&& write) {
  if (file.empty()) return;
  std::ofstream out(file);
  write(out);
  if (!out) throw ScenarioError("cannot write " + file);
}

// The text beside the table says the table in words: all scenarios that it has numbers of, run now or before.
void update(const Options& o, const std::vector<ScenarioResult>& results) {
  write_committed(o.update, results);
  Options everything = o;
  everything.all = true;
  everything.fast = false;
  everything.variant.clear();
  const std::vector<Scenario> scenarios = load(everything);
  const std::string text = std::filesystem::path(o.update).replace_extension(".txt").string();
  to_file(text, [&](std::ostream& out) { print_table(out, read_committed(o.update, scenarios)); });
}

int run(const Options& o) {
  const std::vector<Scenario> scenarios = load(o);
  if (scenarios.empty()) throw ScenarioError("no scenario to run: name a file, or say --all");
  const std::vector<ScenarioResult> results = run_all(scenarios, std::max(1u, o.jobs));
  if (o.json) {
    write_json(std::cout, results);
  } else if (o.all || o.files.size() > 1) {
    print_table(std::cout, results);
  } else {
    for (const ScenarioResult& r : results) {
      print_scenario(std::cout, r);
      if (o.log) {
        for (const std::string& line : r.run.log) std::cout << "  " << line << '\n';
      }
      if (o.values) {
        for (const auto& [key, value] : r.run.values) std::cout << "  " << key << " = " << value << '\n';
      }
    }
  }
  double wall = 0, simulated = 0;
  for (const ScenarioResult& r : results) {
    wall += r.wall_seconds;
    const double runs = r.scenario->seeds * (r.scenario->alone ? 1.0 + static_cast<double>(r.alone.size()) : 1.0);
    simulated += runs * r.scenario->length.to_seconds();
  }
  std::cerr << results.size() << " scenarios, " << simulated << " s of network in " << wall << " s of work\n";
  to_file(o.csv, [&](std::ostream& out) { write_csv(out, results.front()); });
  to_file(o.svg, [&](std::ostream& out) { write_svg(out, results.front()); });
  if (!o.update.empty()) update(o, results);
  if (o.check.empty()) return 0;
  const std::vector<std::string> breaches = compare_with(o.check, results, o.tolerance);
  for (const std::string& line : breaches) std::cout << "WORSE: " << line << '\n';
  return breaches.empty() ? 0 : 1;
}

}  // namespace
}  // namespace hawser::sim

int main(int argc, char** argv) {
  using namespace hawser::sim;
  Options o;
  CLI::App app("Runs scenarios over two real Hawser engines in virtual time", "hawser-sim");
  app.add_option("scenario", o.files, "scenario files (TOML)")->check(CLI::ExistingFile);
  app.add_flag("--all", o.all, "all files of the scenarios folder, as one table");
  app.add_option("--scenarios", o.scenarios, "the folder for --all")->capture_default_str();
  app.add_option("--variant", o.variant, "this variant only");
  app.add_option("--seed", o.seed, "instead of the scenario's");
  app.add_option("-j,--jobs", o.jobs, "runs at once")->capture_default_str();
  app.add_flag("--fast", o.fast, "leave out what is marked slow");
  app.add_flag("--json", o.json, "everything measured, as JSON");
  app.add_flag("--log", o.log, "print what happened to paths and sessions");
  app.add_flag("--values", o.values, "print every number");
  app.add_option("--csv", o.csv, "write series over time to this file");
  app.add_option("--svg", o.svg, "plot to this file");
  app.add_option("--check", o.check, "fail when a bar is worse than this committed table says");
  app.add_option("--tolerance", o.tolerance, "by more than this fraction")->capture_default_str();
  app.add_option("--update", o.update, "write these numbers into the committed table, which keeps the others, and all of it as text, .txt");
  CLI11_PARSE(app, argc, argv);
  if (!hawser::init()) return 4;
  try {
    return run(o);
  } catch (const std::exception& e) {
    std::cerr << "hawser-sim: " << e.what() << '\n';
    return 2;
  }
}
