// The daemon's state as a status report, and as the lines that explain a failure.
#pragma once

#include <map>
#include <string>

#include "client/links.h"
#include "client/tunnel.h"
#include "common/control/status_json.h"
#include "common/session/events.h"

namespace hawser::client {

// What the report is made of. Pointers may be null where there is nothing yet.
struct ReportInput {
  std::string profile_name;
  std::string state;  // connecting, connected, reconnecting
  UnixTime since;
  const Profile* profile = nullptr;
  const Tunnel* tunnel = nullptr;
  const Links* links = nullptr;
  const SessionInfo* session = nullptr;
  const EndpointInfo* endpoint = nullptr;
  OffloadState offload;
  uint64_t restored = 0;  // rules and routes of ours that others removed and we put back
};

StatusReport make_report(const ReportInput& input);
// One path as status shows it; the priority in force is handed in.
PathReport make_path_report(const PathInfo& path, wire::PathPriority in_force);

// "no answer from 203.0.113.7:443 by any interface (waited 20 s)" and a line per interface, with what to check.
std::string no_answer_text(const Links& links, const std::string& endpoints, const std::string& profile_name,
                           Duration waited);

// Why the server does not want us, and what to do.
std::string refusal_text(wire::RefusalReason reason);
std::string refusal_text(wire::CloseReason reason);

}  // namespace hawser::client
