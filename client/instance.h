// Where things of one profile are: its file, its folders, its control socket; and which profiles exist or run.
#pragma once

#include <string>
#include <vector>

#include "client/options.h"
#include "common/config/profile.h"
#include "common/control/status_json.h"
#include "common/result.h"

namespace hawser::client {

struct Instance {
  std::string name;
  std::string file;       // the profile
  std::string run_dir;    // RUN_DIR/NAME: lock, control socket, options
  std::string state_dir;  // STATE_DIR/NAME: undo log, log, known endpoints

  std::string lock_dir() const { return run_dir; }
  std::string control_socket() const { return run_dir + "/control.sock"; }
  std::string options_file() const { return run_dir + "/options"; }
  std::string undo_log() const { return state_dir + "/undo.json"; }
  std::string log_file() const { return state_dir + "/log"; }
  std::string endpoints_file() const { return state_dir + "/endpoints"; }
};

// `argument` is a NAME or a FILE.
Result<Instance> instance_of(const CommonOptions& common, const std::string& argument);
// The same; an empty argument means the only profile there is. Error usage when there are several, configuration when
// there is none.
Result<Instance> chosen_instance(const CommonOptions& common, const std::string& argument);

// Names of the profiles in CONFIG_DIR, sorted.
std::vector<std::string> profile_names(const CommonOptions& common);
// Names of running instances: those that hold their lock. Sorted; the server is none of them.
std::vector<std::string> running_names(const CommonOptions& common);
// Names of instances that left an undo log behind and do not run. Sorted.
std::vector<std::string> crashed_names(const CommonOptions& common);

// Reads and parses the profile. Errors: configuration with file, line and column; missing files name vpn-join.
Result<Profile> load_profile(const Instance& instance);

// Asks the running daemon. Errors: not_running, unexpected.
Result<StatusReport> query_status(const Instance& instance);
// Sends any other request; the daemon's refusal comes back as its error.
Status send_request(const Instance& instance, const std::string& request_line, Duration timeout);

}  // namespace hawser::client
