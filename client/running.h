// vpn-up on a profile that runs already: compare, wait, change one key.
#pragma once

#include "client/instance.h"
#include "client/run_options.h"

namespace hawser::client {

// Prints the status once the running daemon is connected; waits for that as vpn-up does. Errors: conflict when it runs
// with other options, no_answer when it is not connected in time.
Status join_running(const UpOptions& options, const Instance& instance, const RunOptions& wanted);

// `--set KEY=VALUE...`: checks all, changes the running daemon, then the file if `--save`. Errors: not_running,
// configuration, permission.
Status set_running(const UpOptions& options, const Instance& instance);

}  // namespace hawser::client
