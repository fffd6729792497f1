// vpn-join: from an invite to a profile that vpn-up can start.
#pragma once

#include "client/options.h"

namespace hawser::client {

Status run_join(const JoinOptions& options);

}  // namespace hawser::client
