// vpn-up --dry-run: the changes that would be made, as commands; none is made.
#pragma once

#include "client/instance.h"

namespace hawser::client {

Status rehearse(const UpOptions& options, const Instance& instance, const Profile& profile);

}  // namespace hawser::client
