// The client's links: for each usable interface, own address and server endpoint a socket bound to device and address,
// with the routes and rules its path needs. Follows what interfaces do and tells the engine by path events.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

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
  // Per interface with links: how many datagrams went out, sorted by name.
  std::map<std::string, uint64_t> sent_by_interface() const;

 private:
  // What makes a link this link: change one of these, and it is another link.
  struct Key {
    uint32_t interface_index = 0;
    IpAddress source;
    SocketAddress remote;
    auto operator<=>(const Key&) const = default;
  };
  struct Wanted {
    PathRouting routing;
    LinkUp up;  // without link id and local port
  };
  struct Link {
    LinkId id;
    std::string interface;
    wire::PathPriority priority = wire::PathPriority::automatic;
  };
  // The routes and rules of one source address; several links may share them.
  using RoutingKey = std::pair<uint32_t, IpAddress>;

  void reconcile();
  void consider(const Interface& interface, std::map<Key, Wanted>& wanted);
  std::vector<SocketAddress> endpoints_for(const Interface& interface) const;
  void add_unusable(const Interface& interface, std::string reason, std::string text);
  void note_missing_names();
  void log_unusable(const std::vector<Unusable>& before);
  RouteToPeer route(const Interface& interface, const IpAddress& destination) const;
  void add_guards(std::map<RoutingKey, PathRouting>& routing) const;
  void reconcile_routing(std::map<Key, Wanted>& wanted);
  void remove_links_not_in(const std::map<Key, Wanted>& wanted);
  void add_or_update(const Key& key, const Wanted& wanted);

  Setup setup_;
  std::vector<Interface> interfaces_;
  std::vector<SocketAddress> endpoints_;
  std::map<Key, Link> links_;
  std::map<RoutingKey, Routing::PathHandle> routing_;
  std::vector<Unusable> unusable_;
  uint32_t next_link_ = 1;
  bool incomplete_ = false;
  std::optional<Nat64> nat64_;
  bool needs_nat64_ = false;
};

// More addresses of a server than these are not tried.
inline constexpr size_t kMaxEndpoints = 8;

}  // namespace hawser::client
