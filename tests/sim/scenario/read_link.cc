// Links from TOML: settings of both directions, `up` and `down` tables for what differs, steps in time.
#include <algorithm>

#include "tests/sim/core/random.h"
#include "tests/sim/scenario/read_link.h"
#include "tests/sim/scenario/units.h"

namespace hawser::sim {
namespace {

constexpr std::string_view kLinkKeys[] = {"name",      "user",    "via",     "path",  "starts-down", "type",      "metered",   "gateway-group",
                                          "priority",  "rate",    "delay", "jitter",      "jitter-form", "queue",   "aqm",
                                          "loss",      "burst",   "duplicate", "blackhole", "paused",  "up",        "down",
                                          "steps",     "repeat",  "vary"};
constexpr std::string_view kStepKeys[] = {"at",  "carrier", "rebind", "priority", "rate",      "delay",     "jitter", "jitter-form", "queue",
                                          "aqm", "loss",    "burst",  "duplicate", "blackhole", "paused",    "up",     "down"};
constexpr std::string_view kDirectionKeys[] = {"rate", "delay", "jitter", "jitter-form", "queue", "aqm", "loss", "burst", "duplicate",
                                               "blackhole", "paused"};
constexpr std::string_view kBurstKeys[] = {"begin", "end", "loss", "loss-good"};
constexpr std::string_view kVaryKeys[] = {"every", "rate", "delay", "seed"};

template <typename T>
T one_of(const std::string& value, std::initializer_list<std::pair<std::string_view, T>> names, const char* what) {
  std::string allowed;
  for (const auto& [name, v] : names) {
    if (name == value) return v;
    allowed += (allowed.empty() ? "" : ", ") + std::string(name);
  }
  throw ScenarioError(std::string(what) + " '" + value + "' is not one of " + allowed);
}

wire::PathPriority read_priority(const std::string& value) {
  using enum wire::PathPriority;
  return one_of<wire::PathPriority>(
      value, {{"auto", automatic}, {"always", always}, {"secondary", secondary}, {"backup", backup}, {"never", never}}, "priority");
}

// A queue is written in bytes, in time at the link's rate, or as a multiple of the round trip of this link ("1bdp").
size_t read_queue(const std::string& value, const DirectionSettings& s) {
  if (value.ends_with("bdp")) {
    const double times = std::stod(value.substr(0, value.size() - 3));
    return static_cast<size_t>(times * s.rate.bytes_in(s.delay * 2));
  }
  if (value.ends_with("ms") || (value.ends_with("s") && !value.ends_with("Bs"))) {
    return static_cast<size_t>(s.rate.bytes_in(parse_duration(value)));
  }
  return parse_bytes(value);
}

void read_direction(const toml::table& t, DirectionSettings& s) {
  if (const auto v = text(t, "rate")) s.rate = parse_rate(*v);
  if (const auto v = text(t, "delay")) s.delay = parse_duration(*v);
  if (const auto v = text(t, "jitter")) s.jitter = parse_duration(*v);
  if (const auto v = text(t, "jitter-form")) {
    using enum DirectionSettings::Jitter;
    s.jitter_form = one_of<DirectionSettings::Jitter>(*v, {{"ordered", ordered}, {"reordering", reordering}, {"normal", normal}}, "jitter-form");
  }
  if (const auto v = text(t, "queue")) s.queue_bytes = read_queue(*v, s);
  if (const auto v = text(t, "aqm")) {
    using enum DirectionSettings::Queue;
    s.queue_kind = one_of<DirectionSettings::Queue>(*v, {{"none", drop_tail}, {"codel", codel}}, "aqm");
  }
  if (const auto v = text(t, "loss")) s.loss = parse_fraction(*v);
  if (const auto v = text(t, "duplicate")) s.duplicate = parse_fraction(*v);
  if (const toml::table* b = t["burst"].as_table()) {
    check_keys(*b, kBurstKeys, "burst");
    GilbertElliott g;
    if (const auto v = text(*b, "begin")) g.good_to_bad = parse_fraction(*v);
    if (const auto v = text(*b, "end")) g.bad_to_good = parse_fraction(*v);
    if (const auto v = text(*b, "loss")) g.loss_bad = parse_fraction(*v);
    if (const auto v = text(*b, "loss-good")) g.loss_good = parse_fraction(*v);
    s.bursts = g;
  }
  if (const auto v = t["blackhole"].value<bool>()) s.blackhole = *v;
  if (const auto v = t["paused"].value<bool>()) s.paused = *v;
}

void read_both(const toml::table& t, DirectionSettings& up, DirectionSettings& down) {
  for (auto [settings, key] : {std::pair{&up, "up"}, {&down, "down"}}) {
    read_direction(t, *settings);
    if (const toml::table* own = t[key].as_table()) {
      check_keys(*own, kDirectionKeys, key);
      read_direction(*own, *settings);
    }
  }
}

Step read_step(const toml::table& t, const LinkSpec& link, const Step* before) {
  check_keys(t, kStepKeys, "steps of link " + link.name());
  Step s;
  s.up = before ? before->up : link.up;
  s.down = before ? before->down : link.down;
  const auto at = text(t, "at");
  if (!at) throw ScenarioError("a step of link " + link.name() + " has no 'at'");
  s.at = parse_duration(*at);
  read_both(t, s.up, s.down);
  if (const auto v = t["carrier"].value<bool>()) s.carrier = *v;
  s.rebind = t["rebind"].value_or(false);
  if (const auto v = text(t, "priority")) s.priority = read_priority(*v);
  return s;
}

// The steps again and again, each time `period` later.
void repeat_steps(LinkSpec& link, Duration period, Duration length) {
  const std::vector<Step> once = link.steps;
  for (Duration offset = period; offset < length; offset += period) {
    for (Step s : once) {
      s.at += offset;
      if (s.at < length) link.steps.push_back(s);
    }
  }
}

// A random walk around the given settings: every so often another rate and delay, drawn from the link's name and `seed`.
void vary(LinkSpec& link, const toml::table& t, Duration length) {
  check_keys(t, kVaryKeys, "vary");
  const Duration every = parse_duration(text(t, "every").value_or("1s"));
  const double rate = parse_fraction(text(t, "rate").value_or("0%"));
  const Duration delay = parse_duration(text(t, "delay").value_or("0ms"));
  Random random(static_cast<uint64_t>(t["seed"].value_or(int64_t{1})), "vary " + link.name());
  for (Duration at = every; at < length; at += every) {
    Step s;
    s.at = at;
    const double factor = 1 + rate * (2 * random.uniform() - 1);
    const Duration more = delay * (2 * random.uniform() - 1);
    for (auto [to, from] : {std::pair{&s.up, &link.up}, {&s.down, &link.down}}) {
      *to = *from;
      to->rate = from->rate * factor;
      to->delay = std::max(Duration{}, from->delay + more);
    }
    link.steps.push_back(s);
  }
}

}  // namespace

LinkSpec read_link(const toml::table& t, Duration length) {
  LinkSpec link;
  link.interface.name = text(t, "name").value_or("");
  if (link.name().empty()) throw ScenarioError("a link has no name");
  check_keys(t, kLinkKeys, "link " + link.name());
  link.user = read_user(t);
  link.via = text(t, "via").value_or("");
  link.is_path = t["path"].value_or(true);
  link.starts_down = t["starts-down"].value_or(false);
  link.interface.metered = t["metered"].value_or(false);
  link.interface.gateway_group = static_cast<uint32_t>(t["gateway-group"].value_or(int64_t{0}));
  using enum InterfaceType;
  if (const auto v = text(t, "type")) {
    link.interface.type = one_of<InterfaceType>(*v, {{"other", other}, {"ethernet", ethernet}, {"wifi", wifi}, {"cellular", cellular}}, "type");
  }
  if (const auto v = text(t, "priority")) link.interface.priority = read_priority(*v);
  read_both(t, link.up, link.down);
  if (const toml::array* steps = t["steps"].as_array()) {
    for (const toml::node& node : *steps) {
      if (!node.is_table()) throw ScenarioError("steps of link " + link.name() + " are tables like { at = \"5s\", rate = \"1M\" }");
      link.steps.push_back(read_step(*node.as_table(), link, link.steps.empty() ? nullptr : &link.steps.back()));
    }
  }
  if (const toml::table* v = t["vary"].as_table()) vary(link, *v, length);
  if (const auto v = text(t, "repeat")) repeat_steps(link, parse_duration(*v), length);
  return link;
}

}  // namespace hawser::sim
