// The server's configuration, server.toml: read with errors that name file, line and column, and written by `vpn-server
// init`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/host_port.h"
#include "common/net.h"
#include "common/offload.h"
#include "common/result.h"

namespace hawser {

struct ServerSettings {
  std::vector<SocketAddress> listen = default_listen();  // at least one
  std::vector<HostPort> endpoints;                       // what invites contain and sessions announce; may be empty
  std::string private_key_file = "keys/server.key";      // as written; resolve_against(file, ...)
  std::optional<uint32_t> workers;                       // threads that serve users; unset: "auto", one per processor
  std::string interface = "hawser-srv";
  std::optional<IpPrefix> ipv4;  // at least one of ipv4 and ipv6 is set
  std::optional<IpPrefix> ipv6;
  bool nat = true;
  bool client_to_client = false;
  std::vector<IpAddress> dns;                 // announced to clients; empty = nothing is announced
  std::string registry_file = "registry.db";  // without "sqlite:"; relative to STATE_DIR
  uint32_t max_sessions = 10000;
  OffloadChoice offload;

  static std::vector<SocketAddress> default_listen();  // 0.0.0.0:443 and [::]:443
  bool operator==(const ServerSettings&) const = default;
};

// Errors: ExitCode::configuration, "FILE:LINE:COLUMN: ...".
Result<ServerSettings> parse_server_settings(std::string_view text, std::string_view file_name);
// The configuration as commented TOML; parse_server_settings(render(s)) gives s again.
std::string render(const ServerSettings& settings);

}  // namespace hawser
