// A scenario file: keys of the run at the top, [[link]], [[flow]], [[bar]]; each [[variant]] replaces whole top-level keys.
#include <algorithm>
#include <filesystem>

#include "tests/sim/scenario/read_link.h"
#include "tests/sim/scenario/units.h"

namespace hawser::sim {
namespace {
constexpr int64_t kMostUsers = 200;  // inner addresses are 10.9.0.2 and up
}

void check_keys(const toml::table& t, std::span<const std::string_view> known, const std::string& where) {
  for (const auto& [key, value] : t) {
    if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
      throw ScenarioError(where + ": nobody knows '" + std::string(key.str()) + "' (line " + std::to_string(value.source().begin.line) + ")");
    }
  }
}

std::optional<std::string> text(const toml::table& t, std::string_view key) {
  const toml::node* node = t.get(key);
  if (!node) return std::nullopt;
  if (const auto v = node->value<std::string>(); node->is_string()) return v;
  throw ScenarioError("'" + std::string(key) + "' is written in quotes (line " + std::to_string(node->source().begin.line) + ")");
}

size_t read_user(const toml::table& t) {
  const int64_t user = t["user"].value_or(int64_t{1});
  if (user < 1 || user > kMostUsers) throw ScenarioError("user " + std::to_string(user) + " is not within 1 and " + std::to_string(kMostUsers));
  return static_cast<size_t>(user - 1);
}

