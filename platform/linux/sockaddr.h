// SocketAddress to and from the kernel's form (inside platform/linux only).
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/net.h"

namespace hawser {

// Fills `out` and returns its length; 0 for an unset address.
socklen_t to_sockaddr(const SocketAddress& address, sockaddr_storage& out);
// The scope is set for link-local IPv6 only. Unset for another family.
SocketAddress from_sockaddr(const sockaddr_storage& address);

}  // namespace hawser
