// Firewall tables of our own, each made and removed as a whole by one `nft` transaction. Never touches another's table.
#pragma once

#include <string>
#include <vector>

#include "common/net.h"
#include "common/result.h"
#include "platform/undo.h"

namespace hawser {

struct ServerFirewall {
  std::string interface;                    // the server's TUN
  IpPrefix ipv4, ipv6;                      // the users' address blocks; unset: that family is not used
  std::vector<IpAddress> tunnel_addresses;  // the server's own inner addresses
  bool nat = true;
  bool client_to_client = false;
  std::vector<uint16_t> listen_ports;  // our UDP ports: kept out of connection tracking (CVE-2021-3773, port shadow)
};

// The table for a server: named by its interface ("hawser_srv" for hawser-srv), so that several servers coexist.
NftTable server_table(const ServerFirewall& firewall);
// The table for a client: packets to the tunnel's addresses that come in by another interface are dropped.
NftTable client_table(const std::string& interface, const std::vector<IpAddress>& tunnel_addresses);

// Runs one transaction through `nft -f -`. Errors: system_integration, with nft's own words; permission; when there is
// no nft, the apt line.
Status run_nft(const std::string& ruleset);
// A missing table is fine.
Status delete_nft_table(const std::string& family, const std::string& name);
// Names of chains of others that hook into forward with policy drop: our accept cannot override them (health code
// firewall-drops-forward). Empty also when it cannot be told.
std::vector<std::string> forward_drop_chains();

}  // namespace hawser
