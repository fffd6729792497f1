// vpn-status: what a profile is doing, for people and as JSON.
#pragma once

#include "client/options.h"

namespace hawser::client {

Status run_status(const StatusOptions& options);

}  // namespace hawser::client
