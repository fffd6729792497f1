// A plot without a library: rates of flows and links over time, delays below.
#include <algorithm>
#include <cstdio>
#include <ostream>

#include "tests/sim/report/report.h"

namespace hawser::sim {
namespace {

constexpr double kWidth = 900, kHeight = 240, kLeft = 60, kTop = 40, kBetween = 70;
constexpr const char* kColours[] = {"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"};

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool dots = false;
};

// Means of half a second: 100 ms of a few packets each are noise.
Series rate_series(const std::string& name, const std::vector<double>& bins) {
  Series s{name, {}, false};
  for (size_t i = 0; i < bins.size(); i += 5) {
    double bytes = 0;
    for (size_t k = i; k < std::min(bins.size(), i + 5); ++k) bytes += bins[k];
    s.points.emplace_back(static_cast<double>(i) / 10 + 0.25, bytes * 16e-6);
  }
  return s;
}

void text(std::ostream& out, double x, double y, const std::string& t, const char* colour = "#333") {
  out << "<text x='" << x << "' y='" << y << "' font-family='sans-serif' font-size='12' fill='" << colour << "'>" << t << "</text>\n";
}

void plot(std::ostream& out, double top, const std::string& title, const std::vector<Series>& all, double seconds) {
  double highest = 1e-9;
  for (const Series& s : all) {
    for (const auto& [x, y] : s.points) highest = std::max(highest, y);
  }
  char label[32];
  out << "<rect x='" << kLeft << "' y='" << top << "' width='" << kWidth << "' height='" << kHeight << "' fill='none' stroke='#999'/>\n";
  text(out, kLeft, top - 8, title);
  for (int i = 0; i <= 4; ++i) {
    std::snprintf(label, sizeof label, "%.3g", highest * i / 4);
    text(out, 8, top + kHeight - kHeight * i / 4 + 4, label);
    std::snprintf(label, sizeof label, "%.3g s", seconds * i / 4);
    text(out, kLeft + kWidth * i / 4 - 8, top + kHeight + 16, label);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    const auto x_of = [&](double x) { return kLeft + kWidth * x / seconds; };
    const auto y_of = [&](double y) { return top + kHeight - kHeight * y / highest; };
    if (all[i].dots) {
      for (const auto& [x, y] : all[i].points) {
        out << "<circle cx='" << x_of(x) << "' cy='" << y_of(y) << "' r='1' fill='" << colour << "'/>\n";
      }
    } else {
      out << "<polyline fill='none' stroke='" << colour << "' stroke-width='1.5' points='";
      for (const auto& [x, y] : all[i].points) out << x_of(x) << ',' << y_of(y) << ' ';
      out << "'/>\n";
    }
    text(out, kLeft + kWidth + 10, top + 14 + 16 * static_cast<double>(i), all[i].name, colour);
  }
}

}  // namespace

void write_svg(std::ostream& out, const ScenarioResult& result) {
  std::vector<Series> rates, delays;
  for (const FlowResult& f : result.run.flows) {
    if (!f.bins.empty()) rates.push_back(rate_series(f.name, f.bins));
    if (!f.delays.empty()) delays.push_back({f.name, f.delays, true});
  }
  for (const LinkResult& l : result.run.links) {
    rates.push_back(rate_series(l.name + " up", l.bins_up));
    rates.push_back(rate_series(l.name + " down", l.bins_down));
  }
  const double seconds = result.scenario->length.to_seconds();
  const double height = kTop + kHeight + kBetween + (delays.empty() ? 0 : kHeight + kBetween);
  out << "<svg xmlns='http://www.w3.org/2000/svg' width='" << kLeft + kWidth + 160 << "' height='" << height << "'>\n";
  out << "<rect width='100%' height='100%' fill='white'/>\n";
  plot(out, kTop, result.scenario->name + ": Mbit/s", rates, seconds);
  if (!delays.empty()) plot(out, kTop + kHeight + kBetween, "delay, ms", delays, seconds);
  out << "</svg>\n";
}

}  // namespace hawser::sim
