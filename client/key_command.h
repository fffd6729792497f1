// vpn-key: private keys made, public keys printed; filters like `wg genkey` and `wg pubkey`.
#pragma once

#include "client/options.h"

namespace hawser::client {

Status run_key(const KeyOptions& options);

}  // namespace hawser::client
