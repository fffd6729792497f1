// Which rules and routes a path and the tunnel need, and where there is room for them.
#include "platform/routing.h"

#include <linux/fib_rules.h>

#include <algorithm>
#include <functional>
#include <set>

#include "platform/linux/rtnl.h"
#include "platform/netlink.h"

namespace hawser {
namespace {

// Preferences, in the order in which the kernel asks. All profiles' paths come before any tunnel, so that no tunnel
// swallows another profile's paths; among these marks before sources before devices, for an address may have several
// gateways and a device several addresses; tunnels of some prefixes come before the full one, which would leave them nothing.
struct PreferenceRange {
  uint32_t first, last;
};
constexpr PreferenceRange kMarkPreferences{kFirstPreference, 5029};
constexpr PreferenceRange kSourcePreferences{5030, 5149};
constexpr PreferenceRange kDevicePreferences{5150, 5199};
constexpr PreferenceRange kSplitTunnelPreferences{5200, 5299};
constexpr PreferenceRange kFullTunnelPreferences{5300, kLastPreference};

// The tunnel's routes and the rule that leads to them are there twice. Another program that deletes one of them lets no
// packet past the tunnel until it is put back; a device that goes takes both along.
constexpr uint32_t kSecondMetric = 4096;

using Family = IpAddress::Family;

constexpr uint8_t full_length(Family family) {
  return family == Family::v6 ? 128 : 32;
}

struct KernelRule {
  uint32_t preference = 0;
  uint32_t table = 0;
};

Result<std::vector<KernelRule>> rules_of(Rtnl& rtnl, Family family) {
  std::vector<KernelRule> rules;
  RtnlMessage request(RTM_GETRULE, NLM_F_DUMP);
  request.extra<fib_rule_hdr>()->family = os_family(family);
  const RtnlAnswer answer = rtnl.request(
      request.header(),
      [&](const nlmsghdr* message) {
        if (message->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(message) < sizeof(fib_rule_hdr)) return;
        const auto* rule = static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(message));
        const auto attributes = RtnlAttributes<FRA_MAX + 1>::parse<fib_rule_hdr>(message);
        rules.push_back({attributes.u32(FRA_PRIORITY), attributes.u32(FRA_TABLE, rule->table)});
      },
      [&] { rules.clear(); });
  // A kernel without IPv6 has no IPv6 rules.
  if (answer.error != 0 && answer.error != EAFNOSUPPORT && answer.error != EOPNOTSUPP) {
    return Error{ExitCode::system_integration, "cannot read the routing rules: " + answer.text()};
  }
  return rules;
}

// The output devices of the default routes of `table`, 0 for one without; empty: the table has no route at all unless
// `any` came true.
std::vector<uint32_t> default_devices(Rtnl& rtnl, Family family, uint32_t table, bool& any) {
  std::vector<uint32_t> devices;
  RtnlMessage request(RTM_GETROUTE, NLM_F_DUMP);
  auto* extra = request.extra<rtmsg>();
  extra->rtm_family = os_family(family);
  extra->rtm_table = RT_TABLE_UNSPEC;
  request.put_u32(RTA_TABLE, table);
  // An error is the kernel's way to say that there is no such table.
  rtnl.request(request.header(), [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof(rtmsg)) return;
    const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    const auto attributes = RtnlAttributes<RTA_MAX + 1>::parse<rtmsg>(message);
    if (attributes.u32(RTA_TABLE, route->rtm_table) != table) return;
    any = true;
    if (route->rtm_dst_len == 0) devices.push_back(attributes.u32(RTA_OIF));
  });
  return devices;
}

// What rules and preferences are taken in both families.
struct Survey {
  std::set<uint32_t> tables, preferences;
};

Result<Survey> survey(Rtnl& rtnl) {
  Survey taken;
  for (const Family family : {Family::v4, Family::v6}) {
    const Result<std::vector<KernelRule>> rules = rules_of(rtnl, family);
    if (!rules) return rules.error();
    for (const KernelRule& rule : *rules) {
      taken.tables.insert(rule.table);
      taken.preferences.insert(rule.preference);
    }
  }
  return taken;
}

