// TCP measurements with a congestion control chosen by name: goodput, ramp-up, and stalls as the receiver sees them.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace hawser::netlab {

struct TcpOptions {
  std::string address;
  uint16_t port = 0;
  std::string device;
  std::string congestion = "cubic";  // checked: a kernel that gives another one is an error
  bool upload = false;               // the connecting side sends
  double seconds = 10;               // sending time, counted from the connection
  double skip_seconds = 0;           // excluded from "goodput_bps" at the start
  unsigned streams = 1;
  std::string trace;  // file with bytes received per 100 ms: time (s), bit/s
};

// Serves connections until killed: sends or receives as the client asks, with the client's congestion control.
Status tcp_serve(const TcpOptions& options);
// Runs one measurement; prints goodput_bps (payload, without the skipped start), the longest stall in ms (no payload
// arrived) and when it began, completeness. The receiver measures; in an upload that is the server, which reports back.
Status tcp_run(const TcpOptions& options);

}  // namespace hawser::netlab
