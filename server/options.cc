// The command line of vpn-server on CLI11. Every problem becomes one Error with exit code 2.
#include "server/options.h"

#include <CLI/CLI.hpp>

#include "common/config/names.h"

namespace hawser::server {
namespace {

#ifndef HAWSER_VERSION
#define HAWSER_VERSION "unknown"
#endif

Error usage(std::string message) { return {ExitCode::usage, std::move(message)}; }

// Everything as CLI11 delivers it, before it is checked.
struct Raw {
  std::string config_dir, state_dir, run_dir, color = "auto";
  bool quiet = false;
  int verbosity = 0;

  uint16_t listen = 0;
  std::vector<std::string> endpoints, allow_keys;
  std::string ipv4, ipv6;
  bool no_nat = false, no_start = false;

  bool json = false;
  std::string watch, expires = "24h", name, limit;
  bool qr = false;
};

// Owns the parser's tree; the subcommands are looked at after parsing.
struct Tree {
  CLI::App app{"The server of Hawser, a multipath VPN: many users on one UDP port.", "vpn-server"};
  Raw raw;
  CLI::App *init = nullptr, *run = nullptr, *reload = nullptr, *status = nullptr, *check = nullptr, *invite = nullptr;
  CLI::App *user = nullptr, *list = nullptr, *show = nullptr, *disable = nullptr, *enable = nullptr, *remove = nullptr;
  CLI::Option *listen = nullptr, *watch = nullptr, *qr = nullptr, *limit = nullptr;
};

void add_common(Tree& t) {
  Raw& r = t.raw;
  const CommonOptions defaults;
  r.config_dir = defaults.config_dir;
  r.state_dir = defaults.state_dir;
  r.run_dir = defaults.run_dir;
  t.app.set_help_flag("-h,--help", "print this help and exit");
  t.app.set_version_flag("-V,--version", std::string("vpn-server ") + HAWSER_VERSION, "print the version and exit");
  t.app.add_flag("-q,--quiet", r.quiet, "print errors only");
  t.app.add_flag("-v,--verbose", r.verbosity, "print more; twice for debugging");
  t.app.add_option("--color", r.color, "auto, always or never")->check(CLI::IsMember({"auto", "always", "never"}));
  t.app.add_option("--config-dir", r.config_dir, "server.toml and keys/ are here")->capture_default_str();
  t.app.add_option("--state-dir", r.state_dir, "the registry is here")->capture_default_str();
  t.app.add_option("--run-dir", r.run_dir, "lock and control socket are here")->capture_default_str();
  // Subcommands inherit this: an option that a subcommand does not know belongs to its parent.
  t.app.fallthrough();
  t.app.require_subcommand(1);
}

void add_init(Tree& t) {
  Raw& r = t.raw;
  t.init = t.app.add_subcommand("init", "write server.toml, the server's key and the registry; harmless when repeated");
  t.listen = t.init->add_option("--listen", r.listen, "UDP port to listen on (443)")->check(CLI::Range(1, 65535));
  t.init->add_option("--endpoint", r.endpoints, "HOST[:PORT] at which clients reach this server; may be repeated");
  t.init->add_option("--ipv4", r.ipv4, "the tunnel's IPv4 block (10.9.0.0/16)");
  t.init->add_option("--ipv6", r.ipv6, "the tunnel's IPv6 block (a random ULA /48)");
  t.init->add_flag("--no-nat", r.no_nat, "do not masquerade: the tunnel's blocks are routed to this server");
  t.init->add_flag("--no-start", r.no_start, "do not enable and start the systemd unit");
  t.init->add_option("--allow-key", r.allow_keys, "NAME=PUBLIC_KEY of a user to let in without an invite; may be repeated");
}

void add_rest(Tree& t) {
  Raw& r = t.raw;
  t.run = t.app.add_subcommand("run", "run the server in the foreground");
  t.reload = t.app.add_subcommand("reload", "make the running server read server.toml again");
  t.status = t.app.add_subcommand("status", "show the running server's users and paths");
  t.status->add_flag("--json", r.json, "as JSON (hawser.server-status/1)");
  t.watch = t.status->add_option("--watch", r.watch)->expected(0, 1)->group("");
  t.check = t.app.add_subcommand("check", "")->group("");

  t.invite = t.app.add_subcommand("invite", "print one line: an invite for one device");
  t.invite->add_option("NAME", r.name, "the user's name")->required();
  t.invite->add_option("--expires", r.expires, "how long it may be used: 90s, 15m, 24h, 7d")->capture_default_str();
  t.qr = t.invite->add_flag("--qr", r.qr)->group("");
  t.limit = t.invite->add_option("--limit", r.limit)->group("");

  t.user = t.app.add_subcommand("user", "list, show, disable, enable or remove users");
  t.user->require_subcommand(1);
  t.user->add_flag("--json", r.json, "as JSON (hawser.server-users/1)");
  const auto with_name = [&](const char* verb, const char* help) {
    CLI::App* sub = t.user->add_subcommand(verb, help);
    sub->add_option("NAME", r.name, "the user's name")->required();
    return sub;
  };
  t.list = t.user->add_subcommand("list", "all users");
  t.show = with_name("show", "one user");
  t.disable = with_name("disable", "cut the user off until enabled again");
  t.enable = with_name("enable", "let a disabled user in again");
  t.remove = with_name("remove", "cut the user off for good");
}

Error not_in_this_version(const std::string& what) { return usage(what + ": not in this version"); }

Result<InitCommand> init_command(const Tree& t) {
  const Raw& r = t.raw;
  InitCommand c;
  if (t.listen->count() > 0) c.listen = r.listen;
  c.endpoints = r.endpoints;
  c.no_nat = r.no_nat;
  c.no_start = r.no_start;
  if (!r.ipv4.empty()) {
    c.ipv4 = IpPrefix::parse(r.ipv4, true);
    if (!c.ipv4 || !c.ipv4->address.is_v4() || c.ipv4->length > 29 || c.ipv4->length < 8) {
      return usage("--ipv4 " + r.ipv4 + " is not an IPv4 block between /8 and /29 without host bits; for example --ipv4 10.9.0.0/16");
    }
  }
  if (!r.ipv6.empty()) {
    c.ipv6 = IpPrefix::parse(r.ipv6, true);
    if (!c.ipv6 || !c.ipv6->address.is_v6() || c.ipv6->length > 112 || c.ipv6->length < 16) {
      return usage("--ipv6 " + r.ipv6 + " is not an IPv6 block between /16 and /112 without host bits; leave it out for a random one");
    }
  }
  for (const std::string& pair : r.allow_keys) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals + 1 == pair.size()) {
      return usage("--allow-key " + pair + " is not NAME=PUBLIC_KEY (the public key is what `vpn-key pub FILE` prints)");
    }
    AllowedKey key{pair.substr(0, equals), pair.substr(equals + 1)};
    if (auto ok = check_name(key.name, "user"); !ok) return usage("--allow-key: " + ok.error().message);
    c.allowed_keys.push_back(std::move(key));
  }
  return c;
}

