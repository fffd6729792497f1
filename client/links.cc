// Links: what should be there is worked out anew at every change, then what is there is made the same.
#include "client/links.h"

#include <algorithm>

#include "platform/clock.h"

namespace hawser::client {
namespace {

// Equal for equal gateways, never zero.
uint32_t gateway_group(const IpAddress& gateway) {
  if (!gateway.is_set()) return 0;
  return static_cast<uint32_t>(std::hash<IpAddress>{}(gateway)) | 1;
}

PathRouting routing_of(const Interface& interface, const InterfaceAddress& source, const RouteToPeer& route,
                       const IpAddress& destination) {
  PathRouting r;
  r.interface = interface.name;
  r.address = source.address;
  r.prefix_length = source.prefix_length;
  r.gateway = route.kind == RouteToPeer::Kind::gateway ? route.gateway : route.default_gateway;
  // No gateway, but more is reached through the device than the address's own subnet: point-to-point links.
  const IpPrefix subnet{source.address, source.prefix_length};
  r.default_on_link = !r.gateway.is_set() && (route.has_default || !subnet.contains(destination));
  return r;
}

// A destination that nobody has, to ask what the default route is (RFC 5737, RFC 3849).
IpAddress somewhere(IpAddress::Family family) {
  return *IpAddress::parse(family == IpAddress::Family::v4 ? "192.0.2.1" : "2001:db8::1");
}

}  // namespace

Links::Links(Setup setup) : setup_(std::move(setup)) {
  if (setup_.loop != nullptr) nat64_.emplace(*setup_.loop, *setup_.log, [this] { reconcile(); });
}

void Links::set_interfaces(std::vector<Interface> interfaces) {
  interfaces_ = std::move(interfaces);
  if (nat64_) nat64_->network_changed();
  reconcile();
}

void Links::set_endpoints(std::vector<SocketAddress> endpoints) {
  if (endpoints.size() > kMaxEndpoints) endpoints.resize(kMaxEndpoints);
  endpoints_ = std::move(endpoints);
  reconcile();
}

void Links::apply(const PathSetting& setting) {
  hawser::apply(setup_.policy.profile, setting);
  reconcile();
}

void Links::reconcile() {
  const std::vector<Unusable> unusable_before = std::exchange(unusable_, {});
  incomplete_ = needs_nat64_ = false;
  std::map<Key, Wanted> wanted;
  for (const Interface& i : interfaces_) {
    if (setup_.policy.considers(i)) consider(i, wanted);
  }
  note_missing_names();
  if (nat64_) needs_nat64_ ? nat64_->look() : nat64_->rest();
  remove_links_not_in(wanted);
  reconcile_routing(wanted);
  for (const auto& [key, w] : wanted) add_or_update(key, w);
  log_unusable(unusable_before);
}

// ---- what should be there -----------------------------------------------------------------------------------------

void Links::consider(const Interface& i, std::map<Key, Wanted>& wanted) {
  const wire::PathPriority priority = setup_.policy.priority(i);
  if (priority == wire::PathPriority::never) return add_unusable(i, "never", "priority is never");
  if (!i.up || !i.carrier) return add_unusable(i, "down", i.up ? "no carrier" : "the interface is down");
  bool has_address = false, has_route = endpoints_.empty();
  for (const SocketAddress& endpoint : endpoints_for(i)) {
    const auto source = source_for(i, endpoint.ip);
    if (!source) continue;
    has_address = true;
    const RouteToPeer r = route(i, endpoint.ip);
    if (r.kind == RouteToPeer::Kind::none) continue;
    has_route = true;
    Wanted w;
    w.routing = routing_of(i, *source, r, endpoint.ip);
    w.up = LinkUp{.link = {},
                  .local = {source->address, 0, 0},
                  .remote = endpoint,
                  .group = 2 * i.index + (endpoint.ip.is_v6() ? 1 : 0),
                  .twins = i.index,
                  .interface = i.name,
                  .type = i.type,
                  .metered = i.metered,
                  .interface_mtu = static_cast<uint16_t>(std::min<uint32_t>(i.mtu, 65535)),
                  .gateway_group = r.kind == RouteToPeer::Kind::gateway ? gateway_group(r.gateway) : 0,
                  .priority = priority};
    wanted.emplace(Key{i.index, source->address, endpoint}, std::move(w));
  }
  if (endpoints_.empty()) return;  // nothing is wrong with the interface: the server's name is not resolved yet
  if (!has_address) {
    needs_nat64_ = needs_nat64_ || !i.addresses.empty();
    const bool v6_only = !i.addresses.empty() && i.addresses.front().address.is_v6();
    return add_unusable(i, "no-address",
                        v6_only ? "IPv6 only, the server is known by IPv4, and the network's DNS names no translator"
                                : "no address to reach the server from");
  }
  if (!has_route) add_unusable(i, "no-route", "no route to the server: " + i.name + " has no default gateway");
}

// The server's addresses, and without IPv4 on the interface its IPv4 ones as the network's translator knows them.
std::vector<SocketAddress> Links::endpoints_for(const Interface& i) const {
  std::vector<SocketAddress> all = endpoints_;
  if (!nat64_ || i.addresses.empty() || i.addresses.front().address.is_v4()) return all;
  for (const SocketAddress& e : endpoints_) {
    for (const IpPrefix& prefix : nat64_->prefixes()) {
      if (const auto translated = nat64_address(prefix, e.ip)) all.push_back({*translated, e.port, 0});
    }
  }
  return all;
}

void Links::add_unusable(const Interface& i, std::string reason, std::string text) {
  unusable_.push_back(
      {i.name, to_string(i.type), i.metered, setup_.policy.priority(i), std::move(reason), std::move(text)});
}

// A name on the command line that no interface has is more likely a typing error than a modem to be plugged in.
void Links::note_missing_names() {
  for (const std::string& name : setup_.policy.only) {
    const bool found = std::any_of(interfaces_.begin(), interfaces_.end(),
                                   [&](const Interface& i) { return named_in({name}, i.name); });
    if (!found) {
      unusable_.push_back(
          {name, "other", false, wire::PathPriority::always, "not-found", "there is no such interface"});
    }
  }
}

RouteToPeer Links::route(const Interface& i, const IpAddress& destination) const {
  const auto configured = setup_.policy.gateway(i);
  if (configured && configured->family == destination.family) {
    return {.kind = RouteToPeer::Kind::gateway,
            .gateway = *configured,
            .default_gateway = *configured,
            .has_default = true};
  }
  auto found = route_to(destination, i.index);
  if (found) return *found;
  // An interface that went away in between; its removal is on the way to us.
  setup_.log->debug("looking for a route by " + i.name + ": " + found.error().message);
  return {};
}

// ---- routes and rules ---------------------------------------------------------------------------------------------

void Links::add_guards(std::map<RoutingKey, PathRouting>& routing) const {
  for (const Interface& i : interfaces_) {
    if (i.loopback || i.enslaved || !i.up || i.name == setup_.policy.own_tunnel) continue;
    for (const InterfaceAddress& a : i.addresses) {
      if (routing.contains({i.index, a.address})) continue;
      const IpAddress destination = somewhere(a.address.family);
      const RouteToPeer r = route(i, destination);
      if (r.has_default) routing[{i.index, a.address}] = routing_of(i, a, r, destination);
    }
  }
}

void Links::reconcile_routing(std::map<Key, Wanted>& wanted) {
  if (setup_.routing == nullptr) return;
  std::map<RoutingKey, PathRouting> needed;
  for (const auto& [key, w] : wanted) {
    const auto [it, fresh] = needed.emplace(RoutingKey{key.interface_index, key.source}, w.routing);
    // Several endpoints, one of them a neighbour: the gateway serves both.
    if (!fresh && !it->second.gateway.is_set()) it->second = w.routing;
  }
  if (setup_.guard_all) add_guards(needed);

  for (auto it = routing_.begin(); it != routing_.end();) {
    if (needed.contains(it->first)) {
      ++it;
      continue;
    }
    if (auto ok = setup_.routing->remove_path(it->second); !ok) setup_.log->warning(ok.error().message);
    it = routing_.erase(it);
  }
  for (const auto& [key, path] : needed) {
    const auto it = routing_.find(key);
    if (it != routing_.end()) {
      // What another program made of our routes stays: the link goes on with it.
      if (auto ok = setup_.routing->update_path(it->second, path); !ok) {
        setup_.log->write_limited(LogLevel::warning, "update " + path.interface,
                                  path.interface + ": " + ok.error().message, now());
      }
      continue;
    }
    const auto handle = setup_.routing->add_path(path);
    if (handle) {
      routing_[key] = *handle;
      continue;
    }
    incomplete_ = true;
    setup_.log->warning(path.interface + ": " + handle.error().message);
    // Without its rules a link's datagrams would enter the tunnel that they carry.
    std::erase_if(wanted, [&, &k = key](const auto& w) {
      return w.first.interface_index == k.first && w.first.source == k.second;
    });
  }
  remove_links_not_in(wanted);
}

// ---- sockets and the engine ---------------------------------------------------------------------------------------

void Links::remove_links_not_in(const std::map<Key, Wanted>& wanted) {
  for (auto it = links_.begin(); it != links_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    const auto& [key, link] = *it;
    setup_.log->info(link.interface + ": no longer used from " + key.source.to_string() + " to " +
                     key.remote.to_string());
    setup_.engine->on_path_event(LinkDown{link.id}, now());
    setup_.pump->remove_link(link.id);
    it = links_.erase(it);
  }
}

void Links::add_or_update(const Key& key, const Wanted& wanted) {
  if (setup_.engine == nullptr) return;
  const auto it = links_.find(key);
  if (it != links_.end()) {
    if (it->second.priority == wanted.up.priority) return;
    it->second.priority = wanted.up.priority;
    setup_.engine->on_path_event(LinkPriority{it->second.id, wanted.up.priority}, now());
    return;
  }
  const OffloadChoice& offload = setup_.policy.profile.offload;
  auto socket = UdpSocket::open_client(wanted.up.interface, wanted.up.local, {offload.udp_gso, offload.udp_gro});
  if (!socket) {
    // Typically the address went in this very moment.
    incomplete_ = true;
    setup_.log->warning(wanted.up.interface + ": " + socket.error().message);
    return;
  }
  LinkUp up = wanted.up;
  up.link = LinkId{next_link_++};
  up.local = socket->local();
  setup_.log->info(up.interface + ": trying from " + up.local.to_string() + " to " + up.remote.to_string());
  setup_.pump->add_link(up.link, std::move(*socket));
  links_[key] = Link{up.link, up.interface, up.priority};
  setup_.engine->on_path_event(up, now());
}

void Links::log_unusable(const std::vector<Unusable>& before) {
  for (const Unusable& u : unusable_) {
    const bool known = std::any_of(before.begin(), before.end(), [&](const Unusable& b) {
      return b.interface == u.interface && b.reason == u.reason;
    });
    if (!known) setup_.log->info(u.interface + ": not used: " + u.text);
  }
}

std::map<std::string, uint64_t> Links::sent_by_interface() const {
  std::map<std::string, uint64_t> sent;
  for (const auto& [key, link] : links_) sent[link.interface] += setup_.pump->sent(link.id);
  return sent;
}

}  // namespace hawser::client
