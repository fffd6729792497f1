// vpn-down: asks the daemon by its socket and waits until its lock is free, which is after everything was undone.
#include "client/down_command.h"

#include <ctime>

#include "client/cleanup.h"
#include "client/instance.h"
#include "common/config/names.h"
#include "common/control/messages.h"
#include "platform/clock.h"
#include "platform/process.h"

namespace hawser::client {
namespace {

// True once nobody holds the instance's lock.
bool wait_until_gone(const Instance& instance, Duration timeout) {
  const Time deadline = now() + timeout;
  while (InstanceLock::held(instance.lock_dir())) {
    if (now() >= deadline) return false;
    const timespec pause{0, 20'000'000};
    nanosleep(&pause, nullptr);
  }
  return true;
}

Status take_down(const DownOptions& options, const Instance& instance) {
  if (!InstanceLock::held(instance.lock_dir())) {
    // A killed daemon could not undo: that is done here.
    if (auto ok = clean_up(instance, options.common.quiet); !ok) return ok;
    if (!options.common.quiet) print_err(instance.name + ": not running\n");
    return Done{};
  }
  const auto before = query_status(instance);
  const Status asked = send_request(instance, render_request(DownRequest{}), options.timeout);
  // The daemon may be gone before its answer was read; what counts is the lock.
  if (!asked && asked.error().code == ExitCode::permission) {
    return Error{ExitCode::permission, "taking " + instance.name + " down: " + asked.error().message +
                                           "\n  run:  sudo vpn-down " + instance.name};
  }
  if (!wait_until_gone(instance, options.timeout)) {
    return Error{ExitCode::unexpected, instance.name + " did not end within " + format_duration(options.timeout) +
                                           " (" + (asked ? "it was asked to" : asked.error().message) +
                                           "). Its log: " + instance.log_file() +
                                           "\n  if it hangs, kill it and then: vpn-up " + instance.name + " --cleanup"};
  }
  if (options.common.quiet) return Done{};
  const bool connected = before && before->state == "connected" && before->since;
  const std::string after =
      connected ? " after " + format_duration(Duration::seconds(wall_seconds() - before->since->seconds)) : "";
  print_out(instance.name + ": disconnected" + after + "; routes and rules restored\n");
  return Done{};
}

// Everything that runs, and everything that a killed daemon left behind.
std::vector<std::string> all_names(const CommonOptions& common) {
  std::vector<std::string> names = running_names(common);
  for (const std::string& crashed : crashed_names(common)) names.push_back(crashed);
  return names;
}

}  // namespace

Status run_down(const DownOptions& options) {
  std::vector<std::string> names;
  if (!options.profile.empty()) {
    names.push_back(options.profile);
  } else {
    names = all_names(options.common);
    if (names.size() > 1 && !options.all) {
      std::string list;
      for (const std::string& n : names) list += " " + n;
      return Error{ExitCode::usage, "which profile? There are" + list + "; or: vpn-down --all"};
    }
    if (names.empty() && !options.common.quiet) print_err("vpn-down: nothing is running\n");
  }
  Status result = Done{};
  for (const std::string& name : names) {
    auto instance = instance_of(options.common, name);
    if (!instance) return instance.error();
    const Status one = take_down(options, *instance);
    if (!one && result) {
      result = one;
    } else if (!one) {
      print_err("vpn-down: " + one.error().message + "\n");
    }
  }
  return result;
}

}  // namespace hawser::client