// `count` consecutive preferences nobody uses.
Result<uint32_t> free_preferences(const Survey& taken, PreferenceRange range, uint32_t count) {
  for (uint32_t first = range.first; first + count - 1 <= range.last; first += count) {
    bool free = true;
    for (uint32_t i = 0; i < count; ++i) free = free && !taken.preferences.contains(first + i);
    if (free) return first;
  }
  return Error{ExitCode::system_integration, "no free preference for routing rules between " +
                                                 std::to_string(range.first) + " and " + std::to_string(range.last) +
                                                 ". See: ip rule; after a crash: vpn-up --cleanup"};
}

Result<uint32_t> free_table(Rtnl& rtnl, const Survey& taken, const std::string& profile) {
  const auto start = static_cast<uint32_t>(std::hash<std::string>{}(profile) % kTableCount);
  for (uint32_t i = 0; i < kTableCount; ++i) {
    const uint32_t table = kFirstTable + (start + i) % kTableCount;
    if (taken.tables.contains(table)) continue;
    bool used = false;
    default_devices(rtnl, Family::v4, table, used);
    if (!used) default_devices(rtnl, Family::v6, table, used);
    if (!used) return table;
  }
  return Error{ExitCode::system_integration, "no free routing table. See: ip route show table all; after a crash: " +
                                                 std::string("vpn-up --cleanup")};
}

bool covers(const IpPrefix& outer, const IpPrefix& inner) {
  return outer.address.family == inner.address.family && outer.length <= inner.length && outer.contains(inner.address);
}

Rule rule_to(uint32_t table, Family family, uint32_t preference) {
  Rule rule;
  rule.family = family;
  rule.preference = preference;
  rule.table = table;
  return rule;
}

Rule main_without_default(Family family, uint32_t preference) {
  Rule rule = rule_to(kMainTable, family, preference);
  rule.suppress_prefix = 0;
  return rule;
}

bool is_full(const TunnelRouting& tunnel) {
  return std::any_of(tunnel.routes.begin(), tunnel.routes.end(), [](const IpPrefix& p) { return p.length == 0; });
}

// The tunnel's table for one family; empty when the tunnel does not concern it.
std::vector<SystemChange> tunnel_routes(const TunnelRouting& tunnel, Family family, uint32_t table) {
  std::vector<SystemChange> changes;
  for (const IpPrefix& prefix : tunnel.routes) {
    if (prefix.address.family != family) continue;
    // "never through the tunnel" also beats a longer prefix in the list of routes.
    const bool bypassed = std::any_of(tunnel.bypass.begin(), tunnel.bypass.end(),
                                      [&](const IpPrefix& bypass) { return covers(bypass, prefix); });
    if (bypassed) continue;
    Route route;
    route.family = family;
    route.destination = prefix;
    route.interface = tunnel.interface;
    route.table = table;
    changes.emplace_back(route);
    route.metric = kSecondMetric;
    changes.emplace_back(route);
  }
  const bool refuse = family == Family::v6 ? tunnel.refuse_ipv6 : tunnel.refuse_ipv4;
  if (refuse) {
    Route route;
    route.family = family;
    route.type = Route::Type::unreachable;
    route.table = table;
    changes.emplace_back(route);
  }
  if (changes.empty()) return changes;
  for (const IpPrefix& bypass : tunnel.bypass) {
    if (bypass.address.family != family) continue;
    Route route;
    route.family = family;
    route.type = Route::Type::throw_;
    route.destination = bypass;
    route.table = table;
    changes.emplace_back(route);
  }
  return changes;
}

}  // namespace

Routing::Routing(UndoLog& log, std::string profile) : log_(log), profile_(std::move(profile)) {}

