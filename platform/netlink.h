// What network interfaces there are, how that changes, and by which gateway an interface reaches an address
// (rtnetlink).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/interface_type.h"
#include "common/net.h"
#include "common/result.h"
#include "platform/loop.h"

namespace hawser {

const char* to_string(InterfaceType type);  // "ethernet", "wifi", "cellular", "other"

struct InterfaceAddress {
  IpAddress address;
  uint8_t prefix_length = 0;
  bool temporary = false;  // an IPv6 privacy address: changes daily; the kernel prefers it for outgoing connections
  // Past its preferred lifetime (RFC 4862, 5.5.4): what uses it may go on, new things take another when there is one.
  bool deprecated = false;
  bool operator==(const InterfaceAddress&) const = default;
};

struct Interface {
  uint32_t index = 0;
  std::string name;
  bool up = false;       // administratively (IFF_UP)
  bool carrier = false;  // operstate up or unknown (ppp and wwan report unknown)
  bool loopback = false;
  bool enslaved = false;  // has a master (bridge, bond): not a link of its own
  uint32_t mtu = 0;
  std::string kind;  // "" for hardware, else "veth", "tun", "bridge", "wireguard", ...
  InterfaceType type = InterfaceType::other;
  bool is_virtual = false;                  // `kind` is set, or sysfs knows no device behind it
  bool metered = false;                     // cellular, or a phone tethered over USB, or NetworkManager's word
  bool portal = false;                      // somebody's login page answers instead of the Internet (NetworkManager's word)
  std::vector<InterfaceAddress> addresses;  // global and not tentative; sorted, IPv4 first

  bool operator==(const Interface&) const = default;
};

// All interfaces now, sorted by index.
Result<std::vector<Interface>> list_interfaces();
// Index of an interface by name, 0 when there is none.
uint32_t interface_index(const std::string& name);
// Whether IPv6 can be used at all: the kernel has it, and it is not switched off for this interface ("all": anywhere).
bool ipv6_enabled(const std::string& interface = "all");

// Follows links, addresses, routes and rules. The callback runs in the loop, coalesced: at once when something was lost
// (link or carrier down, address, route or rule gone), after `debounce` for additions. The same state is never reported
// twice; of Hawser's own rules and tables only is told that something was removed.
class InterfaceWatcher {
 public:
  struct Change {
    bool loss = false;                  // something that was there is gone: act at once
    bool routes_changed = false;        // look gateways up again
    bool own_removed = false;           // a rule or route of Hawser's went, by whomever: see Routing::restore()
    std::vector<Interface> interfaces;  // the state now, sorted by index
  };
  struct Options {
    Duration debounce = Duration::millis(100);
    size_t receive_buffer = 4 << 20;
  };

  // The first callback, with what is there already, comes in the first turn of the loop.
  static Result<std::unique_ptr<InterfaceWatcher>> create(EventLoop& loop, std::function<void(const Change&)> callback);
  static Result<std::unique_ptr<InterfaceWatcher>> create(EventLoop& loop, std::function<void(const Change&)> callback,
                                                          Options options);
  virtual ~InterfaceWatcher() = default;

  // The state now (not debounced).
  virtual std::vector<Interface> interfaces() const = 0;
  // How often the kernel's queue overflowed and everything was read again.
  virtual uint64_t resyncs() const = 0;
  // Reads everything again (after resume from sleep).
  virtual void resync() = 0;
};

// How an interface reaches a destination.
struct RouteToPeer {
  enum class Kind : uint8_t {
    none,     // no route by that interface (health code no-route)
    on_link,  // the destination is a neighbour
    gateway,
  };
  Kind kind = Kind::none;
  IpAddress gateway;          // set for Kind::gateway
  IpAddress default_gateway;  // the interface's default gateway, also when the destination is on-link; may be unset
  bool has_default = false;   // a default route by this interface (with or without gateway: ppp and tun have none)
};

// The routes and rules of one moment by which some destinations are reached, to be asked for many interfaces. Hawser's own
// tables and rules (of all profiles) are left out: they were installed because such a route was there. A gateway from the
// configuration is the caller's to prefer.
class RouteTable {
 public:
  static Result<RouteTable> load(std::span<const IpAddress> destinations);

  // The ways to `destination` from `source` (may be unset) by an interface: those of the first table that has one, in the
  // order of the policy rules; routes of the same prefix by other gateways are further ways, best metric first.
  std::vector<RouteToPeer> ways(const IpAddress& destination, const IpAddress& source, uint32_t index,
                                const std::string& interface) const;

 private:
  struct Entry {
    IpPrefix prefix;  // address unset: the default route of `family`
    IpAddress::Family family = IpAddress::Family::none;
    uint32_t table = 0, metric = 0, index = 0;
    IpAddress gateway;
  };
  struct Selector {
    IpAddress::Family family = IpAddress::Family::none;
    uint32_t preference = 0, table = 0;
    IpPrefix from, to;  // address unset: any
    std::string oif;
    int longer_than = -1;  // suppress_prefixlength
  };
  friend class RouteReader;
  std::vector<const Entry*> covering(const Selector& rule, const IpAddress& destination, uint32_t index) const;

  std::vector<Entry> entries_;
  std::vector<Selector> rules_;
};

// The best way to `destination` by interface `index`, now.
Result<RouteToPeer> route_to(const IpAddress& destination, uint32_t index);

// Whether the kernel, asked now, has a real route to `destination` from `source` by interface `index` (a FIB match, not
// the guess that everybody is a neighbour).
Result<bool> has_route_by(const IpAddress& destination, const IpAddress& source, uint32_t index);

}  // namespace hawser
