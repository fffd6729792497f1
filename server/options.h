// The command line of vpn-server: what CLI.md documents, parsed and checked. What is documented but not built yet is
// refused here by name (exit 2, "not in this version"), never parsed and ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/net.h"
#include "common/result.h"
#include "common/types.h"

namespace hawser::server {

// Accepted before and after the subcommand.
struct CommonOptions {
  std::string config_dir = kDefaultConfigDir;
  std::string state_dir = "/var/lib/hawser";
  std::string run_dir = "/run/hawser";
  bool quiet = false;
  int verbosity = 0;
  enum class Color { automatic, always, never } color = Color::automatic;

  static constexpr const char* kDefaultConfigDir = "/etc/hawser";

  std::string config_file() const { return config_dir + "/server.toml"; }
  std::string instance_dir() const { return run_dir + "/server"; }
  std::string control_socket() const { return instance_dir() + "/control.sock"; }
};

// A user made at init by public key alone: safe in cloud-init's user-data.
struct AllowedKey {
  std::string name;
  std::string public_key;  // base64, checked by init
};

struct InitCommand {
  std::optional<uint16_t> listen;      // unset: 443, or what an existing server.toml says
  std::vector<std::string> endpoints;  // HOST or HOST:PORT
  std::optional<IpPrefix> ipv4, ipv6;
  bool no_nat = false;
  bool no_start = false;
  std::vector<AllowedKey> allowed_keys;
};
struct RunCommand {};
struct ReloadCommand {};
struct StatusCommand {
  bool json = false;
};
struct InviteCommand {
  std::string name;
  Duration expires = Duration::seconds(24 * 3600);
};
struct UserCommand {
  enum class Action { list, show, disable, enable, remove } action = Action::list;
  std::string name;  // empty for list
  bool json = false;
};
using Command = std::variant<InitCommand, RunCommand, ReloadCommand, StatusCommand, InviteCommand, UserCommand>;

struct Options {
  CommonOptions common;
  Command command;
};

// Help or version was asked for: print `text` on stdout and exit 0.
struct PrintAndExit {
  std::string text;
};
using Parsed = std::variant<Options, PrintAndExit>;

// ExitCode::usage on anything that CLI.md does not know or this version has not built.
Result<Parsed> parse_command_line(int argc, char** argv);

}  // namespace hawser::server
