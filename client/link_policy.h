// Which interfaces are to be used, and by which of their addresses: rules without any call to the system.
// DESIGN.md, section 6: virtual interfaces are ignored by name, not by kind; a [[path]] entry overrides `ignore`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/config/profile.h"
#include "platform/netlink.h"

namespace hawser::client {

struct LinkPolicy {
  Profile profile;
  std::vector<std::string> only, without;  // of the command line; names or globs
  std::string own_tunnel;                  // our TUN's name

  // Whether the interface is one of those to look at. Loopback, parts of a bridge or bond, and tunnels (ours and
  // others') are not.
  bool considers(const Interface& interface) const;
  // The role in force: never `automatic`. Metered and cellular links are secondary unless the profile says otherwise.
  wire::PathPriority priority(const Interface& interface) const;
  std::optional<IpAddress> gateway(const Interface& interface) const;
};

// Why an interface that is considered has no path.
struct Unusable {
  std::string interface;
  std::string type;
  bool metered = false;
  wire::PathPriority priority = wire::PathPriority::automatic;
  std::string reason;  // down, no-address, no-route, never, not-found, system
  std::string text;    // for people
};

// What to do about it, for people: "Fix DHCP, or: vpn-up home --set ..."; empty when nothing is wrong.
std::string fix_for(const Unusable& unusable, const std::string& profile_name);

// The addresses of `interface` to try towards `destination`, best first: of its family; of the same reach (private or
// global); lasting ones before temporary ones (RFC 8981), which a tunnel would have to leave every day. A deprecated one only
// when `in_use` says so, or when there is no other. At most kMaxSources that are not in use already.
std::vector<InterfaceAddress> sources_for(const Interface& interface, const IpAddress& destination,
                                          const std::function<bool(const IpAddress&)>& in_use);
inline constexpr size_t kMaxSources = 4;

// Whether a provider behind `gateway` can be expected to know `source`: not when the gateway is in the subnets of others of
// `sources` only.
bool belongs_to(const std::vector<InterfaceAddress>& sources, const InterfaceAddress& source, const IpAddress& gateway);

// "wlan0 matches `wlan*`" for --only and --without.
bool named_in(const std::vector<std::string>& names, const std::string& interface);

}  // namespace hawser::client
