// The client's command lines on CLI11. Every problem becomes one Error with exit code 2.
#include "client/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/config/names.h"
#include "platform/process.h"

namespace hawser::client {
namespace {

#ifndef HAWSER_VERSION
#define HAWSER_VERSION "unknown"
#endif

Error usage(std::string message) {
  return {ExitCode::usage, std::move(message)};
}

// One program's parser with the options that all of them share.
struct Parser {
  Parser(const char* program_name, const char* about) : program(program_name), app(about, program_name) {
    app.set_help_flag("-h,--help", "print this help and exit");
    app.set_version_flag("-V,--version", std::string(program_name) + " " + HAWSER_VERSION,
                         "print the version and exit");
    app.add_flag("-q,--quiet", common.quiet, "print errors only");
    app.add_flag("-v,--verbose", common.verbosity, "print more");
    app.add_option("--color", colour, "auto, always or never (NO_COLOR is honoured)")
        ->check(CLI::IsMember({"auto", "always", "never"}));
    app.add_option("--config-dir", common.config_dir, "where profiles and keys/ are")->capture_default_str();
    app.add_option("--state-dir", common.state_dir, "where logs and the undo log are")->capture_default_str();
    app.add_option("--run-dir", common.run_dir, "where locks and control sockets are")->capture_default_str();
    // An option that a subcommand does not know belongs to its parent.
    app.fallthrough();
  }

  // Documented, but not built: known to the parser so that it can be refused by name, absent from the help.
  void later(const std::string& name, bool takes_value = false) {
    CLI::Option* o = takes_value ? app.add_option(name, ignored) : app.add_flag(name, ignored_flag);
    unbuilt.push_back(o->group(""));
  }

  // Nothing: go on. Else what to return.
  template <typename T>
  std::optional<Result<Parsed<T>>> parse(int argc, char** argv) {
    try {
      app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      return Parsed<T>{PrintAndExit{app.help()}};
    } catch (const CLI::CallForVersion& e) {
      return Parsed<T>{PrintAndExit{std::string(e.what()) + "\n"}};
    } catch (const CLI::Error& e) {
      return usage(std::string(e.what()) + "; see " + program + " --help");
    }
    for (const CLI::Option* o : unbuilt) {
      if (o->count() > 0) return usage(o->get_name() + ": not in this version");
    }
    using Colour = CommonOptions::Colour;
    common.colour = colour == "always" ? Colour::always : colour == "never" ? Colour::never : Colour::automatic;
    return std::nullopt;
  }

