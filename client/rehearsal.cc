// --dry-run: the daemon's own Links and Tunnel rules, on an undo log that only collects.
#include "client/rehearsal.h"

#include "client/links.h"
#include "client/tunnel.h"
#include "platform/resolve.h"

namespace hawser::client {
namespace {

// Names are asked for, as the daemon would; a name that nobody knows is told and left out.
std::vector<SocketAddress> addresses_of(const std::vector<HostPort>& endpoints) {
  std::vector<SocketAddress> all;
  for (const HostPort& e : endpoints) {
    if (const auto literal = e.literal()) {
      all.push_back(*literal);
      continue;
    }
    const auto found = resolve(e.host);
    if (!found) {
      print_err("vpn-up: " + found.error().message + "\n");
      continue;
    }
    for (const IpAddress& a : *found) all.push_back({a, e.port, 0});
  }
  return all;
}

std::string tunnel_name(const Profile& profile) {
  if (profile.interface != "auto") return profile.interface;
  for (int i = 0;; ++i) {
    const std::string name = "hawser" + std::to_string(i);
    if (interface_index(name) == 0) return name;
  }
}

// The server's answer decides these; before it has answered, both families are assumed.
wire::AcceptPayload assumed_accept() {
  wire::AcceptPayload a;
  a.inner_v4 = IpAddress::v4(0, 0, 0, 0);
  a.inner_v6 = *IpAddress::parse("::");
  return a;
}

}  // namespace

Status rehearse(const UpOptions& options, const Instance& instance, const Profile& profile) {
  const auto interfaces = list_interfaces();
  if (!interfaces) return interfaces.error();
  const std::string tunnel = tunnel_name(profile);
  Log log = Log::to_stderr(options.common.verbosity > 0 ? LogLevel::debug : LogLevel::warning);
  const auto undo = UndoLog::dry_run();
  Routing routing(*undo, instance.name);
  Links links({.routing = &routing,
               .log = &log,
               .policy = {.profile = profile, .only = options.only, .without = options.without, .own_tunnel = tunnel},
               .guard_all = profile.route.kind == RouteChoice::Kind::all});
  links.set_endpoints(addresses_of(profile.endpoints));
  links.set_interfaces(*interfaces);
  if (auto ok = routing.add_tunnel(tunnel_routing(profile, assumed_accept(), tunnel)); !ok) return ok;

  std::string text = "ip tuntap add dev " + tunnel +
                     " mode tun\n"
                     "ip address add ADDRESS dev " +
                     tunnel +
                     "    # as the server gives them, with its MTU\n"
                     "ip link set dev " +
                     tunnel + " up\n";
  for (const std::string& command : undo->commands()) text += command + "\n";
  text += "# DNS is not touched (dns = \"off\")\n";
  for (const Unusable& u : links.unusable()) text += "# " + u.interface + " is not used: " + u.text + "\n";
  print_out(text);
  return Done{};
}

}  // namespace hawser::client
