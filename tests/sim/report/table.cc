// Tables of fixed columns.
#include <algorithm>
#include <cstdio>
#include <ostream>

#include "tests/sim/report/report.h"

namespace hawser::sim {
namespace {

std::string number(double v) {
  char text[32];
  const double size = v < 0 ? -v : v;
  std::snprintf(text, sizeof text, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 1 ? "%.2f" : "%.3f", v);
  return text;
}

using Row = std::vector<std::string>;

// The first column and the last are aligned to the left, numbers to the right.
void print_rows(std::ostream& out, const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const Row& row : rows) {
    std::string line = " ";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - row[i].size(), ' ');
      const bool left = i == 0 || i + 1 == row.size();
      line += " " + (left ? row[i] + pad : pad + row[i]) + " ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

std::string limits(const Bar& bar) {
  if (bar.min && bar.max) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g-%.3g", *bar.min, *bar.max);
    return text;
  }
  if (bar.min) return ">= " + number(*bar.min);
  return bar.max ? "<= " + number(*bar.max) : "report";
}

std::string verdict(const BarResult& b) {
  if (!b.bar.min && !b.bar.max) return "";
  return b.reached ? "ok" : "SHORT";
}

}  // namespace

std::string bar_label(const Bar& bar) { return bar.over.empty() ? bar.metric : bar.metric + " over " + bar.over; }

void print_scenario(std::ostream& out, const ScenarioResult& result) {
  const auto& values = result.run.values;
  const auto show = [&](const char* key) {
    const auto it = values.find(key);
    return it == values.end() ? std::string("-") : number(it->second);
  };
  out << result.scenario->name << ": " << result.scenario->about << '\n';
  print_rows(out, {{"goodput Mbit/s", "ceiling", "of ceiling", "time to 90 % s", "stall ms", "retransmissions", "reordered", "reinjected"},
                   {show("goodput"), show("ceiling"), show("of_ceiling"), show("time_to_90"), show("stall_ms"), show("retransmissions"),
                    show("reordered"), show("reinjected")}});
  std::vector<Row> rows = {{"link", "share up", "share down", "queue p50 ms", "p99 up", "p50 down", "p99 down", "drops"}};
  for (const LinkResult& l : result.run.links) {
    const auto v = [&](const std::string& key) { return values.at(l.name + key); };
    rows.push_back({l.name, number(l.share_up), number(l.share_down), number(v(".up.queue_p50")), number(v(".up.queue_p99")),
                    number(v(".down.queue_p50")), number(v(".down.queue_p99")), number(v(".up.drops") + v(".down.drops"))});
  }
  print_rows(out, rows);
  for (const FlowResult& f : result.run.flows) {
    out << "  " << f.name << (f.through_tunnel ? "" : " (beside the tunnel)") << ":";
    for (const auto& [key, value] : f.values) out << ' ' << key << '=' << number(value);
    out << '\n';
  }
  for (const auto& [link, alone] : result.alone) {
    out << "  alone over " << link << ": goodput " << number(alone.at("goodput")) << '\n';
  }
  if (!result.bars.empty()) print_table(out, {result});
}

void print_table(std::ostream& out, const std::vector<ScenarioResult>& results) {
  std::vector<Row> rows = {{"scenario", "what", "ours", "bar", "", "published"}};
  for (const ScenarioResult& r : results) {
    for (const BarResult& b : r.bars) {
      rows.push_back({r.scenario->name, bar_label(b.bar), number(b.ours), limits(b.bar), verdict(b), b.bar.published});
    }
  }
  print_rows(out, rows);
}

}  // namespace hawser::sim
