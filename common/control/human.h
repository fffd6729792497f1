// Status for people: the tables and lines that vpn-up, vpn-status and vpn-server print (CLI.md, "What a user sees").
#pragma once

#include <string>

#include "common/config/unix_time.h"
#include "common/control/status_json.h"
#include "common/types.h"

namespace hawser {

struct HumanStyle {
  bool colour = false;  // ANSI colours: --color and NO_COLOR are the program's to judge
};

// vpn-status: a heading, a table of paths, health with fixes. Ends with a line feed.
std::string status_table(const StatusReport& report, UnixTime now, HumanStyle style);
// vpn-up: "home: connected in 0.31 s to ..." and a line per path.
std::string connected_summary(const StatusReport& report, Duration took, HumanStyle style);
// vpn-server status: a heading and one line per user and path.
std::string server_status_table(const ServerStatusReport& report, UnixTime now, HumanStyle style);

}  // namespace hawser
