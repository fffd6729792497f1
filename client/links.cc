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

IpAddress gateway_of(const RouteToPeer& route) {
  return route.kind == RouteToPeer::Kind::gateway ? route.gateway : route.default_gateway;
}

PathRouting routing_of(const Interface& interface, const InterfaceAddress& source, const RouteToPeer& route,
                       const IpAddress& destination) {
  PathRouting r;
  r.interface = interface.name;
  r.address = source.address;
  r.prefix_length = source.prefix_length;
  r.gateway = gateway_of(route);
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
  if (nat64_ && interfaces != interfaces_) nat64_->network_changed();
  interfaces_ = std::move(interfaces);
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
  incomplete_ = false;
  need_nat64_.clear();
  std::map<Key, Wanted> wanted;
  load_routes();
  for (const Interface& i : interfaces_) {
    if (setup_.policy.considers(i)) consider(i, wanted);
  }
  note_missing_names();
  if (nat64_) need_nat64_.empty() ? nat64_->rest() : nat64_->look(need_nat64_);
  number_lines(wanted);
  remove_links_not_in(wanted);
  reconcile_routing(wanted);
  std::vector<std::map<Key, Wanted>::const_iterator> by_rank;
  for (auto it = wanted.cbegin(); it != wanted.cend(); ++it) by_rank.push_back(it);
  std::stable_sort(by_rank.begin(), by_rank.end(), [](auto a, auto b) { return a->second.rank < b->second.rank; });
  for (const auto& it : by_rank) add_or_update(it->first, it->second);
  log_unusable(unusable_before);
}

// ---- what should be there -----------------------------------------------------------------------------------------

void Links::consider(const Interface& i, std::map<Key, Wanted>& wanted) {
  const wire::PathPriority priority = setup_.policy.priority(i);
  if (priority == wire::PathPriority::never) return add_unusable(i, "never", "priority is never");
  if (!i.up || !i.carrier) return add_unusable(i, "down", i.up ? "no carrier" : "the interface is down");
  const bool v6_only = !i.addresses.empty() && i.addresses.front().address.is_v6();
  bool has_address = false, native = false, has_route = endpoints_.empty();
  const std::vector<SocketAddress> endpoints = endpoints_for(i);
  for (size_t n = 0; n < endpoints.size(); ++n) {
    const SocketAddress& endpoint = endpoints[n];
    const std::vector<InterfaceAddress> sources = sources_for(i, endpoint.ip, [&](const IpAddress& source) {
      return std::any_of(links_.begin(), links_.end(), [&](const auto& l) {
        return l.first.interface_index == i.index && l.first.source == source && l.first.remote == endpoint;
      });
    });
    native = native || (n < endpoints_.size() && !sources.empty());
    has_address = native || (has_address || (!sources.empty() && !nat64_->guessing()));
    std::vector<std::pair<InterfaceAddress, RouteToPeer>> by = ways_of(i, sources, endpoint.ip);
    // Each endpoint has its share: the network decides how many addresses, gateways and translators there are.
    if (by.size() > kMaxLinks / endpoints.size()) by.resize(kMaxLinks / endpoints.size());
    for (const auto& [source, way] : by) {
      has_route = true;
      add_wanted(i, source, way, endpoint, wanted);
    }
  }
  if (endpoints_.empty()) return;  // nothing is wrong with the interface: the server's name is not resolved yet
  if (v6_only && !native) need_nat64_.push_back(i.name);
  if (!has_address) {
    return add_unusable(i, "no-address",
                        v6_only ? "IPv6 only, the server is known by IPv4, and the network's DNS names no translator"
                                : "no address to reach the server from");
  }
  if (!has_route) add_unusable(i, "no-route", "no route to the server: " + i.name + " has no default gateway");
}

// Each source with the gateways that it belongs to: all sources by the best gateway, then by the next one.
std::vector<std::pair<InterfaceAddress, RouteToPeer>> Links::ways_of(const Interface& i,
                                                                     const std::vector<InterfaceAddress>& sources,
                                                                     const IpAddress& destination) const {
  std::vector<std::pair<InterfaceAddress, RouteToPeer>> found;
  std::vector<size_t> places;
  const auto add = [&](const InterfaceAddress& source, const RouteToPeer& way, size_t place) {
    const auto at = std::upper_bound(places.begin(), places.end(), place);
    found.insert(found.begin() + (at - places.begin()), {source, way});
    places.insert(at, place);
  };
  for (const InterfaceAddress& source : sources) {
    const std::vector<RouteToPeer> all = ways(i, source.address, destination);
    for (size_t place = 0; place < all.size(); ++place) {
      RouteToPeer way = all[place];
      if (way.kind == RouteToPeer::Kind::gateway) {
        if (belongs_to(sources, source, way.gateway)) add(source, way, place);
        continue;
      }
      // A neighbour on an interface with several gateways: what is beyond goes by this address's own.
      for (const RouteToPeer& d : ways(i, source.address, somewhere(destination.family))) {
        if (!belongs_to(sources, source, d.gateway)) continue;
        way.default_gateway = d.gateway;
        break;
      }
      add(source, way, place);
    }
  }
  return found;
}

