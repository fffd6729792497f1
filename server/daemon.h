// `vpn-server run`: one process, one thread and loop per worker. Puts the parts together, keeps them going, takes them apart.
#pragma once

#include "common/result.h"
#include "server/options.h"

namespace hawser::server {

// Runs until SIGTERM or SIGINT; undoes everything it changed. Errors are of the start: afterwards nothing from outside
// ends a server.
Status run_server(const CommonOptions& common);

}  // namespace hawser::server
