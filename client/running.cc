// Talking to the daemon that runs.
#include "client/running.h"

#include <ctime>

#include "common/config/names.h"
#include "common/control/messages.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/process.h"

namespace hawser::client {
namespace {

constexpr Duration kRequestTimeout = Duration::seconds(5);

void pause() {
  const timespec t{0, 100'000'000};
  nanosleep(&t, nullptr);
}

// What was in force, for "secondary -> never"; empty when it is unknown.
std::string value_before(const StatusReport& report, const Setting& setting) {
  if (const auto* bonding = std::get_if<BondingSetting>(&setting)) {
    return bonding->scheduler ? report.scheduler : bonding->congestion ? report.congestion : std::string();
  }
  const auto& path = std::get<PathSetting>(setting);
  for (const PathReport& p : report.paths) {
    if (path.priority && p.interface == path.interface) return p.priority;
  }
  return {};
}

Status save(const Instance& instance, const std::vector<std::pair<std::string, std::string>>& settings) {
  auto text = read_file(instance.file);
  if (!text) return text.error();
  for (const auto& [key, value] : settings) {
    text = set_key(*text, instance.file, key, value);
    if (!text) return text.error();
  }
  return write_file_atomic(instance.file, *text);
}

}  // namespace

Status join_running(const UpOptions& options, const Instance& instance, const RunOptions& wanted) {
  if (const auto text = read_file(instance.options_file())) {
    if (const auto differs = difference(parse_run_options(*text), wanted)) {
      return Error{ExitCode::conflict, instance.name + " is up already with other options: " + *differs +
                                           "\n  run:  vpn-down " + instance.name + "    then this command again"};
    }
  }
  const Duration timeout = options.timeout.value_or(kDefaultUpTimeout);
  const Time deadline = now() + timeout;
  while (true) {
    const auto report = query_status(instance);
    if (report && (report->state == "connected" || options.no_wait)) {
      if (!options.common.quiet) print_out(status_table(*report, UnixTime{wall_seconds()}, options.common.style()));
      return Done{};
    }
    if (!InstanceLock::held(instance.lock_dir())) {
      return Error{ExitCode::unexpected,
                   instance.name + " ended while we waited for it. Its log: " + instance.log_file()};
    }
    if (now() >= deadline) {
      return Error{ExitCode::no_answer, instance.name + " runs, but is not connected (" +
                                            (report ? report->state : report.error().message) + ", waited " +
                                            format_duration(timeout) + "); it goes on trying. See: vpn-status " +
                                            instance.name + "\n  its log: " + instance.log_file()};
    }
    pause();
  }
}

Status set_running(const UpOptions& options, const Instance& instance) {
  std::vector<Setting> settings;
  for (const auto& [key, value] : options.set) {
    auto setting = parse_setting(key, value);
    if (!setting) return setting.error();
    settings.push_back(*setting);
  }
  const auto before = query_status(instance);
  if (!before) {
    if (before.error().code != ExitCode::not_running) return before.error();
    return Error{ExitCode::not_running, instance.name +
                                            " is not running: --set changes a running profile. Start it with vpn-up " +
                                            instance.name + ", or edit " + instance.file};
  }
  for (size_t i = 0; i < settings.size(); ++i) {
    const auto& [key, value] = options.set[i];
    const Status done = send_request(instance, render_request(SetRequest{key, value}), kRequestTimeout);
    if (!done) {
      const bool permission = done.error().code == ExitCode::permission;
      return Error{done.error().code,
                   done.error().message + (permission ? "\n  run it with sudo, or once: adduser $USER hawser" : "")};
    }
    if (options.common.quiet) continue;
    const std::string old = value_before(*before, settings[i]);
    const std::string change = old.empty() ? value : old + " -> " + value;
    print_out(key + ": " + change + (options.save ? " (saved)\n" : " (until vpn-down; add --save to keep it)\n"));
  }
  return options.save ? save(instance, options.set) : Status{Done{}};
}

}  // namespace hawser::client