void Links::add_wanted(const Interface& i, const InterfaceAddress& source, const RouteToPeer& way,
                       const SocketAddress& endpoint, std::map<Key, Wanted>& wanted) const {
  Wanted w;
  w.rank = wanted.size();
  w.routing = routing_of(i, source, way, endpoint.ip);
  w.up = LinkUp{.link = {},
                .local = {source.address, 0, 0},
                .remote = endpoint,
                .interface = i.name,
                .type = i.type,
                .metered = i.metered,
                .interface_mtu = static_cast<uint16_t>(std::min<uint32_t>(i.mtu, 65535)),
                .gateway_group = way.kind == RouteToPeer::Kind::gateway ? gateway_group(way.gateway) : 0,
                .priority = setup_.policy.priority(i)};
  wanted.emplace(Key{i.index, source.address, w.routing.gateway, endpoint}, std::move(w));
}

// Links of one interface, family and gateway are alternatives.
void Links::number_lines(std::map<Key, Wanted>& wanted) {
  const auto way_of = [](const Key& key) { return Way{key.interface_index, key.remote.ip.family, key.gateway}; };
  std::map<Way, size_t> best;
  for (const auto& [key, w] : wanted) {
    const auto [it, fresh] = best.emplace(way_of(key), w.rank);
    if (!fresh) it->second = std::min(it->second, w.rank);
  }
  std::vector<Way> ways;
  for (const auto& [way, rank] : best) ways.push_back(way);
  std::sort(ways.begin(), ways.end(), [&](const Way& a, const Way& b) { return best[a] < best[b]; });
  lines_.follow(ways);
  for (auto& [key, w] : wanted) {
    w.up.group = lines_.group(way_of(key));
    w.up.twins = lines_.line(way_of(key));
  }
}

// The server's addresses, and without IPv4 on the interface its IPv4 ones as the network's translator knows them.
std::vector<SocketAddress> Links::endpoints_for(const Interface& i) const {
  if (i.addresses.empty() || i.addresses.front().address.is_v4()) return endpoints_;
  return all_endpoints();
}

