// vpn-up: starts the daemon and waits for its verdict, or talks to the one that runs.
#pragma once

#include "client/options.h"

namespace hawser::client {

Status run_up(const UpOptions& options);

}  // namespace hawser::client
