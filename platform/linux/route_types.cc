// Adding and deleting routes and rules by rtnetlink, and the same as `ip` commands.
#include "platform/route_types.h"

#include <linux/fib_rules.h>
#include <net/if.h>

#include "platform/linux/oserror.h"
#include "platform/linux/rtnl.h"

namespace hawser {
namespace {

// Marks ours as the kernel's: systemd-networkd removes "foreign" rules and routes when it starts, but spares these.
constexpr uint8_t kProtocol = RTPROT_KERNEL;
// What the kernel takes for an IPv6 route without a metric; deleting names it, to hit only ours.
constexpr uint32_t kIpv6Metric = 1024;

uint8_t route_type(Route::Type type) {
  switch (type) {
    case Route::Type::unreachable:
      return RTN_UNREACHABLE;
    case Route::Type::throw_:
      return RTN_THROW;
    case Route::Type::unicast:
      break;
  }
  return RTN_UNICAST;
}

const char* family_flag(IpAddress::Family family) {
  return family == IpAddress::Family::v6 ? "ip -6" : "ip -4";
}

// Fills a message for `route`; the errno of a missing device, else 0.
int fill_route(RtnlMessage& message, const Route& route, bool adding) {
  auto* extra = message.extra<rtmsg>();
  const bool v6 = route.family == IpAddress::Family::v6;
  extra->rtm_family = os_family(route.family);
  extra->rtm_table = route.table < 256 ? static_cast<uint8_t>(route.table) : static_cast<uint8_t>(RT_TABLE_UNSPEC);
  extra->rtm_protocol = kProtocol;
  extra->rtm_type = route_type(route.type);
  const bool neighbour = route.type == Route::Type::unicast && !route.gateway.is_set();
  extra->rtm_scope = adding ? (neighbour && !v6 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE) : RT_SCOPE_NOWHERE;
  if (v6 && !adding) extra->rtm_scope = RT_SCOPE_UNIVERSE;
  message.put_u32(RTA_TABLE, route.table);
  if (route.destination.address.is_set() && route.destination.length > 0) {
    extra->rtm_dst_len = route.destination.length;
    message.put_address(RTA_DST, route.destination.masked());
  }
  if (route.gateway.is_set()) {
    extra->rtm_flags |= RTNH_F_ONLINK;  // a gateway outside the subnet is common with mobile carriers
    message.put_address(RTA_GATEWAY, route.gateway);
  }
  if (route.source.is_set()) message.put_address(RTA_PREFSRC, route.source);
  if (!route.interface.empty()) {
    const unsigned index = ::if_nametoindex(route.interface.c_str());
    if (index == 0) return ENODEV;
    message.put_u32(RTA_OIF, index);
  }
  const uint32_t metric = route.metric != 0 ? route.metric : (v6 ? kIpv6Metric : 0);
  if (metric != 0) message.put_u32(RTA_PRIORITY, metric);
  return 0;
}

void fill_rule(RtnlMessage& message, const Rule& rule) {
  auto* extra = message.extra<fib_rule_hdr>();
  extra->family = os_family(rule.family);
  extra->action = FR_ACT_TO_TBL;
  extra->table = rule.table < 256 ? static_cast<uint8_t>(rule.table) : static_cast<uint8_t>(RT_TABLE_UNSPEC);
  message.put_u32(FRA_TABLE, rule.table);
  message.put_u32(FRA_PRIORITY, rule.preference);
  message.put_u8(FRA_PROTOCOL, kProtocol);
  if (rule.from) {
    extra->src_len = rule.from->length;
    message.put_address(FRA_SRC, rule.from->address);
  }
  if (rule.to) {
    extra->dst_len = rule.to->length;
    message.put_address(FRA_DST, rule.to->address);
  }
  if (!rule.oif.empty()) message.put_string(FRA_OIFNAME, rule.oif);
  if (rule.mark != 0) message.put_u32(FRA_FWMARK, rule.mark);
  if (rule.suppress_prefix) message.put_u32(FRA_SUPPRESS_PREFIXLEN, *rule.suppress_prefix);
}

Error refused(const std::string& command, const RtnlAnswer& answer) {
  const std::string what = "the kernel refused \"" + command + "\"";
  if (answer.error == EPERM || answer.error == EACCES) return os_error(ExitCode::permission, what, answer.error);
  return {ExitCode::system_integration, what + ": " + answer.text()};
}

// Whether the very same route is there: the kernel says "exists" also of one by another gateway.
bool is_there(Rtnl& rtnl, const Route& wanted) {
  bool found = false;
  RtnlMessage request(RTM_GETROUTE, NLM_F_DUMP);
  request.extra<rtmsg>()->rtm_family = os_family(wanted.family);
  request.put_u32(RTA_TABLE, wanted.table);
  const uint8_t length = wanted.destination.address.is_set() ? wanted.destination.length : uint8_t{0};
  rtnl.request(request.header(), [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof(rtmsg)) return;
    const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    const auto attributes = RtnlAttributes<RTA_MAX + 1>::parse<rtmsg>(message);
    const bool same_place = attributes.u32(RTA_TABLE, route->rtm_table) == wanted.table &&
                            route->rtm_dst_len == length &&
                            (length == 0 || attributes.address(RTA_DST) == wanted.destination.masked());
    const bool same_way =
        route->rtm_type == route_type(wanted.type) && attributes.address(RTA_GATEWAY) == wanted.gateway &&
        (wanted.interface.empty() || attributes.u32(RTA_OIF) == ::if_nametoindex(wanted.interface.c_str()));
    found = found || (same_place && same_way);
  });
  return found;
}

Result<Outcome> add(Rtnl& rtnl, RtnlMessage& message, const std::string& command) {
  const RtnlAnswer answer = rtnl.request(message.header());
  if (answer.error == 0) return Outcome::done;
  if (answer.error == EEXIST) return Outcome::already_there;
  return refused(command, answer);
}

Result<Outcome> remove(RtnlMessage& message, const std::string& command) {
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  const RtnlAnswer answer = rtnl->request(message.header());
  switch (answer.error) {
    case 0:
      return Outcome::done;
    case ESRCH:
    case ENOENT:
    case ENODEV:
    case ENETDOWN:
    case EAFNOSUPPORT:  // a kernel that lost its IPv6 lost the routes, too
      return Outcome::already_gone;
    default:
      return refused(command, answer);
  }
}

}  // namespace

