// vpn-status: asks the running daemons and prints; works for everyone, changes nothing.
#include "client/status_command.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "client/instance.h"
#include "platform/clock.h"
#include "platform/process.h"

namespace hawser::client {
namespace {

// What one look at a profile gives: its daemon's report, or "down" when none runs.
Result<StatusReport> look(const Instance& instance) {
  auto report = query_status(instance);
  if (report) return report;
  if (report.error().code != ExitCode::not_running) return report;
  StatusReport down;
  down.profile = instance.name;
  // Started this moment: it holds the lock and has no socket yet.
  if (InstanceLock::held(instance.lock_dir())) down.state = "connecting";
  // The key is worth showing also of a profile that is down; a broken file is vpn-up's to complain about.
  if (auto profile = load_profile(instance)) down.server.public_key = profile->server_public_key.to_base64();
  return down;
}

// The profiles to report: the one named, else all that exist or run.
Result<std::vector<Instance>> chosen(const StatusOptions& options) {
  std::vector<Instance> instances;
  std::vector<std::string> names;
  if (!options.profile.empty()) {
    names.push_back(options.profile);
  } else {
    names = profile_names(options.common);
    for (const std::string& running : running_names(options.common)) {
      if (std::find(names.begin(), names.end(), running) == names.end()) names.push_back(running);
    }
  }
  if (names.empty()) return chosen_instance(options.common, "").error();
  for (const std::string& name : names) {
    auto instance = instance_of(options.common, name);
    if (!instance) return instance.error();
    instances.push_back(*instance);
  }
  // A name that is neither a profile nor running is a typing error, not a profile that is down.
  if (!options.profile.empty()) {
    auto report = query_status(instances.front());
    auto profile = load_profile(instances.front());
    if (!report && !profile && profile.error().message.find("there is no profile") == 0) return profile.error();
  }
  return instances;
}

Result<std::string> render(const StatusOptions& options, const std::vector<Instance>& instances) {
  std::string text;
  for (const Instance& instance : instances) {
    auto report = look(instance);
    if (!report) return report.error();
    text += options.json ? render_json(*report) + "\n"
                         : status_table(*report, UnixTime{wall_seconds()}, options.common.style());
  }
  return text;
}

// 0 connected, 3 down, 6 otherwise; of several profiles the worst counts.
ExitCode check(const std::vector<Instance>& instances) {
  ExitCode worst = ExitCode::ok;
  for (const Instance& instance : instances) {
    auto report = look(instance);
    const bool down = report && report->state == "down";
    const bool connected = report && report->state == "connected";
    if (!connected && worst != ExitCode::not_running) worst = down ? ExitCode::not_running : ExitCode::no_answer;
  }
  return worst;
}

void sleep_for(Duration d) {
  timespec left{d.ns / 1'000'000'000, d.ns % 1'000'000'000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

// Redraws on a terminal, appends on a pipe; ends by Ctrl-C or when the reader of the pipe goes.
Status watch(const StatusOptions& options, const std::vector<Instance>& instances) {
  const bool redraw = is_terminal(1) && !options.json;
  while (true) {
    auto text = render(options, instances);
    if (!text) return text.error();
    print_out(redraw ? "\x1b[H\x1b[2J" + *text : *text);
    sleep_for(*options.watch);
  }
}

}  // namespace

Status run_status(const StatusOptions& options) {
  auto instances = chosen(options);
  if (!instances) {
    if (options.check && instances.error().code == ExitCode::configuration) return Error{ExitCode::not_running, ""};
    return instances.error();
  }
  if (options.check) {
    const ExitCode code = check(*instances);
    return code == ExitCode::ok ? Status{Done{}} : Status{Error{code, ""}};
  }
  if (options.watch) return watch(options, *instances);
  auto text = render(options, *instances);
  if (!text) return text.error();
  print_out(*text);
  return Done{};
}

}  // namespace hawser::client