Result<std::vector<ChangeId>> Routing::install(const PathRouting& path, uint32_t table) {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  Result<Survey> taken = survey(*rtnl);
  if (!taken) return taken.error();
  taken->preferences.insert(taken_preferences_.begin(), taken_preferences_.end());
  const Result<uint32_t> by_device = free_preferences(*taken, kDevicePreferences, 1);
  if (!path.alternative && !by_device) return by_device.error();
  const Result<uint32_t> preference =
      path.alternative ? free_preferences(*taken, kMarkPreferences, 1) : free_preferences(*taken, kSourcePreferences, 2);
  if (!preference) return preference.error();
  if (log_.mode() == UndoLog::Mode::dry_run) {
    taken_preferences_.push_back(*preference);
    if (!path.alternative) taken_preferences_.insert(taken_preferences_.end(), {*preference + 1, *by_device});
  }

  const Family family = path.address.family;
  std::vector<SystemChange> changes;
  // The routes first: a rule must never point to an empty table while packets are on their way.
  if (path.prefix_length > 0 && path.prefix_length < full_length(family)) {
    Route subnet;
    subnet.family = family;
    subnet.destination = {IpPrefix{path.address, path.prefix_length}.masked(), path.prefix_length};
    subnet.interface = path.interface;
    subnet.table = table;
    changes.emplace_back(subnet);
  }
  if (path.gateway.is_set() || path.default_on_link) {
    Route default_route;
    default_route.family = family;
    default_route.interface = path.interface;
    default_route.gateway = path.gateway;
    default_route.table = table;
    changes.emplace_back(default_route);
  }
  Rule by_source = rule_to(table, family, *preference);
  by_source.from = IpPrefix{path.address, full_length(family)};
  if (path.alternative) {
    by_source.mark = table;
    changes.emplace_back(by_source);
    return log_.apply_all(changes);
  }
  // What the main table knows better than "everything by the gateway" (other subnets, containers) stays true for
  // answers from this address, too.
  Rule neighbours = main_without_default(family, *preference);
  neighbours.from = by_source.from;
  changes.emplace_back(neighbours);
  by_source.preference = *preference + 1;
  changes.emplace_back(by_source);
  Rule device = rule_to(table, family, *by_device);
  device.oif = path.interface;
  changes.emplace_back(device);
  return log_.apply_all(changes);
}

Result<Routing::PathHandle> Routing::add_path(const PathRouting& path) {
  if (!path.address.is_set() || path.interface.empty()) {
    return Error{ExitCode::unexpected, "a path needs an interface and an address"};
  }
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  Result<Survey> taken = survey(*rtnl);
  if (!taken) return taken.error();
  taken->tables.insert(taken_tables_.begin(), taken_tables_.end());
  const Result<uint32_t> table = free_table(*rtnl, *taken, profile_);
  if (!table) return table.error();
  Result<std::vector<ChangeId>> changes = install(path, *table);
  if (!changes) return changes.error();
  taken_tables_.push_back(*table);
  const PathHandle handle = next_handle_++;
  paths_[handle] = {path, *table, std::move(*changes)};
  return handle;
}

Status Routing::remove_path(PathHandle handle) {
  const auto found = paths_.find(handle);
  if (found == paths_.end()) return Done{};
  Status reverted = revert_all(found->second.changes);
  std::erase(taken_tables_, found->second.table);
  paths_.erase(found);
  return reverted;
}

Status Routing::update_path(PathHandle handle, const PathRouting& path) {
  const auto found = paths_.find(handle);
  if (found == paths_.end()) return Error{ExitCode::unexpected, "no such path"};
  Installed& installed = found->second;
  if (installed.path == path) return Done{};
  // Until all is in, nothing counts as installed: whatever is wished after a failure, the same too, is installed then.
  installed.path = {};
  // Old out, then new in: both at once would collide in the table. Sockets on the path see a gap of microseconds.
  if (Status reverted = revert_all(installed.changes); !reverted) return reverted;
  Result<std::vector<ChangeId>> changes = install(path, installed.table);
  if (!changes) return changes.error();
  installed.path = path;
  installed.changes = std::move(*changes);
  return Done{};
}

