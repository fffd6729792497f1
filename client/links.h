// The client's links: for each usable interface, gateway, own address and server endpoint a socket bound to device and
// address, with the routes and rules its path needs. Follows what interfaces do and tells the engine by path events.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "client/lines.h"
#include "client/link_policy.h"
#include "client/nat64.h"
#include "client/pump.h"
#include "platform/log.h"
#include "platform/routing.h"

namespace hawser::client {

class Links {
 public:
  struct Setup {
    Pump* pump = nullptr;  // null, and no engine: a rehearsal that opens no socket (--dry-run)
    Endpoint* engine = nullptr;
    Routing* routing = nullptr;  // null: no routes and rules are touched (vpn-join)
    Log* log = nullptr;
    EventLoop* loop = nullptr;  // null: nothing is asked of DNS
    LinkPolicy policy;
    // With all traffic in the tunnel, every interface that others may reach us by keeps a way back, also those that
    // are not links: an inbound connection by a --without interface survives too.
    bool guard_all = false;
  };
  // What the pointers of `setup` name must outlive this.
  explicit Links(Setup setup);
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // The interfaces as they are now.
  void set_interfaces(std::vector<Interface> interfaces);
  // The server's addresses to try. At most kMaxEndpoints are used.
  void set_endpoints(std::vector<SocketAddress> endpoints);
  // The user's wish for one interface changed (vpn-up --set).
  void apply(const PathSetting& setting);

  // True when a link could not be made although everything for it is there: try_again() later.
  bool incomplete() const { return incomplete_; }
  void try_again() { reconcile(); }

  const LinkPolicy& policy() const { return setup_.policy; }
  const std::vector<Unusable>& unusable() const { return unusable_; }
  const std::vector<Interface>& interfaces() const { return interfaces_; }
  const std::vector<SocketAddress>& endpoints() const { return endpoints_; }
  size_t count() const { return links_.size(); }
  // Those by which something can be asked: a link is wanted on them, and they are up and have an address. Sorted by index.
  std::vector<std::string> ready_interfaces() const;
  // Per interface with links: how many datagrams went out, sorted by name.
  std::map<std::string, uint64_t> sent_by_interface() const;

 private:
  // What makes a link this link: change one of these, and it is another link.
  struct Key {
    uint32_t interface_index = 0;
    IpAddress source;
    IpAddress gateway;  // unset: a device without one, or only neighbours
    SocketAddress remote;
    auto operator<=>(const Key&) const = default;
  };
  struct Wanted {
    size_t rank = 0;  // the best way of an interface first
    PathRouting routing;
    LinkUp up;  // without link id, local port, group and twins
  };
  struct Link {
    LinkId id;
    std::string interface;
    wire::PathPriority priority = wire::PathPriority::automatic;
    uint32_t mark = 0;
  };
  // The routes and rules of one source address by one gateway; several links may share them.
  struct RoutingKey {
    uint32_t interface_index = 0;
    IpAddress source, gateway;
    auto operator<=>(const RoutingKey&) const = default;
  };
  struct Needed {
    PathRouting path;
    size_t rank = 0;
  };
  static constexpr size_t kLastRank = SIZE_MAX;
  static RoutingKey routing_key(const Key& key) { return {key.interface_index, key.source, key.gateway}; }

  void reconcile();
  void consider(const Interface& interface, std::map<Key, Wanted>& wanted);
  std::vector<SocketAddress> endpoints_for(const Interface& interface) const;
  std::vector<SocketAddress> all_endpoints() const;
  void add_unusable(const Interface& interface, std::string reason, std::string text);
  void note_missing_names();
  void log_unusable(const std::vector<Unusable>& before);
  void load_routes();
  std::vector<RouteToPeer> ways(const Interface& interface, const IpAddress& source, const IpAddress& destination) const;
  std::vector<std::pair<InterfaceAddress, RouteToPeer>> ways_of(const Interface& interface,
                                                                const std::vector<InterfaceAddress>& sources,
                                                                const IpAddress& destination) const;
  void add_wanted(const Interface& interface, const InterfaceAddress& source, const RouteToPeer& way,
                  const SocketAddress& endpoint, std::map<Key, Wanted>& wanted) const;
  void number_lines(std::map<Key, Wanted>& wanted);
  void add_guards(std::map<RoutingKey, Needed>& routing) const;
  std::map<RoutingKey, Needed> needed_routing(const std::map<Key, Wanted>& wanted) const;
  void reconcile_routing(std::map<Key, Wanted>& wanted);
  void remove_links_not_in(const std::map<Key, Wanted>& wanted);
  void add_or_update(const Key& key, const Wanted& wanted);

  Setup setup_;
  std::vector<Interface> interfaces_;
  std::vector<SocketAddress> endpoints_;
  RouteTable routes_;
  Lines lines_;
  std::map<Key, Link> links_;
  std::map<RoutingKey, Routing::PathHandle> routing_;
  std::vector<Unusable> unusable_;
  uint32_t next_link_ = 1;
  bool incomplete_ = false;
  std::optional<Nat64> nat64_;
  std::vector<std::string> need_nat64_;  // interfaces with IPv6 only, while the server is known by IPv4 only
};

// More addresses of a server than these are not tried.
inline constexpr size_t kMaxEndpoints = 8;
// With those that a translator of the network adds: each of them once more.
inline constexpr size_t kMaxTried = 2 * kMaxEndpoints;
// Nor more gateways of one interface and family, whoever advertises them.
inline constexpr size_t kMaxGateways = 4;
// Sockets of one interface: as many as it can need without a translator and without addresses that are about to go. What the
// network adds of these shares the room.
inline constexpr size_t kMaxLinks = kMaxEndpoints * kMaxSources * kMaxGateways;
static_assert(kMaxLinks >= kMaxTried * kMaxSources, "each endpoint is tried from all sources");

}  // namespace hawser::client