std::string Route::to_command(const char* verb) const {
  std::string text = std::string(family_flag(family)) + " route " + verb + " ";
  if (type == Type::unreachable) text += "unreachable ";
  if (type == Type::throw_) text += "throw ";
  text += destination.address.is_set() && destination.length > 0 ? destination.to_string() : "default";
  if (gateway.is_set()) text += " via " + gateway.to_string();
  if (!interface.empty()) text += " dev " + interface;
  if (gateway.is_set()) text += " onlink";
  if (source.is_set()) text += " src " + source.to_string();
  if (table != kMainTable) text += " table " + std::to_string(table);
  if (metric != 0) text += " metric " + std::to_string(metric);
  return text;
}

std::string Rule::to_command(const char* verb) const {
  std::string text = std::string(family_flag(family)) + " rule " + verb + " pref " + std::to_string(preference);
  const auto prefix = [](const IpPrefix& p) {
    return p.length == (p.address.is_v4() ? 32 : 128) ? p.address.to_string() : p.to_string();
  };
  text += from ? " from " + prefix(*from) : "";
  text += to ? " to " + prefix(*to) : "";
  text += mark == 0 ? "" : " fwmark " + std::to_string(mark);
  text += oif.empty() ? "" : " oif " + oif;
  text += " lookup " + (table == kMainTable ? "main" : std::to_string(table));
  text += suppress_prefix ? " suppress_prefixlength " + std::to_string(*suppress_prefix) : "";
  return text;
}

Result<Outcome> add_route(const Route& route) {
  RtnlMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  if (const int error = fill_route(message, route, true); error != 0) {
    return Error{ExitCode::system_integration, "cannot route by " + route.interface + ": " + os_text(error)};
  }
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  Result<Outcome> outcome = add(*rtnl, message, route.to_command("add"));
  if (outcome && *outcome == Outcome::already_there && !is_there(*rtnl, route)) {
    return Error{ExitCode::system_integration,
                 "cannot add the route \"" + route.to_command("add") +
                     "\": another program has one to the same place. See: ip route show table " +
                     std::to_string(route.table)};
  }
  return outcome;
}

Result<Outcome> delete_route(const Route& route) {
  RtnlMessage message(RTM_DELROUTE, 0);
  if (fill_route(message, route, false) != 0) return Outcome::already_gone;  // the device took its routes along
  return remove(message, route.to_command("del"));
}

Result<Outcome> add_rule(const Rule& rule) {
  RtnlMessage message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  fill_rule(message, rule);
  Result<Rtnl> rtnl = Rtnl::open();
  if (!rtnl) return rtnl.error();
  return add(*rtnl, message, rule.to_command("add"));
}

Result<Outcome> delete_rule(const Rule& rule) {
  RtnlMessage message(RTM_DELRULE, 0);
  fill_rule(message, rule);
  return remove(message, rule.to_command("del"));
}

}  // namespace hawser
