// Before all traffic goes into the tunnel: would that cut the SSH connection this command was typed on?
#pragma once

#include <string>

#include "client/options.h"
#include "common/config/profile.h"

namespace hawser::client {

// The two addresses of SSH_CONNECTION ("client port server port"); nothing when it is not of that form.
struct SshConnection {
  IpAddress peer, local;
};
std::optional<SshConnection> parse_ssh_connection(const std::string& text);

// The rules that Links makes keep replies on the interface they came by, so normally nothing is cut. Where they cannot
// (the connection's address is on no interface with a way back), asks on a terminal, else fails: conflict, unless
// --yes.
Status guard_ssh(const UpOptions& options, const Profile& profile);

}  // namespace hawser::client
