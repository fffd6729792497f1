// vpn-up: what was asked for is told apart here; the daemon itself is in daemon.cc.
#include "client/up_command.h"

#include <cstdlib>

#include "client/cleanup.h"
#include "client/daemon.h"
#include "client/keys.h"
#include "client/rehearsal.h"
#include "client/running.h"
#include "client/ssh_guard.h"
#include "common/config/names.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/log.h"

namespace hawser::client {
namespace {

// The path by which two commands can tell that they mean the same file.
std::string absolute(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string text(real);
  std::free(real);
  return text;
}

RunOptions run_options(const UpOptions& options, const Instance& instance, const Profile& profile) {
  return {.file = absolute(instance.file),
          .only = options.only,
          .without = options.without,
          .all_traffic = profile.route.kind == RouteChoice::Kind::all};
}

LogLevel log_level(const UpOptions& options, const Profile& profile) {
  LogLevel level = LogLevel::info;
  parse_log_level(profile.log_level, level);  // the profile was checked when it was read
  if (options.common.verbosity > 0) level = LogLevel::debug;
  if (options.common.quiet) level = LogLevel::warning;
  return level;
}

// Runs the daemon in this process.
Status run_daemon(DaemonSetup& setup, Log& log, Verdict& verdict) {
  auto loop = EventLoop::create();
  if (!loop) return loop.error();
  Daemon daemon(**loop, log, setup, verdict);
  return daemon.run();
}

// The waiting command prints what the child says; the child's own ending is what it returns.
Status run_in_background(DaemonSetup& setup, LogLevel level) {
  const std::string log_file = setup.instance.log_file();
  auto code = daemonize(log_file, [&](Verdict& verdict) {
    auto log = Log::to_file(log_file, level);
    const Status result = log ? run_daemon(setup, *log, verdict) : Status{log.error()};
    if (result) return ExitCode::ok;
    if (log) log->error(result.error().message);
    const std::string hint = result.error().code == ExitCode::interrupted ? "" : "\n   log:  " + log_file;
    verdict.give(result.error().code, "vpn-up: " + result.error().message + hint + "\n");
    return result.error().code;
  });
  if (!code) return code.error();
  return *code == ExitCode::ok ? Status{Done{}} : Status{Error{*code, ""}};
}

Status run_in_foreground(DaemonSetup& setup, LogLevel level) {
  Verdict nobody_waits;
  Log log = Log::to_stderr(level);
  return run_daemon(setup, log, nobody_waits);  // an error goes where the log goes: to stderr
}

Status start(const UpOptions& options, const Instance& instance, const Profile& profile) {
  auto key = load_key(resolve_against(instance.file, profile.private_key_file));
  if (!key) return key.error();
  if (auto ok = guard_ssh(options, profile); !ok) return ok;
  DaemonSetup setup{.instance = instance,
                    .profile = profile,
                    .key = std::move(*key),
                    .common = options.common,
                    .run = run_options(options, instance, profile),
                    .style = options.common.style()};
  if (!options.foreground && !options.no_wait) setup.timeout = kDefaultUpTimeout;
  if (options.timeout) setup.timeout = *options.timeout;
  setup.report_at_once = options.no_wait;
  const LogLevel level = log_level(options, profile);
  return options.foreground ? run_in_foreground(setup, level) : run_in_background(setup, level);
}

Status need_permission(const std::string& command) {
  if (has_net_admin()) return Done{};
  return Error{ExitCode::permission,
               "this needs permission to change routes and to make a network device\n  run:  sudo " + command};
}

}  // namespace

Status run_up(const UpOptions& options) {
  if (!init()) return Error{ExitCode::unexpected, "libsodium does not start"};
  auto instance = chosen_instance(options.common, options.profile);
  if (!instance) return instance.error();
  if (options.cleanup) {
    if (auto ok = need_permission("vpn-up " + instance->name + " --cleanup"); !ok) return ok;
    return clean_up(*instance, options.common.quiet);
  }
  if (!options.set.empty()) return set_running(options, *instance);
  const auto profile = load_profile(*instance);
  if (!profile) return profile.error();
  if (options.dry_run) return rehearse(options, *instance, *profile);
  if (InstanceLock::held(instance->lock_dir())) {
    if (options.foreground) {
      return Error{ExitCode::conflict, instance->name + " is running already; end it with vpn-down " + instance->name};
    }
    return join_running(options, *instance, run_options(options, *instance, *profile));
  }
  if (auto ok = need_permission("vpn-up " + instance->name); !ok) return ok;
  return start(options, *instance, *profile);
}

}  // namespace hawser::client
