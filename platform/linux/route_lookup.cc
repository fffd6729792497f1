// By which gateways an interface reaches an address.
#include <linux/fib_rules.h>
#include <net/if.h>

#include <algorithm>
#include <optional>
#include <tuple>

#include "platform/linux/oserror.h"
#include "platform/linux/rtnl.h"
#include "platform/netlink.h"
#include "platform/route_types.h"

namespace hawser {
namespace {

IpAddress via_address(const nlattr* attribute) {
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) < sizeof(rtvia)) return {};
  const auto* via = static_cast<const rtvia*>(mnl_attr_get_payload(attribute));
  const size_t length = mnl_attr_get_payload_len(attribute) - sizeof(rtvia);
  if (via->rtvia_family == AF_INET6 && length >= 16) return IpAddress::v6(ByteSpan(via->rtvia_addr, 16));
  if (via->rtvia_family == AF_INET && length >= 4) return IpAddress::v4(ByteSpan(via->rtvia_addr, 4));
  return {};
}

// One next hop of a route.
struct Hop {
  uint32_t index = 0;
  IpAddress gateway;
};

void add_hops(const nlattr* multipath, std::vector<Hop>& hops) {
  const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(multipath));
  size_t left = mnl_attr_get_payload_len(multipath);
  while (left >= sizeof(rtnexthop) && hop->rtnh_len >= sizeof(rtnexthop) && hop->rtnh_len <= left) {
    // A dead hop's device is down; the route is kept for its other hops.
    if ((hop->rtnh_flags & RTNH_F_DEAD) == 0) {
      Hop found{static_cast<uint32_t>(hop->rtnh_ifindex), {}};
      const char* begin = reinterpret_cast<const char*>(hop) + sizeof(rtnexthop);
      int rest = static_cast<int>(hop->rtnh_len - sizeof(rtnexthop));
      for (const auto* a = reinterpret_cast<const nlattr*>(begin); mnl_attr_ok(a, rest);) {
        const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(a));
        if (mnl_attr_get_type(a) == RTA_GATEWAY) {
          found.gateway =
              mnl_attr_get_payload_len(a) == 4 ? IpAddress::v4(ByteSpan(bytes, 4)) : IpAddress::v6(ByteSpan(bytes, 16));
        } else if (mnl_attr_get_type(a) == RTA_VIA) {
          found.gateway = via_address(a);
        }
        rest -= static_cast<int>(MNL_ALIGN(a->nla_len));
        a = mnl_attr_next(a);
      }
      hops.push_back(found);
    }
    const size_t step = std::min<size_t>(RTNH_ALIGN(hop->rtnh_len), left);
    hop = reinterpret_cast<const rtnexthop*>(reinterpret_cast<const char*>(hop) + step);
    left -= step;
  }
}

bool is_live_unicast(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof(rtmsg)) return false;
  const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  // RTNH_F_DEAD: the device is down, the route is only kept for its return.
  return route->rtm_type == RTN_UNICAST && (route->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD)) == 0;
}

// A unicast route by `index` that covers `destination`.
bool leads_to(const nlmsghdr* message, const IpAddress& destination, uint32_t index) {
  if (!is_live_unicast(message)) return false;
  const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  const auto attributes = RtnlAttributes<RTA_MAX + 1>::parse<rtmsg>(message);
  const IpPrefix prefix{attributes.address(RTA_DST), route->rtm_dst_len};
  if (prefix.length != 0 && !prefix.contains(destination)) return false;
  if (attributes[RTA_MULTIPATH] == nullptr) return attributes.u32(RTA_OIF) == index;
  std::vector<Hop> hops;
  add_hops(attributes[RTA_MULTIPATH], hops);
  return std::any_of(hops.begin(), hops.end(), [&](const Hop& h) { return h.index == index; });
}

// The kernel's own decision. Without FIB_MATCH IPv4 would guess that everybody is a neighbour on `index`.
RtnlAnswer ask_kernel(Rtnl& rtnl, const IpAddress& destination, const IpAddress& source, uint32_t index,
                      const std::function<void(const nlmsghdr*)>& on_message) {
  RtnlMessage request(RTM_GETROUTE, 0);
  auto* extra = request.extra<rtmsg>();
  extra->rtm_family = os_family(destination.family);
  extra->rtm_dst_len = destination.is_v4() ? 32 : 128;
  extra->rtm_flags = RTM_F_FIB_MATCH | RTM_F_LOOKUP_TABLE;
  request.put_address(RTA_DST, destination);
  if (source.is_set()) {
    extra->rtm_src_len = extra->rtm_dst_len;
    request.put_address(RTA_SRC, source);
  }
  request.put_u32(RTA_OIF, index);
  return rtnl.request(request.header(), on_message);
}

}  // namespace