std::vector<SocketAddress> Links::all_endpoints() const {
  if (!nat64_) return endpoints_;
  return with_translated(endpoints_, nat64_->prefixes(), kMaxTried);
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

void Links::load_routes() {
  std::vector<IpAddress> destinations = {somewhere(IpAddress::Family::v4), somewhere(IpAddress::Family::v6)};
  for (const SocketAddress& e : all_endpoints()) destinations.push_back(e.ip);
  if (auto routes = RouteTable::load(destinations)) {
    routes_ = std::move(*routes);
  } else {
    incomplete_ = true;
    setup_.log->warning(routes.error().message);
  }
}

std::vector<RouteToPeer> Links::ways(const Interface& i, const IpAddress& source, const IpAddress& destination) const {
  const auto configured = setup_.policy.gateway(i);
  if (configured && configured->family == destination.family) {
    return {{.kind = RouteToPeer::Kind::gateway,
             .gateway = *configured,
             .default_gateway = *configured,
             .has_default = true}};
  }
  std::vector<RouteToPeer> found = routes_.ways(destination, source, i.index, i.name);
  if (found.size() > kMaxGateways) found.resize(kMaxGateways);
  return found;
}

// ---- routes and rules ---------------------------------------------------------------------------------------------

void Links::add_guards(std::map<RoutingKey, Needed>& routing) const {
  for (const Interface& i : interfaces_) {
    if (i.loopback || i.enslaved || !i.up || i.name == setup_.policy.own_tunnel) continue;
    for (const InterfaceAddress& a : i.addresses) {
      const bool guarded = std::any_of(routing.begin(), routing.end(), [&](const auto& r) {
        return r.first.interface_index == i.index && r.first.source == a.address;
      });
      if (guarded) continue;
      const IpAddress destination = somewhere(a.address.family);
      for (const RouteToPeer& way : ways(i, a.address, destination)) {
        if (!way.has_default || !belongs_to(i.addresses, a, way.gateway)) continue;
        routing[{i.index, a.address, gateway_of(way)}] = {routing_of(i, a, way, destination), kLastRank};
        break;
      }
    }
  }
}

// What the links need. An address that several gateways serve has all its traffic by the best one; the links by the others
// have rules for their sockets alone.
std::map<Links::RoutingKey, Links::Needed> Links::needed_routing(const std::map<Key, Wanted>& wanted) const {
  std::map<RoutingKey, Needed> needed;
  std::map<std::pair<uint32_t, IpAddress>, size_t> best;
  for (const auto& [key, w] : wanted) {
    const auto [it, fresh] = needed.emplace(routing_key(key), Needed{w.routing, w.rank});
    // Several endpoints, one of them a neighbour: more is reached through the device than its subnet.
    if (!fresh && w.routing.default_on_link) it->second.path = w.routing;
    it->second.rank = std::min(it->second.rank, w.rank);
    const auto [top, alone] = best.emplace(std::pair(key.interface_index, key.source), w.rank);
    top->second = std::min(top->second, w.rank);
  }
  for (auto& [key, n] : needed) n.path.alternative = n.rank != best[{key.interface_index, key.source}];
  return needed;
}

void Links::reconcile_routing(std::map<Key, Wanted>& wanted) {
  if (setup_.routing == nullptr) {
    // Without rules of ours only an address's best gateway is used.
    const std::map<RoutingKey, Needed> needed = needed_routing(wanted);
    std::erase_if(wanted, [&](const auto& w) { return needed.at(routing_key(w.first)).path.alternative; });
    return remove_links_not_in(wanted);
  }
  std::map<RoutingKey, Needed> needed = needed_routing(wanted);
  if (setup_.guard_all) add_guards(needed);

  for (auto it = routing_.begin(); it != routing_.end();) {
    if (needed.contains(it->first)) {
      ++it;
      continue;
    }
    if (auto ok = setup_.routing->remove_path(it->second); !ok) setup_.log->warning(ok.error().message);
    it = routing_.erase(it);
  }
  // Rules of one kind count in the order in which they are made: the best way's first.
  std::vector<std::pair<RoutingKey, Needed>> by_rank(needed.begin(), needed.end());
  std::stable_sort(by_rank.begin(), by_rank.end(),
                   [](const auto& a, const auto& b) { return a.second.rank < b.second.rank; });
  for (const auto& [key, need] : by_rank) {
    const PathRouting& path = need.path;
    const auto it = routing_.find(key);
    if (it != routing_.end()) {
      // What another program made of our routes stays: the link goes on with it.
      if (auto ok = setup_.routing->update_path(it->second, path); !ok) {
        incomplete_ = true;
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
    std::erase_if(wanted, [&, &k = key](const auto& w) { return routing_key(w.first) == k; });
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
  const auto path = routing_.find(routing_key(key));
  const uint32_t mark = path == routing_.end() ? 0 : setup_.routing->mark(path->second);
  if (it != links_.end()) {
    if (it->second.mark != mark) {
      if (auto ok = setup_.pump->mark_link(it->second.id, mark); ok) {
        it->second.mark = mark;
      } else {
        incomplete_ = true;
        setup_.log->warning(ok.error().message);
      }
    }
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
  if (Status marked = mark == 0 ? Status(Done{}) : socket->set_mark(mark); !marked) {
    incomplete_ = true;
    return setup_.log->warning(marked.error().message);
  }
  LinkUp up = wanted.up;
  up.link = LinkId{next_link_++};
  up.local = socket->local();
  setup_.log->info(up.interface + ": trying from " + up.local.to_string() + " to " + up.remote.to_string() +
                   (key.gateway.is_set() ? " via " + key.gateway.to_string() : ""));
  setup_.pump->add_link(up.link, std::move(*socket));
  links_[key] = Link{up.link, up.interface, up.priority, mark};
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

std::vector<std::string> Links::ready_interfaces() const {
  std::vector<std::string> names;
  for (const Interface& i : interfaces_) {
    const bool ready = i.up && i.carrier && !i.addresses.empty() && setup_.policy.considers(i);
    if (ready && setup_.policy.priority(i) != wire::PathPriority::never) names.push_back(i.name);
  }
  return names;
}

std::map<std::string, uint64_t> Links::sent_by_interface() const {
  std::map<std::string, uint64_t> sent;
  for (const auto& [key, link] : links_) sent[link.interface] += setup_.pump->sent(link.id);
  return sent;
}

}  // namespace hawser::client