Status Routing::add_tunnel(const TunnelRouting& tunnel) {
  if (Status removed = remove_tunnel(); !removed) return removed;
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  Result<Survey> taken = survey(*rtnl);
  if (!taken) return taken.error();
  taken->tables.insert(taken_tables_.begin(), taken_tables_.end());
  taken->preferences.insert(taken_preferences_.begin(), taken_preferences_.end());
  const Result<uint32_t> table = free_table(*rtnl, *taken, profile_);
  if (!table) return table.error();
  const PreferenceRange range = is_full(tunnel) ? kFullTunnelPreferences : kSplitTunnelPreferences;
  const Result<uint32_t> preference = free_preferences(*taken, range, 3);
  if (!preference) return preference.error();

  std::vector<SystemChange> routes, rules;
  for (const Family family : {Family::v4, Family::v6}) {
    if (family == Family::v6 && !ipv6_enabled()) continue;  // nothing to route, and nothing that could leak
    const std::vector<SystemChange> of_family = tunnel_routes(tunnel, family, *table);
    if (of_family.empty()) continue;
    routes.insert(routes.end(), of_family.begin(), of_family.end());
    if (tunnel.lan_access) rules.emplace_back(main_without_default(family, *preference));
    for (const uint32_t at : {*preference + 1, *preference + 2}) rules.emplace_back(rule_to(*table, family, at));
  }
  routes.insert(routes.end(), rules.begin(), rules.end());
  Result<std::vector<ChangeId>> changes = log_.apply_all(routes);
  if (!changes) return changes.error();
  tunnel_changes_ = std::move(*changes);
  tunnel_table_ = *table;
  taken_tables_.push_back(*table);
  return Done{};
}

Status Routing::remove_tunnel() {
  std::erase(taken_tables_, tunnel_table_);
  return revert_all(tunnel_changes_);
}

uint32_t Routing::mark(PathHandle handle) const {
  const auto found = paths_.find(handle);
  return found != paths_.end() && found->second.path.alternative ? found->second.table : 0;
}

Routing::Restored Routing::restore() {
  Restored restored;
  const auto ensure = [&](const std::vector<ChangeId>& changes) {
    for (const ChangeId id : changes) {
      const Result<Outcome> outcome = log_.ensure(id);
      if (outcome && *outcome == Outcome::done) ++restored.count;
      if (!outcome && restored.problem) restored.problem = outcome.error();
    }
  };
  ensure(tunnel_changes_);  // first: what is missing here lets packets past the tunnel
  for (const auto& [handle, installed] : paths_) ensure(installed.changes);
  return restored;
}

Status Routing::revert_all(std::vector<ChangeId>& changes) {
  Status first_problem = Done{};
  for (auto id = changes.rbegin(); id != changes.rend(); ++id) {
    if (Status reverted = log_.revert(*id); !reverted && first_problem) first_problem = reverted;
  }
  changes.clear();
  return first_problem;
}

Result<std::string> other_full_tunnel() {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  for (const Family family : {Family::v4, Family::v6}) {
    const Result<std::vector<KernelRule>> rules = rules_of(*rtnl, family);
    if (!rules) return rules.error();
    for (const KernelRule& rule : *rules) {
      const bool full =
          rule.preference >= kFullTunnelPreferences.first && rule.preference <= kFullTunnelPreferences.last;
      if (!full || !is_own_table(rule.table)) continue;
      // A rule without routes behind it was left by a killed client: its device took the routes along.
      bool any = false;
      for (const uint32_t device : default_devices(*rtnl, family, rule.table, any)) {
        const Result<std::vector<Interface>> all = list_interfaces();
        if (!all) return all.error();
        for (const Interface& interface : *all) {
          if (interface.index == device && interface.kind == "tun") return interface.name;
        }
      }
    }
  }
  return std::string();
}

}  // namespace hawser