// Fills a RouteTable from the kernel's messages.
class RouteReader {
 public:
  RouteReader(RouteTable& table, std::span<const IpAddress> destinations) : table_(table), destinations_(destinations) {}

  Status read(Rtnl& rtnl, IpAddress::Family family) {
    RtnlMessage routes(RTM_GETROUTE, NLM_F_DUMP);
    routes.extra<rtmsg>()->rtm_family = os_family(family);
    const size_t routes_before = table_.entries_.size(), rules_before = table_.rules_.size();
    const RtnlAnswer dumped = rtnl.request(
        routes.header(), [&](const nlmsghdr* message) { on_route(message, family); },
        [&] { table_.entries_.resize(routes_before); });
    RtnlMessage rules(RTM_GETRULE, NLM_F_DUMP);
    rules.extra<fib_rule_hdr>()->family = os_family(family);
    const RtnlAnswer ruled = rtnl.request(
        rules.header(), [&](const nlmsghdr* message) { on_rule(message, family); },
        [&] { table_.rules_.resize(rules_before); });
    for (const RtnlAnswer* answer : {&dumped, &ruled}) {
      // A kernel without the family has none of its routes.
      if (answer->error == 0 || answer->error == EAFNOSUPPORT || answer->error == EOPNOTSUPP || answer->error == ENOENT) {
        continue;
      }
      return Error{ExitCode::system_integration, "cannot read the routes: " + answer->text()};
    }
    std::stable_sort(table_.rules_.begin() + static_cast<ptrdiff_t>(rules_before), table_.rules_.end(),
                     [](const auto& a, const auto& b) { return a.preference < b.preference; });
    return Done{};
  }

 private:
  void on_route(const nlmsghdr* message, IpAddress::Family family) {
    if (!is_live_unicast(message)) return;
    const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    const auto attributes = RtnlAttributes<RTA_MAX + 1>::parse<rtmsg>(message);
    RouteTable::Entry entry;
    entry.family = family;
    entry.table = attributes.u32(RTA_TABLE, route->rtm_table);
    if (is_own_table(entry.table)) return;
    entry.prefix = {attributes.address(RTA_DST), route->rtm_dst_len};
    const bool wanted = std::any_of(destinations_.begin(), destinations_.end(), [&](const IpAddress& d) {
      return d.family == family && (entry.prefix.length == 0 || entry.prefix.contains(d));
    });
    if (!wanted) return;
    entry.metric = attributes.u32(RTA_PRIORITY);
    std::vector<Hop> hops;
    if (attributes[RTA_MULTIPATH] != nullptr) {
      add_hops(attributes[RTA_MULTIPATH], hops);
    } else {
      hops.push_back({attributes.u32(RTA_OIF), attributes.address(RTA_GATEWAY)});
      if (!hops.back().gateway.is_set()) hops.back().gateway = via_address(attributes[RTA_VIA]);
    }
    for (const Hop& hop : hops) {
      entry.index = hop.index;
      entry.gateway = hop.gateway;
      table_.entries_.push_back(entry);
    }
  }

  // Rules that look at more than addresses and devices (marks, ports, users) are not about our sockets.
  void on_rule(const nlmsghdr* message, IpAddress::Family family) {
    if (message->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(message) < sizeof(fib_rule_hdr)) return;
    const auto* rule = static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(message));
    const auto attributes = RtnlAttributes<FRA_MAX + 1>::parse<fib_rule_hdr>(message);
    RouteTable::Selector selector;
    selector.family = family;
    selector.preference = attributes.u32(FRA_PRIORITY);
    selector.table = attributes.u32(FRA_TABLE, rule->table);
    const bool other_selectors = attributes[FRA_IIFNAME] != nullptr || attributes.u32(FRA_FWMARK) != 0 ||
                                 attributes[FRA_UID_RANGE] != nullptr || attributes[FRA_IP_PROTO] != nullptr ||
                                 attributes[FRA_SPORT_RANGE] != nullptr || attributes[FRA_DPORT_RANGE] != nullptr ||
                                 rule->tos != 0 || (rule->flags & FIB_RULE_INVERT) != 0;
    if (rule->action != FR_ACT_TO_TBL || other_selectors || is_own_preference(selector.preference)) return;
    if (rule->src_len != 0) selector.from = {attributes.address(FRA_SRC), rule->src_len};
    if (rule->dst_len != 0) selector.to = {attributes.address(FRA_DST), rule->dst_len};
    if (attributes[FRA_OIFNAME] != nullptr) selector.oif = mnl_attr_get_str(attributes[FRA_OIFNAME]);
    selector.longer_than = static_cast<int>(attributes.u32(FRA_SUPPRESS_PREFIXLEN, ~0u));
    table_.rules_.push_back(selector);
  }

  RouteTable& table_;
  std::span<const IpAddress> destinations_;
};

