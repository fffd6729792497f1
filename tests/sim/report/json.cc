// Everything measured, as JSON.
#include <nlohmann/json.hpp>
#include <ostream>

#include "tests/sim/report/report.h"

namespace hawser::sim {

void write_json(std::ostream& out, const std::vector<ScenarioResult>& results) {
  nlohmann::json all = nlohmann::json::array();
  for (const ScenarioResult& r : results) {
    nlohmann::json j = {{"scenario", r.scenario->name}, {"about", r.scenario->about}, {"values", r.run.values}, {"log", r.run.log}};
    j["fingerprint"] = std::to_string(r.run.fingerprint);
    for (const FlowResult& f : r.run.flows) j["flows"][f.name] = {{"type", f.type}, {"values", f.values}};
    for (const LinkResult& l : r.run.links) j["paths"][l.name] = {{"share_up", l.share_up}, {"share_down", l.share_down}};
    for (const auto& [link, values] : r.alone) j["alone"][link] = values;
    for (const BarResult& b : r.bars) {
      nlohmann::json bar = {{"what", bar_label(b.bar)}, {"ours", b.ours}, {"reached", b.reached}, {"published", b.bar.published}};
      if (b.bar.min) bar["min"] = *b.bar.min;
      if (b.bar.max) bar["max"] = *b.bar.max;
      j["bars"].push_back(bar);
    }
    all.push_back(j);
  }
  out << all.dump(1) << '\n';
}

}  // namespace hawser::sim
