// The rules that choose links.
#include "client/link_policy.h"

#include <algorithm>
#include <tuple>

#include "common/config/names.h"

namespace hawser::client {

bool named_in(const std::vector<std::string>& names, const std::string& interface) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return glob_match(n, interface); });
}

bool LinkPolicy::considers(const Interface& i) const {
  if (i.loopback || i.name == "lo" || i.enslaved) return false;
  // A tunnel through itself would swallow its own datagrams.
  if (i.name == own_tunnel || glob_match("hawser*", i.name)) return false;
  if (named_in(without, i.name)) return false;
  if (!only.empty()) return named_in(only, i.name);
  if (path_settings(profile, i.name, to_string(i.type), i.metered).named) return true;
  // Another profile's TUN may have any name: a tunnel is a link only when somebody asks for it.
  return profile.discover && i.kind != "tun" && !is_ignored(profile, i.name);
}

wire::PathPriority LinkPolicy::priority(const Interface& i) const {
  const wire::PathPriority wish = path_settings(profile, i.name, to_string(i.type), i.metered).priority;
  if (wish != wire::PathPriority::automatic) return wish;
  const bool costly = i.metered || i.type == decltype(i.type)::cellular;
  return costly ? wire::PathPriority::secondary : wire::PathPriority::always;
}

std::optional<IpAddress> LinkPolicy::gateway(const Interface& i) const {
  return path_settings(profile, i.name, to_string(i.type), i.metered).gateway;
}

std::vector<InterfaceAddress> sources_for(const Interface& interface, const IpAddress& destination,
                                          const std::function<bool(const IpAddress&)>& in_use) {
  std::vector<InterfaceAddress> all;
  for (const InterfaceAddress& a : interface.addresses) {
    if (a.address.family == destination.family && !a.address.is_link_local() && !a.address.is_loopback()) all.push_back(a);
  }
  const auto fits = [&](const InterfaceAddress& a) { return a.address.is_private() == destination.is_private(); };
  std::stable_sort(all.begin(), all.end(), [&](const InterfaceAddress& a, const InterfaceAddress& b) {
    return std::tuple(a.deprecated, !fits(a), a.temporary) < std::tuple(b.deprecated, !fits(b), b.temporary);
  });
  // Private IPv4 addresses are translated; unique local IPv6 ones lead nowhere when there are global ones.
  if (destination.is_v6() && std::any_of(all.begin(), all.end(), fits)) std::erase_if(all, std::not_fn(fits));
  std::vector<InterfaceAddress> chosen;
  for (const InterfaceAddress& a : all) {
    const bool fresh = chosen.size() < kMaxSources && (!a.deprecated || chosen.empty());
    if (fresh || in_use(a.address)) chosen.push_back(a);
  }
  return chosen;
}

bool belongs_to(const std::vector<InterfaceAddress>& sources, const InterfaceAddress& source, const IpAddress& gateway) {
  const auto neighbour = [&](const InterfaceAddress& a) {
    return IpPrefix{a.address, a.prefix_length}.contains(gateway);
  };
  return neighbour(source) || std::none_of(sources.begin(), sources.end(), neighbour);
}

std::string fix_for(const Unusable& u, const std::string& profile_name) {
  if (u.reason == "no-route") {
    return "Fix DHCP, or: vpn-up " + profile_name + " --set " + u.interface + ".gateway=ADDRESS --save";
  }
  if (u.reason == "no-address") return "Get an address: is DHCP running on " + u.interface + "?";
  if (u.reason == "not-found") return "Check the name: ip link";
  return {};
}

}  // namespace hawser::client