Result<RouteTable> RouteTable::load(std::span<const IpAddress> destinations) {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  RouteTable table;
  RouteReader reader(table, destinations);
  for (const IpAddress::Family family : {IpAddress::Family::v4, IpAddress::Family::v6}) {
    const bool asked =
        std::any_of(destinations.begin(), destinations.end(), [&](const IpAddress& d) { return d.family == family; });
    if (!asked) continue;
    if (Status read = reader.read(*rtnl, family); !read) return read.error();
  }
  return table;
}

// The table's routes to `destination` by `index`, best first.
std::vector<const RouteTable::Entry*> RouteTable::covering(const Selector& rule, const IpAddress& destination,
                                                           uint32_t index) const {
  std::vector<const Entry*> found;
  for (const Entry& e : entries_) {
    const bool covers = e.prefix.length == 0 || e.prefix.contains(destination);
    if (e.table == rule.table && e.family == destination.family && e.index == index && covers &&
        e.prefix.length > rule.longer_than) {
      found.push_back(&e);
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const Entry* a, const Entry* b) {
    return std::tuple(-a->prefix.length, a->metric) < std::tuple(-b->prefix.length, b->metric);
  });
  return found;
}

std::vector<RouteToPeer> RouteTable::ways(const IpAddress& destination, const IpAddress& source, uint32_t index,
                                          const std::string& interface) const {
  std::vector<RouteToPeer> found;
  std::optional<IpAddress> default_gateway;
  for (const Selector& rule : rules_) {
    if (rule.family != destination.family || (!rule.oif.empty() && rule.oif != interface)) continue;
    if (rule.from.length != 0 && !(source.is_set() && rule.from.contains(source))) continue;
    if (rule.to.length != 0 && !rule.to.contains(destination)) continue;
    const std::vector<const Entry*> entries = covering(rule, destination, index);
    for (const Entry* e : entries) {
      if (e->prefix.length == 0 && !default_gateway) default_gateway = e->gateway;
    }
    if (entries.empty() || !found.empty()) continue;
    for (const Entry* e : entries) {
      if (e->prefix.length != entries.front()->prefix.length) break;
      const bool known = std::any_of(found.begin(), found.end(), [&](const auto& f) { return f.gateway == e->gateway; });
      if (known) continue;
      RouteToPeer way;
      way.kind = e->gateway.is_set() ? RouteToPeer::Kind::gateway : RouteToPeer::Kind::on_link;
      way.gateway = e->gateway;
      if (e->prefix.length == 0) way.default_gateway = e->gateway;
      found.push_back(way);
    }
  }
  for (RouteToPeer& way : found) {
    way.has_default = default_gateway.has_value();
    if (!way.default_gateway.is_set() && default_gateway) way.default_gateway = *default_gateway;
  }
  return found;
}

Result<RouteToPeer> route_to(const IpAddress& destination, uint32_t index) {
  const Result<RouteTable> table = RouteTable::load({&destination, 1});
  if (!table) return table.error();
  char name[IF_NAMESIZE] = {};
  if (::if_indextoname(index, name) == nullptr) return RouteToPeer{};
  const std::vector<RouteToPeer> ways = table->ways(destination, {}, index, name);
  return ways.empty() ? RouteToPeer{} : ways.front();
}

Result<bool> has_route_by(const IpAddress& destination, const IpAddress& source, uint32_t index) {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  bool found = false;
  const RtnlAnswer answer = ask_kernel(*rtnl, destination, source, index, [&](const nlmsghdr* message) {
    found = found || leads_to(message, destination, index);
  });
  if (answer.error != 0 && answer.error != ENETUNREACH && answer.error != EHOSTUNREACH && answer.error != EINVAL) {
    return Error{ExitCode::system_integration, "cannot look a route up: " + answer.text()};
  }
  return found;
}

}  // namespace hawser
