// vpn-down: ends running daemons, which undo what they changed, and cleans up after killed ones.
#pragma once

#include "client/options.h"

namespace hawser::client {

Status run_down(const DownOptions& options);

}  // namespace hawser::client
