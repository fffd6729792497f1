// Kernel settings below /proc/sys of our own network namespace. Changes that must be undone go through UndoLog.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "platform/undo.h"

namespace hawser {

// `key` with dots or slashes: "net.ipv4.ip_forward". Surrounding white space is not part of the value.
Result<std::string> get_sysctl(const std::string& key);
Status set_sysctl(const std::string& key, const std::string& value);

// Turns IPv4 and, where the kernel has it, IPv6 forwarding on in this network namespace, through the log. Returns what
// was changed ("net.ipv4.ip_forward: 0 -> 1"), for the log. Interfaces that learn their address by router advertisement
// get accept_ra=2, else forwarding would make them forget it.
Result<std::vector<std::string>> enable_forwarding(UndoLog& log);

// A translator that lost sight of a connection's acknowledgements (a restart, a move) calls the next ones invalid and
// passes them on untranslated: the connection hangs. Lenient tracking, which checks resets only, lets it go on.
inline constexpr const char* kLenientTracking = "net/netfilter/nf_conntrack_tcp_be_liberal";

}  // namespace hawser
