// TUN, forwarding and firewall of the server.
#include "server/network.h"

#include "platform/nft.h"
#include "platform/process.h"
#include "platform/sysctl.h"
#include "server/installation.h"

namespace hawser::server {

Result<Network> Network::open(const CommonOptions& common, const ServerSettings& settings, const Steering& steering, uint32_t mtu,
                              Log& log) {
  if (!has_net_admin()) {
    return Error{ExitCode::permission, "running the server changes the network and needs root; try: sudo vpn-server run"};
  }
  // Opening replays what a killed server left behind, so that its table never outlives two servers.
  auto undo = UndoLog::open(common.state_dir + "/server/undo.json");
  if (!undo) return undo.error();
  auto tun = TunDevice::open(settings.interface, {settings.offload.tun_tso, settings.offload.tun_uso},
                             steering.workers > 1 && settings.offload.tun_steering);
  if (!tun) return tun.error();

  Network network(std::move(*tun), std::move(*undo));
  const auto fail = [&](const Error& error) {
    if (auto undone = network.close(); !undone) log.error(undone.error().message);
    return error;
  };
  if (auto s = network.open_queues(settings, steering); !s) return fail(s.error());
  if (auto s = network.tun_.set_mtu(mtu); !s) return fail(s.error());
  if (auto s = network.add_addresses(settings, log); !s) return fail(s.error());
  if (auto s = network.tun_.set_up(true); !s) return fail(s.error());

  // The table before forwarding: there is no moment in which users reach each other or the metadata service.
  if (auto id = network.undo_->apply(network.firewall_table(settings)); !id) return fail(id.error());
  network.track_leniently(settings, log);
  auto changed = enable_forwarding(*network.undo_);
  if (!changed) return fail(changed.error());
  for (const std::string& line : *changed) log.notice("forwarding: " + line + " (undone when the server stops)");
  for (const std::string& chain : forward_drop_chains()) {
    log.warning("the firewall chain " + chain + " drops forwarded packets by default, which our table cannot override: allow " +
                settings.interface + " there, for example: ufw route allow in on " + settings.interface);
  }
  return network;
}

// Without the program there is one queue, which the first worker reads for all.
Status Network::open_queues(const ServerSettings& settings, const Steering& steering) {
  if (steering.workers > 1 && settings.offload.tun_steering) tun_.steer(steering);
  for (uint32_t worker = 1; worker < steering.workers; ++worker) {
    auto queue = tun_.open_queue();
    if (!queue) return queue.error();
    queues_.push_back(std::move(*queue));
  }
  return Done{};
}

// Best effort: a service that may not write kernel settings has it from `vpn-server init`.
void Network::track_leniently(const ServerSettings& settings, Log& log) {
  const auto value = get_sysctl(kLenientTracking);
  if (!settings.nat || !value || *value == "1") return;
  if (undo_->apply(SysctlChange{kLenientTracking, "1"})) {
    log.notice("users' connections survive a restart: nf_conntrack_tcp_be_liberal: " + *value + " -> 1 (undone when the server stops)");
  }
}

Status Network::add_addresses(const ServerSettings& settings, Log& log) {
  // The block's length makes the kernel route the whole block into the TUN.
  const auto add = [&](const std::optional<IpPrefix>& block, IpAddress& kept) -> Status {
    if (!block) return Done{};
    const IpAddress own = server_address(block);
    if (auto s = tun_.add_address({own, block->length}); !s) return s;
    kept = own;
    return Done{};
  };
  if (auto s = add(settings.ipv4, v4_); !s) return s;
  if (auto s = add(settings.ipv6, v6_); !s) {
    // IPv6 may be switched off in the kernel; users then get IPv4 only rather than nothing.
    if (!v4_.is_set()) return s;
    log.warning("no IPv6 inside the tunnel: " + s.error().message);
  }
  return Done{};
}

NftTable Network::firewall_table(const ServerSettings& settings) const {
  ServerFirewall firewall;
  firewall.interface = tun_.name();
  if (v4_.is_set()) firewall.ipv4 = *settings.ipv4;
  if (v6_.is_set()) firewall.ipv6 = *settings.ipv6;
  for (const IpAddress& a : {v4_, v6_}) {
    if (a.is_set()) firewall.tunnel_addresses.push_back(a);
  }
  firewall.nat = settings.nat;
  firewall.client_to_client = settings.client_to_client;
  for (const SocketAddress& a : settings.listen) firewall.listen_ports.push_back(a.port);
  return server_table(firewall);
}

Status Network::set_firewall(const ServerSettings& settings) {
  // One nft transaction that begins by deleting the table of that name; the undo log knows the name already.
  return run_nft(firewall_table(settings).ruleset);
}

Status Network::close() { return undo_->undo_all(); }

}  // namespace hawser::server
