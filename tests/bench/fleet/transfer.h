// TCP through many users' tunnels at once: one connection from each inner address, all in one process, so that the
// measuring costs little beside what is measured.
#pragma once

#include <string>
#include <vector>

#include "common/net.h"
#include "common/result.h"

namespace hawser::bench {

struct TransferOptions {
  SocketAddress server;
  bool upload = false;
  double seconds = 3;           // that count
  double skip_seconds = 1;      // before them
  std::vector<IpAddress> from;  // a connection from each
};

// The other end: sends or takes as it is asked, until killed.
Status serve_transfers(const SocketAddress& listen);
// Prints one line of JSON: the payload's bit/s of all connections together, and of each as fairness by Jain's index.
Status run_transfers(const TransferOptions& options);

}  // namespace hawser::bench