namespace {

constexpr std::string_view kRunKeys[] = {"about", "seconds", "measure-from", "idle-until", "seeds", "alone", "slow", "mode", "scheduler",
                                         "congestion", "seed", "mtu", "cipher", "phases", "link", "flow", "bar"};
constexpr std::string_view kBarKeys[] = {"metric", "min", "max", "over", "published"};

void read_engine(const toml::table& t, TunnelSettings& s) {
  const auto pick = [&](const char* key, std::initializer_list<std::string_view> names) -> uint8_t {
    const auto v = text(t, key);
    if (!v) return 0;
    const auto it = std::find(names.begin(), names.end(), *v);
    if (it == names.end()) throw ScenarioError(std::string(key) + " '" + *v + "' is not known");
    return static_cast<uint8_t>(it - names.begin());
  };
  // In the order of the enumerations of common/wire/frame.h.
  s.mode = static_cast<wire::Mode>(pick("mode", {"auto", "speed", "redundant", "latency"}));
  s.scheduler = static_cast<wire::SchedulerKind>(pick("scheduler", {"auto", "earliest", "min-rtt", "blest", "ecf", "round-robin",
                                                                    "queue-length", "service-time", "redundant"}));
  s.congestion = static_cast<wire::CongestionKind>(pick("congestion", {"auto", "lia", "olia", "balia", "wvegas", "cubic", "reno"}));
  s.seed = static_cast<uint64_t>(t["seed"].value_or(int64_t{1}));
  s.mtu = static_cast<uint16_t>(t["mtu"].value_or(int64_t{1400}));
  const std::string cipher = text(t, "cipher").value_or("null");
  if (cipher != "null" && cipher != "real") throw ScenarioError("cipher '" + cipher + "' is not one of null, real");
  s.real_cipher = cipher == "real";
}

// phases = [[2, 10], [12, 20]]: seconds of the run.
void read_phases(const toml::table& t, Scenario& s) {
  const toml::array* phases = t["phases"].as_array();
  for (size_t i = 0; phases && i < phases->size(); ++i) {
    const toml::array* pair = (*phases)[i].as_array();
    const auto second = [&](size_t k) { return pair && pair->size() == 2 ? (*pair)[k].value<double>().value_or(-1) : -1; };
    if (second(0) < 0 || second(1) <= second(0) || second(1) > s.length.to_seconds()) {
      throw ScenarioError("phase " + std::to_string(i + 1) + " is not two seconds of the run like [2, 10]");
    }
    s.phases.emplace_back(Duration::from_seconds(second(0)), Duration::from_seconds(second(1)));
  }
}

Bar read_bar(const toml::table& t) {
  check_keys(t, kBarKeys, "bar");
  Bar b;
  b.metric = text(t, "metric").value_or("");
  b.min = t["min"].value<double>();
  b.max = t["max"].value<double>();
  b.over = text(t, "over").value_or("");
  b.published = text(t, "published").value_or("");
  if (b.metric.empty()) throw ScenarioError("a bar has no metric");
  return b;
}

template <typename F>
void each_table(const toml::table& t, const char* key, F&& f) {
  const toml::array* a = t[key].as_array();
  if (!a) return;
  for (const toml::node& node : *a) {
    if (!node.is_table()) throw ScenarioError(std::string(key) + " holds tables only");
    f(*node.as_table());
  }
}

// When the tunnel is up for certain: a flow that does not say when it starts starts then, as a user's does. The handshake and a
// path's challenge take a round trip each.
Duration time_to_connect(const std::vector<LinkSpec>& links) {
  Duration longest{};
  for (const LinkSpec& l : links) {
    if (l.is_path && !l.starts_down) longest = std::max(longest, l.up.delay + l.up.jitter + l.down.delay + l.down.jitter);
  }
  return longest * 2 + Duration::millis(100);
}

Scenario read_scenario(const toml::table& t, const std::string& file, const std::string& variant) {
  check_keys(t, kRunKeys, file + (variant.empty() ? "" : ", variant " + variant));
  Scenario s;
  s.name = file + (variant.empty() ? "" : "/" + variant);
  s.variant = variant;
  s.about = text(t, "about").value_or("");
  s.length = Duration::from_seconds(t["seconds"].value_or(30.0));
  s.measure_from = Duration::from_seconds(t["measure-from"].value_or(std::min(10.0, s.length.to_seconds() / 3)));
  s.idle_until = Duration::from_seconds(t["idle-until"].value_or(0.0));
  s.seeds = static_cast<int>(t["seeds"].value_or(int64_t{1}));
  s.alone = t["alone"].value_or(false);
  s.slow = t["slow"].value_or(false);
  read_phases(t, s);
  read_engine(t, s.tunnel);
  each_table(t, "link", [&](const toml::table& link) { s.links.push_back(read_link(link, s.length)); });
  each_table(t, "flow", [&](const toml::table& flow) {
    for (FlowSettings& f : read_flows(flow)) {
      if (!flow.contains("start")) f.start = time_to_connect(s.links);
      s.flows.push_back(std::move(f));
    }
  });
  each_table(t, "bar", [&](const toml::table& bar) { s.bars.push_back(read_bar(bar)); });
  if (s.links.empty()) throw ScenarioError("there is no link");
  for (const LinkSpec& link : s.links) s.tunnel.users = std::max(s.tunnel.users, link.user + 1);
  for (const FlowSettings& flow : s.flows) {
    const auto belongs = [&](const LinkSpec& link) { return link.is_path && link.user == flow.user; };
    if (flow.over.empty() && std::none_of(s.links.begin(), s.links.end(), belongs)) {
      throw ScenarioError("flow " + flow.name + " is of user " + std::to_string(flow.user + 1) + ", who has no link");
    }
  }
  for (const LinkSpec& link : s.links) {
    const auto named = [&](const LinkSpec& other) { return other.name() == link.via; };
    if (!link.via.empty() && std::none_of(s.links.begin(), s.links.end(), named)) {
      throw ScenarioError("link " + link.name() + " goes via '" + link.via + "', which is no link");
    }
  }
  return s;
}

}  // namespace

std::vector<Scenario> load_scenarios(const std::string& path) {
  const std::string file = std::filesystem::path(path).stem().string();
  try {
    toml::table base = toml::parse_file(path);
    toml::array variants;
    if (const toml::array* v = base["variant"].as_array()) variants = *v;
    base.erase("variant");
    if (variants.empty()) return {read_scenario(base, file, "")};
    std::vector<Scenario> scenarios;
    for (const toml::node& node : variants) {
      if (!node.is_table()) throw ScenarioError("variant holds tables only");
      toml::table merged = base;
      const std::string name = text(*node.as_table(), "name").value_or("");
      if (name.empty()) throw ScenarioError("a variant has no name");
      for (const auto& [key, value] : *node.as_table()) {
        if (key.str() != "name") merged.insert_or_assign(key.str(), value);
      }
      scenarios.push_back(read_scenario(merged, file, name));
    }
    return scenarios;
  } catch (const toml::parse_error& e) {
    throw ScenarioError(path + ":" + std::to_string(e.source().begin.line) + ": " + std::string(e.description()));
  } catch (const ScenarioError& e) {
    throw ScenarioError(path + ": " + e.what());
  }
}

}  // namespace hawser::sim