Result<Command> chosen_command(const Tree& t) {
  const Raw& r = t.raw;
  if (t.check->parsed()) return not_in_this_version("check");
  if (t.watch->count() > 0) return not_in_this_version("status --watch");
  if (t.qr->count() > 0) return not_in_this_version("invite --qr");
  if (t.limit->count() > 0) return not_in_this_version("invite --limit");

  if (t.init->parsed()) {
    auto init = init_command(t);
    if (!init) return init.error();
    return Command{*init};
  }
  if (t.run->parsed()) return Command{RunCommand{}};
  if (t.reload->parsed()) return Command{ReloadCommand{}};
  if (t.status->parsed()) return Command{StatusCommand{r.json}};
  if (!r.name.empty() || t.invite->parsed()) {
    if (auto ok = check_name(r.name, "user"); !ok) return usage(ok.error().message);
  }
  if (t.invite->parsed()) {
    constexpr Duration kLongest = Duration::seconds(90 * 86400);
    const auto lifetime = parse_duration(r.expires);
    if (!lifetime || *lifetime < Duration::seconds(1) || *lifetime > kLongest) {
      return usage("--expires " + r.expires + " is not a time between 1s and 90d, such as 90s, 15m, 24h or 7d");
    }
    return Command{InviteCommand{r.name, *lifetime}};
  }
  using Action = UserCommand::Action;
  const std::pair<const CLI::App*, Action> actions[] = {{t.list, Action::list}, {t.show, Action::show},
                                                        {t.disable, Action::disable}, {t.enable, Action::enable},
                                                        {t.remove, Action::remove}};
  for (const auto& [sub, action] : actions) {
    if (sub->parsed()) return Command{UserCommand{action, r.name, r.json}};
  }
  return usage("no command was given; see vpn-server --help");
}

}  // namespace

Result<Parsed> parse_command_line(int argc, char** argv) {
  Tree t;
  try {
    add_common(t);
    add_init(t);
    add_rest(t);
    t.app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Parsed{PrintAndExit{t.app.help()}};
  } catch (const CLI::CallForVersion& e) {
    return Parsed{PrintAndExit{std::string(e.what()) + "\n"}};
  } catch (const CLI::Error& e) {
    return usage(std::string(e.what()) + "; see vpn-server --help");
  }

  const Raw& r = t.raw;
  auto command = chosen_command(t);
  if (!command) return command.error();
  Options options;
  options.common.config_dir = r.config_dir;
  options.common.state_dir = r.state_dir;
  options.common.run_dir = r.run_dir;
  options.common.quiet = r.quiet;
  options.common.verbosity = r.verbosity;
  using Color = CommonOptions::Color;
  options.common.color = r.color == "always" ? Color::always : r.color == "never" ? Color::never : Color::automatic;
  options.command = std::move(*command);
  return Parsed{std::move(options)};
}

}  // namespace hawser::server
