// Series over time, one value per line.
#include <cstdio>
#include <ostream>

#include "tests/sim/report/report.h"

namespace hawser::sim {
namespace {

void line(std::ostream& out, double second, const std::string& series, double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4f,", second);
  out << text << series;
  std::snprintf(text, sizeof text, ",%.4f\n", value);
  out << text;
}

void rates(std::ostream& out, const std::string& series, const std::vector<double>& bins) {
  for (size_t i = 0; i < bins.size(); ++i) line(out, static_cast<double>(i) / 10, series, bins[i] * 80e-6);
}

}  // namespace

void write_csv(std::ostream& out, const ScenarioResult& result) {
  out << "second,series,value\n";
  for (const FlowResult& f : result.run.flows) {
    rates(out, f.name + " goodput Mbit/s", f.bins);
    for (const auto& [second, ms] : f.delays) line(out, second, f.name + " delay ms", ms);
  }
  for (const LinkResult& l : result.run.links) {
    rates(out, l.name + " up Mbit/s", l.bins_up);
    rates(out, l.name + " down Mbit/s", l.bins_down);
  }
}

}  // namespace hawser::sim
