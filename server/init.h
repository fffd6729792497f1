// `vpn-server init`: from an empty machine to one that `vpn-server run` can serve. Idempotent and safe in cloud-init:
// what is there already is kept, and what it needs to know it finds out before it writes anything.
#pragma once

#include "common/result.h"
#include "server/options.h"

namespace hawser::server {

// Writes CONFIG_DIR/server.toml, the key, STATE_DIR's registry; with the default CONFIG_DIR under systemd also sysctl.d
// and the unit. Errors: configuration (no address that clients could reach, a bad key), conflict (an option contradicts
// the server.toml that is there), permission, system_integration (systemctl).
Status run_init(const CommonOptions& common, const InitCommand& command);

}  // namespace hawser::server
