// What a running server tells about itself: the engine's numbers as hawser.server-status/1.
#pragma once

#include "common/config/server_settings.h"
#include "common/control/status_json.h"
#include "common/session/endpoint.h"
#include "server/pump.h"

namespace hawser::server {

struct StatusSources {
  const ServerSettings& settings;
  const PublicKey& public_key;
  const std::string& interface;                   // the TUN's name
  const std::vector<IpAddress>& tunnel_addresses;  // the server's own inner addresses
  const Endpoint& endpoint;
  const Pump& pump;
  // The same moment on both clocks, fixed once: a later pair would round differently and moments would jump by a second.
  Time started;
  UnixTime started_wall;
};

ServerStatusReport make_status(const StatusSources& sources, Time now);

}  // namespace hawser::server
