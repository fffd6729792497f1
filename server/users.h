// `vpn-server invite` and `vpn-server user ...`: changes to the registry, which a running server is told by its socket.
// They work as well when no server runs.
#pragma once

#include "common/result.h"
#include "server/options.h"

namespace hawser::server {

// Prints exactly one line on stdout: the invite. For a name that exists it is a replacement for that user's device.
Status run_invite(const CommonOptions& common, const InviteCommand& command);
Status run_user(const CommonOptions& common, const UserCommand& command);

// Questions to the running server. Error not_running when there is none.
Status run_status(const CommonOptions& common, const StatusCommand& command);
Status run_reload(const CommonOptions& common);

}  // namespace hawser::server
