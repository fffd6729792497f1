// The SSH guard.
#include "client/ssh_guard.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "platform/netlink.h"
#include "platform/process.h"

namespace hawser::client {
namespace {

// Whether replies from `local` to `peer` keep leaving by the interface that has `local`.
bool has_way_back(const SshConnection& ssh) {
  if (ssh.local.is_loopback()) return true;
  const auto interfaces = list_interfaces();
  if (!interfaces) return true;  // the daemon will say what is wrong
  for (const Interface& i : *interfaces) {
    for (const InterfaceAddress& a : i.addresses) {
      if (a.address != ssh.local) continue;
      const auto route = route_to(ssh.peer, i.index);
      return route && route->kind != RouteToPeer::Kind::none;
    }
  }
  return false;
}

bool confirmed(const std::string& question) {
  if (!is_terminal(0)) return false;
  print_err(question + " [y/N] ");
  const int answer = std::getchar();
  return answer == 'y' || answer == 'Y';
}

}  // namespace

std::optional<SshConnection> parse_ssh_connection(const std::string& text) {
  std::istringstream words(text);
  std::string peer, peer_port, local, local_port;
  if (!(words >> peer >> peer_port >> local >> local_port)) return std::nullopt;
  const auto p = IpAddress::parse(peer), l = IpAddress::parse(local);
  if (!p || !l) return std::nullopt;
  return SshConnection{*p, *l};
}

Status guard_ssh(const UpOptions& options, const Profile& profile) {
  if (options.yes || profile.route.kind != RouteChoice::Kind::all) return Done{};
  const char* text = std::getenv("SSH_CONNECTION");
  const auto ssh = parse_ssh_connection(text == nullptr ? "" : text);
  if (!ssh || has_way_back(*ssh)) return Done{};
  const std::string warning = "all traffic into the tunnel may cut your SSH connection from " + ssh->peer.to_string() +
                              ": " + ssh->local.to_string() + " is on no interface with a way back to it";
  if (confirmed("vpn-up: " + warning + ". Continue?")) return Done{};
  return Error{ExitCode::conflict, warning + "\n  to go on all the same: vpn-up --yes"};
}

}  // namespace hawser::client
