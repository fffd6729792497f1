// By which gateway an interface reaches an address.
#include <net/if.h>

#include <algorithm>
#include <optional>

#include "platform/linux/oserror.h"
#include "platform/linux/rtnl.h"
#include "platform/netlink.h"
#include "platform/route_types.h"

namespace hawser {
namespace {

struct Candidate {
  uint8_t length = 0;
  uint32_t metric = 0;
  uint32_t table = 0;
  IpAddress gateway;
};

IpAddress via_address(const nlattr* attribute) {
  if (attribute == nullptr || mnl_attr_get_payload_len(attribute) < sizeof(rtvia)) return {};
  const auto* via = static_cast<const rtvia*>(mnl_attr_get_payload(attribute));
  const size_t length = mnl_attr_get_payload_len(attribute) - sizeof(rtvia);
  if (via->rtvia_family == AF_INET6 && length >= 16) return IpAddress::v6(ByteSpan(via->rtvia_addr, 16));
  if (via->rtvia_family == AF_INET && length >= 4) return IpAddress::v4(ByteSpan(via->rtvia_addr, 4));
  return {};
}

// The gateway of the next hop by `index` in a multipath route; nothing when no hop leaves by it.
std::optional<IpAddress> hop_by(const nlattr* multipath, uint32_t index) {
  const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(multipath));
  size_t left = mnl_attr_get_payload_len(multipath);
  while (left >= sizeof(rtnexthop) && hop->rtnh_len >= sizeof(rtnexthop) && hop->rtnh_len <= left) {
    // A dead hop's device is down; the route is kept for its other hops.
    if (static_cast<uint32_t>(hop->rtnh_ifindex) == index && (hop->rtnh_flags & RTNH_F_DEAD) == 0) {
      IpAddress gateway;
      const char* begin = reinterpret_cast<const char*>(hop) + sizeof(rtnexthop);
      int rest = static_cast<int>(hop->rtnh_len - sizeof(rtnexthop));
      for (const auto* a = reinterpret_cast<const nlattr*>(begin); mnl_attr_ok(a, rest);) {
        const auto* bytes = static_cast<const uint8_t*>(mnl_attr_get_payload(a));
        if (mnl_attr_get_type(a) == RTA_GATEWAY) {
          gateway =
              mnl_attr_get_payload_len(a) == 4 ? IpAddress::v4(ByteSpan(bytes, 4)) : IpAddress::v6(ByteSpan(bytes, 16));
        } else if (mnl_attr_get_type(a) == RTA_VIA) {
          gateway = via_address(a);
        }
        rest -= static_cast<int>(MNL_ALIGN(a->nla_len));
        a = mnl_attr_next(a);
      }
      return gateway;
    }
    const size_t step = std::min<size_t>(RTNH_ALIGN(hop->rtnh_len), left);
    hop = reinterpret_cast<const rtnexthop*>(reinterpret_cast<const char*>(hop) + step);
    left -= step;
  }
  return std::nullopt;
}

// The route as a candidate if it is a unicast one by `index` that covers `destination`.
std::optional<Candidate> candidate(const nlmsghdr* message, const IpAddress& destination, uint32_t index) {
  if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof(rtmsg)) return std::nullopt;
  const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  // RTNH_F_DEAD: the device is down, the route is only kept for its return.
  if (route->rtm_type != RTN_UNICAST || (route->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD)) != 0) return std::nullopt;
  const auto attributes = RtnlAttributes<RTA_MAX + 1>::parse<rtmsg>(message);
  IpPrefix prefix{attributes.address(RTA_DST), route->rtm_dst_len};
  if (route->rtm_dst_len != 0 && !prefix.contains(destination)) return std::nullopt;
  Candidate result{route->rtm_dst_len, attributes.u32(RTA_PRIORITY), attributes.u32(RTA_TABLE, route->rtm_table), {}};
  if (attributes[RTA_MULTIPATH] != nullptr) {
    const std::optional<IpAddress> gateway = hop_by(attributes[RTA_MULTIPATH], index);
    if (!gateway) return std::nullopt;
    result.gateway = *gateway;
    return result;
  }
  if (attributes.u32(RTA_OIF) != index) return std::nullopt;
  result.gateway = attributes.address(RTA_GATEWAY);
  if (!result.gateway.is_set()) result.gateway = via_address(attributes[RTA_VIA]);
  return result;
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

Result<RouteToPeer> route_to(const IpAddress& destination, uint32_t index) {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();

  std::optional<Candidate> best, best_default;
  const auto consider = [](std::optional<Candidate>& kept, const Candidate& c) {
    if (!kept || c.length > kept->length || (c.length == kept->length && c.metric < kept->metric)) kept = c;
  };
  RtnlMessage request(RTM_GETROUTE, NLM_F_DUMP);
  auto* extra = request.extra<rtmsg>();
  extra->rtm_family = os_family(destination.family);
  extra->rtm_table = kMainTable;
  request.put_u32(RTA_TABLE, kMainTable);
  const RtnlAnswer dumped = rtnl->request(
      request.header(),
      [&](const nlmsghdr* message) {
        const std::optional<Candidate> c = candidate(message, destination, index);
        if (!c || c->table != kMainTable) return;  // an old kernel dumps all tables
        consider(best, *c);
        if (c->length == 0) consider(best_default, *c);
      },
      [&] { best = best_default = std::nullopt; });
  if (dumped.error != 0 && dumped.error != EAFNOSUPPORT && dumped.error != EOPNOTSUPP && dumped.error != ENOENT) {
    return Error{ExitCode::system_integration, "cannot read the routes: " + dumped.text()};
  }
  if (!best) {
    ask_kernel(*rtnl, destination, {}, index, [&](const nlmsghdr* message) {
      const std::optional<Candidate> c = candidate(message, destination, index);
      if (!c || is_own_table(c->table)) return;
      best = c;
      if (c->length == 0) best_default = c;
    });
  }
  RouteToPeer result;
  if (best_default) {
    result.has_default = true;
    result.default_gateway = best_default->gateway;
  }
  if (best) {
    result.gateway = best->gateway;
    result.kind = best->gateway.is_set() ? RouteToPeer::Kind::gateway : RouteToPeer::Kind::on_link;
  }
  return result;
}

Result<bool> has_route_by(const IpAddress& destination, const IpAddress& source, uint32_t index) {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  bool found = false;
  const RtnlAnswer answer = ask_kernel(*rtnl, destination, source, index, [&](const nlmsghdr* message) {
    found = found || candidate(message, destination, index).has_value();
  });
  if (answer.error != 0 && answer.error != ENETUNREACH && answer.error != EHOSTUNREACH && answer.error != EINVAL) {
    return Error{ExitCode::system_integration, "cannot look a route up: " + answer.text()};
  }
  return found;
}

}  // namespace hawser
