// The tunnel's system side: MTU and addresses of the TUN when the server has given them, routes once a packet has made
// the round trip, and all of it undone.
#pragma once

#include <string>
#include <vector>

#include "common/config/profile.h"
#include "common/wire/handshake_payload.h"
#include "platform/log.h"
#include "platform/routing.h"
#include "platform/tun.h"

namespace hawser::client {

// What the profile's choice of routes comes to.
std::vector<IpPrefix> tunnel_routes(const Profile& profile, const wire::AcceptPayload& accept);
TunnelRouting tunnel_routing(const Profile& profile, const wire::AcceptPayload& accept, const std::string& interface);

class Tunnel {
 public:
  // Everything must outlive this.
  Tunnel(TunDevice& tun, Routing& routing, const Profile& profile, Log& log)
      : tun_(tun), routing_(routing), profile_(profile), log_(log) {}

  // After each handshake: sets MTU and addresses and takes the device up; when the server has given other addresses
  // than before and routes are installed, those are made anew.
  Status configure(const wire::AcceptPayload& given, uint16_t mtu);
  // Programs see the new MTU at once: the kernel's TCP cuts its next segments by it.
  Status set_mtu(uint16_t mtu);
  // After the first round trip. Repeated calls do nothing.
  Status install_routes();
  bool has_routes() const { return has_routes_; }

  const std::string& interface() const { return tun_.name(); }
  std::vector<std::string> addresses() const;
  std::vector<std::string> routes() const;  // installed ones
  uint16_t mtu() const { return mtu_; }
  const wire::AcceptPayload& accept() const { return accept_; }

 private:
  TunDevice& tun_;
  Routing& routing_;
  const Profile& profile_;
  Log& log_;
  wire::AcceptPayload accept_;
  std::vector<IpPrefix> addresses_;
  std::vector<IpPrefix> routes_;
  uint16_t mtu_ = 0;
  bool has_routes_ = false;
  bool ipv6_off_ = false;  // this machine refused an IPv6 address
};

}  // namespace hawser::client
