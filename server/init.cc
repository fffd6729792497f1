// First everything is decided, then everything is written: a failed init leaves nothing behind and may be repeated.
#include "server/init.h"

#include <algorithm>
#include <cstdio>

#include "platform/files.h"
#include "platform/netlink.h"
#include "platform/process.h"
#include "platform/rng.h"
#include "platform/sysctl.h"
#include "server/installation.h"

namespace hawser::server {
namespace {

constexpr const char* kUnit = "hawser-server.service";
constexpr const char* kServiceUser = "hawser";
constexpr const char* kSysctlFile = "/etc/sysctl.d/60-hawser-server.conf";

void say(const CommonOptions& common, const char* verb, const std::string& what) {
  if (!common.quiet) std::printf("  %-9s %s\n", verb, what.c_str());
}

// ---- what to write --------------------------------------------------------------------------------------------------

// The addresses of this machine that clients on the Internet can reach, IPv4 first. Private ones go to `others`.
std::vector<IpAddress> public_addresses(const std::vector<Interface>& interfaces, std::vector<IpAddress>& others) {
  std::vector<IpAddress> found;
  for (const Interface& i : interfaces) {
    if (!i.up || i.loopback) continue;
    for (const InterfaceAddress& a : i.addresses) (a.address.is_private() ? others : found).push_back(a.address);
  }
  std::stable_sort(found.begin(), found.end(), [](const IpAddress& a, const IpAddress& b) { return a.family < b.family; });
  return found;
}

Error no_public_address(const std::vector<IpAddress>& others) {
  std::string message = "no address was found at which clients could reach this server";
  if (!others.empty()) {
    message += ": " + others.front().to_string() + (others.size() > 1 ? " and the others are" : " is") + " private or link-local";
  }
  return {ExitCode::configuration, message + "; pass the public one, or a name: vpn-server init --endpoint HOST[:PORT]"};
}

Result<std::vector<HostPort>> chosen_endpoints(const InitCommand& command, const std::vector<Interface>& interfaces, uint16_t port) {
  std::vector<HostPort> endpoints;
  for (const std::string& text : command.endpoints) {
    auto endpoint = HostPort::parse(text, port);
    if (!endpoint) return Error{ExitCode::usage, "--endpoint " + text + ": " + endpoint.error().message};
    endpoints.push_back(*endpoint);
  }
  if (!endpoints.empty()) return endpoints;
  std::vector<IpAddress> others;
  for (const IpAddress& a : public_addresses(interfaces, others)) {
    if (endpoints.size() < 8) endpoints.push_back({a.to_string(), port});
  }
  if (endpoints.empty()) return no_public_address(others);
  return endpoints;
}

// The first block that none of this machine's networks lies in, so that the tunnel hides nothing from the server.
IpPrefix free_ipv4_block(const std::vector<Interface>& interfaces) {
  const char* candidates[] = {"10.9.0.0/16", "10.109.0.0/16", "10.209.0.0/16", "172.29.0.0/16"};
  for (const char* text : candidates) {
    const IpPrefix block = *IpPrefix::parse(text);
    const bool taken = std::any_of(interfaces.begin(), interfaces.end(), [&](const Interface& i) {
      return std::any_of(i.addresses.begin(), i.addresses.end(), [&](const InterfaceAddress& a) {
        return block.contains(a.address) || (a.address.is_v4() && IpPrefix{a.address, a.prefix_length}.contains(block.address));
      });
    });
    if (!taken) return block;
  }
  return *IpPrefix::parse(candidates[0]);
}

// RFC 4193: fd00::/8 and 40 random bits.
IpPrefix random_ula() {
  std::array<uint8_t, 16> bytes{};
  SystemRng rng;
  rng.fill(MutableByteSpan(bytes).first(6));
  bytes[0] = 0xfd;
  return {IpAddress::v6(bytes), 48};
}

Result<ServerSettings> new_settings(const InitCommand& command) {
  auto interfaces = list_interfaces();
  if (!interfaces) return interfaces.error();
  const uint16_t port = command.listen.value_or(kDefaultPort);
  ServerSettings settings;
  for (SocketAddress& a : settings.listen) a.port = port;
  auto endpoints = chosen_endpoints(command, *interfaces, port);
  if (!endpoints) return endpoints.error();
  settings.endpoints = std::move(*endpoints);
  settings.ipv4 = command.ipv4 ? *command.ipv4 : free_ipv4_block(*interfaces);
  settings.ipv6 = command.ipv6 ? *command.ipv6 : random_ula();
  settings.nat = !command.no_nat;
  return settings;
}

// Init never rewrites a server.toml, which may have been edited: options must agree with it.
Status check_agreement(const InitCommand& command, const ServerSettings& settings, const std::string& file) {
  const auto differs = [&](const std::string& what) {
    return Error{ExitCode::conflict, file + " exists and says otherwise than " + what + "; edit the file, then: vpn-server reload or restart"};
  };
  const auto listens = [&](uint16_t port) {
    return std::any_of(settings.listen.begin(), settings.listen.end(), [&](const SocketAddress& a) { return a.port == port; });
  };
  if (command.listen && !listens(*command.listen)) return differs("--listen " + std::to_string(*command.listen));
  for (const std::string& text : command.endpoints) {
    auto endpoint = HostPort::parse(text, settings.listen.front().port);
    if (!endpoint) return Error{ExitCode::usage, "--endpoint " + text + ": " + endpoint.error().message};
    if (std::find(settings.endpoints.begin(), settings.endpoints.end(), *endpoint) == settings.endpoints.end()) {
      return differs("--endpoint " + text);
    }
  }
  if (command.ipv4 && command.ipv4 != settings.ipv4) return differs("--ipv4 " + command.ipv4->to_string());
  if (command.ipv6 && command.ipv6 != settings.ipv6) return differs("--ipv6 " + command.ipv6->to_string());
  if (command.no_nat && settings.nat) return differs("--no-nat");
  return Done{};
}

struct KeyOfUser {
  std::string name;
  PublicKey key;
};

Result<std::vector<KeyOfUser>> parse_allowed_keys(const InitCommand& command) {
  std::vector<KeyOfUser> keys;
  for (const AllowedKey& allowed : command.allowed_keys) {
    const auto key = PublicKey::parse(allowed.public_key);
    if (!key) {
      return Error{ExitCode::configuration, "--allow-key " + allowed.name + ": \"" + allowed.public_key +
                                                "\" is not a public key (44 characters of base64, as `vpn-key pub FILE` prints it)"};
    }
    keys.push_back({allowed.name, *key});
  }
  return keys;
}

// ---- writing it -----------------------------------------------------------------------------------------------------

Status make_key(const CommonOptions& common, const ServerSettings& settings) {
  const std::string file = key_file(common, settings);
  if (file_exists(file)) {
    say(common, "kept", file);
  } else {
    SystemRng rng;
    std::string text = to_base64(StaticKeyPair::generate(rng).secret()) + "\n";
    const Status made = create_secret_file(file, text);
    wipe(text);
    if (!made) return made.error();
    say(common, "created", file);
  }
  auto key = load_key(common, settings);  // also checks the one that was there
  if (!key) return key.error();
  say(common, "identity", key->public_key().to_base64());
  return Done{};
}

Status make_registry(const CommonOptions& common, const ServerSettings& settings, const std::vector<KeyOfUser>& keys) {
  auto registry = open_registry(common, settings);
  if (!registry) return registry.error();
  for (const KeyOfUser& k : keys) {
    auto user = registry->allow_key(k.name, k.key, wall_clock());
    if (!user) return Error{user.error().code, "--allow-key " + k.name + ": " + user.error().message};
    std::string addresses = user->inner_v4.is_set() ? user->inner_v4.to_string() : "";
    if (user->inner_v6.is_set()) addresses += (addresses.empty() ? "" : ", ") + user->inner_v6.to_string();
    say(common, "allowed", k.name + " as " + addresses);
  }
  return Done{};
}

// ---- the system's share: only with the default CONFIG_DIR under systemd -------------------------------------------------

// The service runs without the right to write kernel settings, so they are made here and at every boot.
Status make_sysctl(const CommonOptions& common) {
  std::vector<std::pair<std::string, std::string>> wanted = {{"net/ipv4/ip_forward", "1"}};
  if (get_sysctl("net/ipv6/conf/all/forwarding")) wanted.emplace_back("net/ipv6/conf/all/forwarding", "1");
  if (get_sysctl(kLenientTracking)) wanted.emplace_back(kLenientTracking, "1");
  auto interfaces = list_interfaces();
  if (!interfaces) return interfaces.error();
  for (const Interface& i : *interfaces) {
    // A forwarding host forgets an address learnt by router advertisement unless told to listen on.
    const std::string key = "net/ipv6/conf/" + i.name + "/accept_ra";
    const auto value = get_sysctl(key);
    if (!i.is_virtual && !i.loopback && value && *value != "0") wanted.emplace_back(key, "2");
  }
  std::string text = "# Written by vpn-server init: the server forwards its users' packets.\n";
  for (const auto& [key, value] : wanted) text += key + " = " + value + "\n";

  const auto present = file_exists(kSysctlFile) ? read_file(kSysctlFile) : Result<std::string>(std::string{});
  if (!present || *present != text) {
    if (auto written = write_file_atomic(kSysctlFile, text); !written) return written.error();
    say(common, "created", kSysctlFile);
  }
  for (const auto& [key, value] : wanted) {
    const auto have = get_sysctl(key);
    if (have && *have == value) continue;
    if (auto set = set_sysctl(key, value); !set) return set.error();
    say(common, "set", key + " = " + value);
  }
  return Done{};
}

Status start_service(const CommonOptions& common) {
  auto result = run_program({"systemctl", "enable", "--now", kUnit});
  if (!result) return result.error();
  if (result->exit_status != 0) {
    return Error{ExitCode::system_integration, std::string("systemctl could not enable and start ") + kUnit + ": " + result->errors +
                                                   "see: systemctl status " + kUnit + ", or use --no-start and: vpn-server run"};
  }
  say(common, "started", kUnit);
  return Done{};
}

Status integrate(const CommonOptions& common, const InitCommand& command, const ServerSettings& settings) {
  // The service's user owns the registry; the key stays root's and is handed to the service as a credential.
  for (const std::string& path : {common.state_dir, registry_file(common, settings)}) {
    if (auto owned = change_owner(path, kServiceUser); !owned) return owned.error();
  }
  if (auto made = make_sysctl(common); !made) return made;
  return command.no_start ? Status(Done{}) : start_service(common);
}

}  // namespace

Status run_init(const CommonOptions& common, const InitCommand& command) {
  const std::string file = common.config_file();
  const bool exists = file_exists(file);
  auto settings = exists ? load_settings(common) : new_settings(command);
  if (!settings) return settings.error();
  if (exists) {
    if (auto agreed = check_agreement(command, *settings, file); !agreed) return agreed;
  }
  const auto keys = parse_allowed_keys(command);
  if (!keys) return keys.error();

  if (auto made = make_directories(common.config_dir, 0755); !made) return made;
  if (auto made = make_key(common, *settings); !made) return made;
  if (auto made = make_registry(common, *settings, *keys); !made) return made;
  // The file that makes a server comes last: with it everything is there.
  if (!exists) {
    if (auto written = write_file_atomic(file, render(*settings), 0644); !written) return written;
  }
  say(common, exists ? "kept" : "created", file);
  if (common.config_dir == CommonOptions::kDefaultConfigDir && systemd_is_running()) {
    if (auto done = integrate(common, command, *settings); !done) return done;
  }
  if (!common.quiet) {
    std::string at;
    for (const HostPort& e : settings->endpoints) at += (at.empty() ? "" : ", ") + e.to_string();
    std::printf("Clients reach this server at %s (UDP: is it open in the cloud's firewall?)\nNext: vpn-server invite NAME\n", at.c_str());
  }
  return Done{};
}

}  // namespace hawser::server
