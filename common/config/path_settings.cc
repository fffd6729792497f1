// Which [[path]] entry speaks for an interface, and which interfaces are no uplinks: see profile.h.
#include <algorithm>
#include <tuple>

#include "common/config/names.h"
#include "common/config/profile.h"

namespace hawser {
namespace {

bool is_glob(std::string_view pattern) {
  return pattern.find_first_of("*?") != std::string_view::npos;
}

bool holds(const PathMatch& match, std::string_view interface, std::string_view type, bool metered) {
  return (match.interface.empty() || glob_match(match.interface, interface)) &&
         (match.type.empty() || match.type == type) && (!match.metered || *match.metered == metered);
}

// Greater is more specific.
auto specificity(const PathMatch& match) {
  const int name = match.interface.empty() ? 0 : is_glob(match.interface) ? 1 : 2;
  const auto literals =
      std::count_if(match.interface.begin(), match.interface.end(), [](char c) { return c != '*' && c != '?'; });
  return std::tuple(name, literals, !match.type.empty(), match.metered.has_value());
}

// The value that `get` finds in the most specific entry that has one; the first in the file on a tie.
template <typename Get>
auto most_specific(const std::vector<const PathRule*>& rules, Get get) {
  decltype(get(*rules.front())) value;
  const PathRule* best = nullptr;
  for (const PathRule* rule : rules) {
    if (!get(*rule) || (best != nullptr && specificity(rule->match) <= specificity(best->match))) continue;
    best = rule;
    value = get(*rule);
  }
  return value;
}

}  // namespace

std::vector<std::string> default_ignore() {
  return {"docker*",  "br-*",       "veth*",   "virbr*",    "vnet*",    "lxc*",  "lxdbr*", "cni*",
          "flannel*", "cali*",      "podman*", "vmnet*",    "vboxnet*", "tun*",  "tap*",   "wg*",
          "hawser*",  "tailscale*", "zt*",     "nordlynx*", "proton*",  "ipsec*"};
}

PathSettings path_settings(const Profile& profile, std::string_view interface, std::string_view type, bool metered) {
  PathSettings settings;
  std::vector<const PathRule*> rules;
  for (const PathRule& rule : profile.paths) {
    if (!holds(rule.match, interface, type, metered)) continue;
    rules.push_back(&rule);
    settings.named = settings.named || !rule.match.interface.empty();
  }
  if (const auto priority = most_specific(rules, [](const PathRule& r) { return r.priority; }))
    settings.priority = *priority;
  settings.gateway = most_specific(rules, [](const PathRule& r) { return r.gateway; });
  return settings;
}

bool is_ignored(const Profile& profile, std::string_view interface) {
  const auto ignores = [&](const std::string& glob) { return glob_match(glob, interface); };
  const auto names = [&](const PathRule& rule) {
    return !rule.match.interface.empty() && glob_match(rule.match.interface, interface);
  };
  return std::any_of(profile.ignore.begin(), profile.ignore.end(), ignores) &&
         std::none_of(profile.paths.begin(), profile.paths.end(), names);
}

}  // namespace hawser
