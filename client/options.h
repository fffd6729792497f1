// The command lines of the client's programs: what CLI.md documents, parsed and checked. What is documented but not
// built yet is refused here by name (exit 2, "not in this version"), never parsed and ignored.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/control/human.h"
#include "common/result.h"
#include "common/types.h"

namespace hawser::client {

// Accepted by every command, and by those with subcommands before and after it.
struct CommonOptions {
  enum class Colour : uint8_t { automatic, always, never };

  std::string config_dir = "/etc/hawser";
  std::string state_dir = "/var/lib/hawser";
  std::string run_dir = "/run/hawser";
  bool quiet = false;
  int verbosity = 0;
  Colour colour = Colour::automatic;

  // Judged for stdout: a terminal, and NO_COLOR not set, unless --color says otherwise.
  HumanStyle style() const;
};

// How long vpn-up waits for the first round trip when --timeout does not say.
inline constexpr Duration kDefaultUpTimeout = Duration::seconds(20);

struct UpOptions {
  CommonOptions common;
  std::string profile;  // NAME, FILE or empty
  bool foreground = false, no_wait = false, dry_run = false, cleanup = false, yes = false, save = false;
  std::optional<Duration> timeout;                       // unset: kDefaultUpTimeout, or for ever in the foreground
  std::vector<std::string> only, without;                // interface names or globs, sorted
  std::vector<std::pair<std::string, std::string>> set;  // "wwan0.priority", "backup"
};

struct DownOptions {
  CommonOptions common;
  std::string profile;
  bool all = false;
  Duration timeout = Duration::seconds(5);
};

struct StatusOptions {
  CommonOptions common;
  std::string profile;
  bool json = false, check = false;
  std::optional<Duration> watch;
};

struct JoinOptions {
  CommonOptions common;
  std::string name;
  std::string source;  // empty: ask; "-": stdin; "file:PATH"
  std::string server;  // with server_key: no invite
  std::string server_key;
  bool force = false;
};

struct KeyOptions {
  CommonOptions common;
  enum class Action : uint8_t { make_new, print_public } action = Action::make_new;
  std::string file;  // empty: stdin or stdout
};

// Help or version was asked for: print `text` on stdout and exit 0.
struct PrintAndExit {
  std::string text;
};
template <typename T>
using Parsed = std::variant<T, PrintAndExit>;

// ExitCode::usage on anything that CLI.md does not know or this version has not built.
Result<Parsed<UpOptions>> parse_up(int argc, char** argv);
Result<Parsed<DownOptions>> parse_down(int argc, char** argv);
Result<Parsed<StatusOptions>> parse_status_command(int argc, char** argv);
Result<Parsed<JoinOptions>> parse_join(int argc, char** argv);
Result<Parsed<KeyOptions>> parse_key(int argc, char** argv);

// The whole of a program: parses, prints help or errors ("PROGRAM: message"), else runs `command`. Returns what main
// returns.
template <typename T>
int run_program(const char* program, Result<Parsed<T>> parsed, Status (*command)(const T&));
// An error as every command prints it on stderr; returns its exit code.
int report_error(const char* program, const Error& error);
void print_out(const std::string& text);
void print_err(const std::string& text);

template <typename T>
int run_program(const char* program, Result<Parsed<T>> parsed, Status (*command)(const T&)) {
  if (!parsed) return report_error(program, parsed.error());
  if (const auto* text = std::get_if<PrintAndExit>(&*parsed)) {
    print_out(text->text);
    return 0;
  }
  const Status status = command(std::get<T>(*parsed));
  return status ? 0 : report_error(program, status.error());
}

}  // namespace hawser::client
