// The TUN's addresses, MTU and routes.
#include "client/tunnel.h"

#include <algorithm>

namespace hawser::client {
namespace {

IpPrefix host(const IpAddress& a) {
  return {a, static_cast<uint8_t>(a.is_v4() ? 32 : 128)};
}

}  // namespace

std::vector<IpPrefix> tunnel_routes(const Profile& profile, const wire::AcceptPayload& accept) {
  std::vector<IpPrefix> routes;
  if (profile.route.kind == RouteChoice::Kind::none) return routes;
  const auto has = [&](const IpAddress& a) { return a.is_v4() ? accept.inner_v4.is_set() : accept.inner_v6.is_set(); };
  if (profile.route.kind == RouteChoice::Kind::all) {
    if (accept.inner_v4.is_set()) routes.push_back(*IpPrefix::parse("0.0.0.0/0"));
    if (accept.inner_v6.is_set()) routes.push_back(*IpPrefix::parse("::/0"));
    return routes;
  }
  for (const IpPrefix& p : profile.route.list) {
    if (has(p.address)) routes.push_back(p);
  }
  // The server itself is always reachable: it is how people see whether the tunnel works.
  for (const IpAddress& server : {accept.server_v4, accept.server_v6}) {
    const bool covered =
        std::any_of(routes.begin(), routes.end(), [&](const IpPrefix& p) { return p.contains(server); });
    if (server.is_set() && has(server) && !covered) routes.push_back(host(server));
  }
  return routes;
}

TunnelRouting tunnel_routing(const Profile& profile, const wire::AcceptPayload& accept, const std::string& interface) {
  TunnelRouting r;
  r.interface = interface;
  r.routes = tunnel_routes(profile, accept);
  r.bypass = profile.bypass;
  r.lan_access = profile.lan_access;
  // All traffic means all: what the tunnel cannot carry is refused, or it would leave in the clear.
  const bool all = profile.route.kind == RouteChoice::Kind::all;
  r.refuse_ipv4 = all && !accept.inner_v4.is_set();
  r.refuse_ipv6 = all && !accept.inner_v6.is_set();
  return r;
}

Status Tunnel::set_mtu(uint16_t mtu) {
  if (mtu == mtu_) return Done{};
  if (auto ok = tun_.set_mtu(mtu); !ok) return ok;
  mtu_ = mtu;
  return Done{};
}

Status Tunnel::configure(const wire::AcceptPayload& given, uint16_t mtu) {
  wire::AcceptPayload accept = given;
  if (ipv6_off_) accept.inner_v6 = {};
  const bool same_addresses = accept.inner_v4 == accept_.inner_v4 && accept.inner_v6 == accept_.inner_v6;
  accept_ = accept;
  if (auto ok = set_mtu(mtu); !ok) return ok;
  if (same_addresses && !addresses_.empty()) return Done{};
  addresses_.clear();
  for (const IpAddress& a : {accept.inner_v4, accept.inner_v6}) {
    if (a.is_set()) addresses_.push_back(host(a));
  }
  // Up before addresses: the kernel keeps IPv6 addresses and routes only on a device that is up.
  if (auto ok = tun_.set_up(true); !ok) return ok;
  if (auto ok = tun_.set_addresses(addresses_); !ok) {
    // IPv6 may be switched off on this machine; then there is nothing to carry, and nothing to leak.
    if (!accept.inner_v4.is_set() || !accept.inner_v6.is_set()) return ok;
    log_.warning("IPv6 in the tunnel is left out: " + ok.error().message);
    addresses_ = {host(accept.inner_v4)};
    accept_.inner_v6 = {};
    ipv6_off_ = true;
    if (auto v4 = tun_.set_addresses(addresses_); !v4) return v4;
  }
  if (!has_routes_) return Done{};
  has_routes_ = false;
  return install_routes();
}

Status Tunnel::install_routes() {
  if (has_routes_) return Done{};
  const TunnelRouting wanted = tunnel_routing(profile_, accept_, tun_.name());
  if (!wanted.routes.empty() || wanted.refuse_ipv4 || wanted.refuse_ipv6) {
    if (auto ok = routing_.add_tunnel(wanted); !ok) return ok;
  }
  routes_ = wanted.routes;
  has_routes_ = true;
  return Done{};
}

std::vector<std::string> Tunnel::addresses() const {
  std::vector<std::string> text;
  for (const IpPrefix& a : addresses_) text.push_back(a.to_string());
  return text;
}

std::vector<std::string> Tunnel::routes() const {
  std::vector<std::string> text;
  if (!has_routes_) return text;
  for (const IpPrefix& r : routes_) text.push_back(r.to_string());
  return text;
}

}  // namespace hawser::client
