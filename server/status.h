// What a running server tells about itself: the engine's numbers as hawser.server-status/1.
#pragma once

#include "common/config/server_settings.h"
#include "common/control/status_json.h"
#include "server/worker.h"

namespace hawser::server {

struct StatusSources {
  const ServerSettings& settings;
  const PublicKey& public_key;
  const std::string& interface;                   // the TUN's name
  const std::vector<IpAddress>& tunnel_addresses;  // the server's own inner addresses
  std::vector<SocketAddress> listening;
  const std::vector<WorkerSnapshot>& workers;
  std::optional<std::string> udp_steering, tun_steering;
  // The same moment on both clocks, fixed once: a later pair would round differently and moments would jump by a second.
  Time started;
  UnixTime started_wall;
};

ServerStatusReport make_status(const StatusSources& sources);

}  // namespace hawser::server
