// What a daemon was started with, written beside its lock, so that a second vpn-up can tell whether it asks for the
// same thing, and which profile has the full tunnel.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/instance.h"

namespace hawser::client {

struct RunOptions {
  std::string file;                        // the profile, absolute
  std::vector<std::string> only, without;  // sorted
  bool all_traffic = false;                // route = "all"
  bool operator==(const RunOptions&) const = default;
};

std::string render(const RunOptions& options);
// Unknown lines are passed over.
RunOptions parse_run_options(std::string_view text);
// "home runs with --only wlan0, and you ask for all interfaces", or nothing when both are the same.
std::optional<std::string> difference(const RunOptions& running, const RunOptions& wanted);
// The running instance, other than `name`, that has all traffic; empty when there is none.
std::string full_tunnel_holder(const CommonOptions& common, const std::string& name);

}  // namespace hawser::client