  std::string program;
  CLI::App app;
  CommonOptions common;
  std::string colour = "auto", ignored;
  bool ignored_flag = false;
  std::vector<CLI::Option*> unbuilt;
};

Status check_profile_argument(const std::string& argument) {
  if (argument.empty()) return Done{};
  const auto name = profile_name_of(argument);
  if (!name) return usage(name.error().message);
  return Done{};
}

Result<Duration> positive_duration(const std::string& option, const std::string& text) {
  const auto d = parse_duration(text);
  if (!d || d->ns <= 0) return usage(option + " " + text + " is not a time such as 20s, 500ms or 2m");
  return *d;
}

Result<std::vector<std::string>> interface_list(const char* option, std::vector<std::string> names) {
  for (const std::string& n : names) {
    if (!is_interface_name(n)) return usage(std::string(option) + ": \"" + n + "\" is not the name of an interface");
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// What cannot be asked for together, and what one option needs of another.
Status check_up_combinations(const UpOptions& o, bool set_given) {
  const bool starts = o.foreground || o.no_wait || o.timeout || !o.only.empty() || !o.without.empty() || o.yes;
  if (o.save && !set_given) return usage("--save needs --set KEY=VALUE");
  if (set_given && (starts || o.dry_run || o.cleanup))
    return usage("--set changes a running profile: give no other option but --save with it");
  if (o.cleanup && (starts || o.dry_run)) return usage("--cleanup goes with no other option");
  if (o.foreground && o.no_wait) return usage("--foreground and --no-wait contradict each other");
  if (o.no_wait && o.timeout) return usage("--no-wait and --timeout contradict each other");
  if (o.dry_run && (o.foreground || o.no_wait || o.timeout))
    return usage("--dry-run starts nothing: leave --foreground, --no-wait and --timeout out");
  for (const std::string& n : o.only) {
    if (std::binary_search(o.without.begin(), o.without.end(), n)) return usage("--only and --without both name " + n);
  }
  return Done{};
}

}  // namespace

HumanStyle CommonOptions::style() const {
  const char* no_colour = std::getenv("NO_COLOR");
  const bool wanted = is_terminal(1) && (no_colour == nullptr || *no_colour == '\0');
  return {.colour = colour == Colour::always || (colour == Colour::automatic && wanted)};
}

Result<Parsed<UpOptions>> parse_up(int argc, char** argv) {
  Parser p("vpn-up", "Bring a profile up: exit 0 means that data made a round trip through the tunnel.");
  UpOptions o;
  std::string timeout;
  std::vector<std::string> settings;
  p.app.add_option("NAME", o.profile, "the profile's name or its file; may be left out when there is only one");
  p.app.add_flag("-f,--foreground", o.foreground, "be the daemon: log to stderr, retry for ever");
  p.app.add_option("--timeout", timeout, "give up, and undo everything, after this long (20s)");
  p.app.add_flag("--no-wait", o.no_wait, "return as soon as the daemon runs; it goes on trying");
  p.app.add_flag("--dry-run", o.dry_run, "print what would be changed in the system, and change nothing");
  p.app.add_option("--only", o.only, "use these interfaces only: IF,...")->delimiter(',');
  p.app.add_option("--without", o.without, "do not use these interfaces: IF,...")->delimiter(',');
  p.app.add_flag("--cleanup", o.cleanup, "undo what a killed vpn-up left behind");
  p.app.add_option("--set", settings, "KEY=VALUE: change a running profile, e.g. wwan0.priority=backup or scheduler=ecf");
  p.app.add_flag("--save", o.save, "with --set: also write it to the profile");
  p.app.add_flag("--yes", o.yes, "go on even if this may cut the SSH connection you are using");
  if (auto early = p.parse<UpOptions>(argc, argv)) return *early;
  o.common = p.common;
  if (auto ok = check_profile_argument(o.profile); !ok) return ok.error();
  if (!timeout.empty()) {
    auto d = positive_duration("--timeout", timeout);
    if (!d) return d.error();
    o.timeout = *d;
  }
  auto only = interface_list("--only", o.only), without = interface_list("--without", o.without);
  if (!only) return only.error();
  if (!without) return without.error();
  o.only = *only;
  o.without = *without;
  for (const std::string& s : settings) {
    const size_t equals = s.find('=');
    if (equals == std::string::npos || equals == 0)
      return usage("--set " + s + " is not KEY=VALUE, e.g. --set wwan0.priority=backup");
    o.set.emplace_back(s.substr(0, equals), s.substr(equals + 1));
  }
  if (auto ok = check_up_combinations(o, !o.set.empty()); !ok) return ok.error();
  return Parsed<UpOptions>{std::move(o)};
}

Result<Parsed<DownOptions>> parse_down(int argc, char** argv) {
  Parser p("vpn-down", "Take a profile down and undo everything it changed. Not running is fine.");
  DownOptions o;
  std::string timeout = "5s";
  p.app.add_option("NAME", o.profile, "the profile; may be left out when only one is running");
  p.app.add_flag("--all", o.all, "take all profiles down");
  p.app.add_option("--timeout", timeout, "how long to wait for the daemon to end")->capture_default_str();
  p.later("--unlock");
  if (auto early = p.parse<DownOptions>(argc, argv)) return *early;
  o.common = p.common;
  if (o.all && !o.profile.empty()) return usage("--all and a profile's name contradict each other");
  if (auto ok = check_profile_argument(o.profile); !ok) return ok.error();
  auto d = positive_duration("--timeout", timeout);
  if (!d) return d.error();
  o.timeout = *d;
  return Parsed<DownOptions>{std::move(o)};
}

Result<Parsed<StatusOptions>> parse_status_command(int argc, char** argv) {
  Parser p("vpn-status", "Show what a profile is doing. For scripts: --json, --check.");
  StatusOptions o;
  std::string watch;
  p.app.add_option("NAME", o.profile, "the profile; may be left out");
  CLI::Option* watch_option =
      p.app.add_option("--watch", watch, "again and again, every second or as given: --watch=5s");
  // "=" is required for the value, so that `vpn-status --watch home` names a profile.
  watch_option->expected(0, 1);
  p.app.add_flag("--json", o.json, "as JSON (hawser.status/1), one line per profile");
  p.app.add_flag("--check", o.check, "print nothing: exit 0 connected, 3 down, 6 otherwise");
  p.later("--events");
  p.later("--prometheus");
  std::vector<std::string> words(argv, argv + argc);
  for (std::string& w : words) {
    if (w == "--watch") w = "--watch=1s";
  }
  std::vector<char*> pointers;
  for (std::string& w : words) pointers.push_back(w.data());
  if (auto early = p.parse<StatusOptions>(argc, pointers.data())) return *early;
  o.common = p.common;
  if (auto ok = check_profile_argument(o.profile); !ok) return ok.error();
  if (watch_option->count() > 0) {
    auto d = positive_duration("--watch", watch);
    if (!d) return d.error();
    if (*d < Duration::millis(100)) return usage("--watch " + watch + " is too often: at least 100ms");
    o.watch = *d;
  }
  if (o.check && (o.json || o.watch)) return usage("--check prints nothing: leave --json and --watch out");
  return Parsed<StatusOptions>{std::move(o)};
}

Result<Parsed<JoinOptions>> parse_join(int argc, char** argv) {
  Parser p("vpn-join", "Enrol this device at a server with an invite, and write its profile. Does not start it.");
  JoinOptions o;
  p.app.add_option("NAME", o.name, "what to call the profile")->required();
  p.app.add_option("INVITE", o.source, "- (from stdin) or file:PATH; without it you are asked");
  p.app.add_option("--server", o.server, "HOST[:PORT] of a server that knows this device's public key already");
  p.app.add_option("--server-key", o.server_key, "that server's public key");
  p.app.add_flag("--force", o.force, "replace an existing profile; the old one is kept as a backup");
  if (auto early = p.parse<JoinOptions>(argc, argv)) return *early;
  o.common = p.common;
  if (is_file_argument(o.name)) return usage("vpn-join takes a name for the profile, not a file: " + o.name);
  if (auto ok = check_name(o.name, "profile"); !ok) return usage(ok.error().message);
  // An invite is a secret: in argv every user of this machine could read it.
  if (!o.source.empty() && o.source != "-" && o.source.rfind("file:", 0) != 0) {
    return usage("an invite is not given on the command line, where others can read it: run vpn-join " + o.name +
                 " and paste it, pipe it (vpn-join " + o.name + " -), or name a file (file:PATH)");
  }
  if (o.server.empty() != o.server_key.empty()) return usage("--server and --server-key go together");
  if (!o.server.empty() && !o.source.empty()) return usage("an invite and --server contradict each other");
  return Parsed<JoinOptions>{std::move(o)};
}

Result<Parsed<KeyOptions>> parse_key(int argc, char** argv) {
  Parser p("vpn-key", "Make keys, and print the public key of a private one.");
  KeyOptions o;
  CLI::App* make_new = p.app.add_subcommand("new", "make a private key, on stdout or in a new FILE (mode 0600)");
  CLI::App* print_public = p.app.add_subcommand("pub", "print the public key of the private key on stdin or in FILE");
  make_new->add_option("FILE", o.file, "must not exist yet");
  print_public->add_option("FILE", o.file, "readable by its owner only");
  p.app.require_subcommand(1);
  if (auto early = p.parse<KeyOptions>(argc, argv)) return *early;
  o.common = p.common;
  o.action = print_public->parsed() ? KeyOptions::Action::print_public : KeyOptions::Action::make_new;
  return Parsed<KeyOptions>{std::move(o)};
}

int report_error(const char* program, const Error& error) {
  // An empty message: everything was said already (the daemon's verdict).
  if (!error.message.empty()) print_err(std::string(program) + ": " + error.message + "\n");
  return static_cast<int>(error.code);
}

void print_out(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void print_err(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace hawser::client
