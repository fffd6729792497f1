// Reading a profile. The two tables at the top say which documented keys and values this version has built; whoever
// builds one more turns its `false` into `true` and reads it below.
#include "common/config/profile.h"

#include <algorithm>

#include "common/config/offload.h"
#include "common/config/profile_tables.h"
#include "common/config/toml.h"

namespace hawser {
namespace {

using toml_tree::Choice;
using toml_tree::Key;
using toml_tree::Reader;
using toml_tree::Value;

constexpr Key kKeys[] = {
    {"", "version"},
    {"", "server"},
    {"", "client"},
    {"", "tunnel"},
    {"", "bonding"},
    {"", "path"},
    {"", "class", false},
    {"", "advanced"},
    {"", "log"},
    {"server", "endpoints"},
    {"server", "public_key"},
    {"client", "private_key_file"},
    {"tunnel", "interface"},
    {"tunnel", "route"},
    {"tunnel", "bypass"},
    {"tunnel", "lan_access"},
    {"tunnel", "dns"},
    {"tunnel", "kill_switch"},
    {"tunnel", "mtu"},
    {"bonding", "mode"},
    {"bonding", "scheduler"},
    {"bonding", "congestion"},
    {"bonding", "discover"},
    {"bonding", "ignore"},
    {"path", "match"},
    {"path", "priority"},
    {"path", "gateway"},
    {"path", "limit", false},
    {"path", "data", false},
    {"path.match", "interface"},
    {"path.match", "type"},
    {"path.match", "metered"},
    {"advanced", "offload"},
    {"log", "level"},
};

constexpr Choice<bool> kDns[] = {{"off", true}, {"auto", true, false}};
constexpr Choice<bool> kKillSwitch[] = {{"off", true}, {"on", true, false}, {"strict", true, false}};

constexpr int64_t kMinMtu = 1280;  // IPv6's least (RFC 8200, section 5)
constexpr int64_t kMaxMtu = 9000;
constexpr size_t kMaxEndpoints = 16;

std::string quoted(std::string_view text) {
  return toml_tree::quote(text);
}

// One prefix of a list, or what is wrong with it.
std::string take_prefix(std::string_view text, std::vector<IpPrefix>& out) {
  const auto prefix = IpPrefix::parse(text);
  if (!prefix) return quoted(text) + " is not an address block like 10.0.0.0/8 or 2001:db8::/32";
  const IpPrefix block{prefix->masked(), prefix->length};
  if (block != *prefix)
    return quoted(text) + " has bits set after its length (did you mean \"" + block.to_string() + "\"?)";
  out.push_back(block);
  return "";
}

void read_server(Reader& r, const Value& root, Profile& p) {
  const Value* server = r.table(root, "server");
  if (server == nullptr) {
    if (!r.failed()) r.missing(root, "[server] is missing: a profile needs the server's endpoints and public_key");
    return;
  }
  r.check_keys(*server, "server");
  const Value* endpoints =
      r.each(*server, "endpoints", R"(a list like ["203.0.113.7:443"])", [&](const std::string& text) {
        const auto endpoint = HostPort::parse(text, 0);
        if (!endpoint) return endpoint.error().message;
        p.endpoints.push_back(*endpoint);
        return std::string();
      });
  if (server->find("endpoints") == nullptr) {
    r.missing(*server, R"([server] has no endpoints; add: endpoints = ["ADDRESS:443"])");
  } else if (endpoints != nullptr && endpoints->items.empty()) {
    r.wrong(*endpoints, "endpoints", R"(empty; add the server: endpoints = ["ADDRESS:443"])");
  } else if (endpoints != nullptr && endpoints->items.size() > kMaxEndpoints) {
    r.wrong(*endpoints, "endpoints", "longer than 16 entries");
  }
  std::string key;
  if (const Value* v = r.read(*server, "public_key", key)) {
    if (const auto parsed = PublicKey::parse(key)) {
      p.server_public_key = *parsed;
    } else {
      r.wrong(*v, "public_key", "not a public key (44 characters of base64; `vpn-server init` prints it)");
    }
  } else if (server->find("public_key") == nullptr) {
    r.missing(*server, "[server] has no public_key; `vpn-server init` prints it");
  }
}

void read_route(Reader& r, const Value& tunnel, Profile& p) {
  const Value* route = tunnel.find("route");
  if (route == nullptr) return;
  if (route->kind == Value::Kind::array) {
    p.route.kind = RouteChoice::Kind::list;
    r.each(tunnel, "route", "a list of address blocks",
           [&](const std::string& text) { return take_prefix(text, p.route.list); });
    if (route->items.empty()) r.wrong(*route, "route", R"(empty; write "none" to route nothing)");
  } else if (route->kind == Value::Kind::string && (route->text == "all" || route->text == "none")) {
    p.route.kind = route->text == "all" ? RouteChoice::Kind::all : RouteChoice::Kind::none;
  } else {
    constexpr std::string_view kWords[] = {"all", "none"};
    r.wrong(*route, "route", R"(not one of all, none, ["BLOCK", ...])" + did_you_mean(route->text, kWords));
  }
}

void read_tunnel(Reader& r, const Value& tunnel, Profile& p) {
  r.check_keys(tunnel, "tunnel");
  if (const Value* v = r.read(tunnel, "interface", p.interface); v != nullptr && !is_interface_name(p.interface)) {
    r.wrong(*v, "interface", R"(not an interface name (1 to 15 characters, no "/", ":" or space) and not "auto")");
  }
  read_route(r, tunnel, p);
  r.each(tunnel, "bypass", "a list of address blocks",
         [&](const std::string& text) { return take_prefix(text, p.bypass); });
  r.read(tunnel, "lan_access", p.lan_access);
  bool off = true;
  if (const Value* dns = tunnel.find("dns"); dns != nullptr && dns->kind == Value::Kind::array) {
    r.fail(dns->begin, "dns = a list is not in this version; use \"off\"");
  } else {
    r.choose<bool>(tunnel, "dns", kDns, off);
  }
  r.choose<bool>(tunnel, "kill_switch", kKillSwitch, off);
  if (const Value* mtu = tunnel.find("mtu");
      mtu != nullptr && !(mtu->kind == Value::Kind::string && mtu->text == "auto")) {
    if (mtu->kind == Value::Kind::integer && mtu->integer >= kMinMtu && mtu->integer <= kMaxMtu) {
      p.mtu = static_cast<uint16_t>(mtu->integer);
    } else {
      r.wrong(*mtu, "mtu", "not \"auto\" or a number from 1280 to 9000");
    }
  }
}

void read_bonding(Reader& r, const Value& bonding, Profile& p) {
  r.check_keys(bonding, "bonding");
  if (const Value* v = bonding.find("scheduler");
      v != nullptr && v->kind == Value::Kind::string && v->text.starts_with("script:")) {
    r.wrong(*v, "scheduler", "not in this version");
  } else {
    r.choose<wire::SchedulerKind>(bonding, "scheduler", kSchedulers, p.scheduler);
  }
  r.choose<wire::Mode>(bonding, "mode", kModes, p.mode);
  r.choose<wire::CongestionKind>(bonding, "congestion", kCongestions, p.congestion);
  r.read(bonding, "discover", p.discover);
  std::vector<std::string> ignore;
  const Value* v =
      r.each(bonding, "ignore", R"(a list of names or globs like "docker*")", [&](const std::string& text) {
        ignore.push_back(text);
        return is_interface_name(text) ? std::string() : quoted(text) + " is not an interface name or glob";
      });
  if (v != nullptr) p.ignore = std::move(ignore);
}

PathMatch read_match(Reader& r, const Value& path) {
  PathMatch match;
  const Value* table = r.table(path, "match");
  if (table == nullptr) {
    if (path.find("match") == nullptr)
      r.missing(path, R"([[path]] has no match; add: match = { interface = "wlan0" })");
    return match;
  }
  r.check_keys(*table, "path.match");
  if (const Value* v = r.read(*table, "interface", match.interface);
      v != nullptr && !is_interface_name(match.interface)) {
    r.wrong(*v, "interface", "not an interface name or glob");
  }
  if (const Value* v = r.read(*table, "type", match.type);
      v != nullptr && std::find(std::begin(kLinkTypes), std::end(kLinkTypes), match.type) == std::end(kLinkTypes)) {
    r.wrong(*v, "type", "not one of ethernet, wifi, cellular, other" + did_you_mean(match.type, kLinkTypes));
  }
  bool metered = false;
  if (r.read(*table, "metered", metered) != nullptr) match.metered = metered;
  if (table->entries.empty()) r.missing(*table, "match is empty; name an interface, a type or metered");
  return match;
}

void read_path(Reader& r, const Value& path, Profile& p) {
  r.check_keys(path, "path");
  PathRule rule;
  rule.match = read_match(r, path);
  wire::PathPriority priority{};
  if (r.choose<wire::PathPriority>(path, "priority", kPriorities, priority) != nullptr) rule.priority = priority;
  std::string gateway;
  if (const Value* v = r.read(path, "gateway", gateway)) {
    rule.gateway = IpAddress::parse(gateway);
    if (!rule.gateway) r.wrong(*v, "gateway", "not an IP address");
  }
  p.paths.push_back(std::move(rule));
}

}  // namespace

Result<Profile> parse_profile(std::string_view text, std::string_view file_name) {
  const auto root = toml_tree::parse(text, file_name);
  if (!root) return root.error();
  Reader r(file_name, kKeys);
  Profile p;
  p.ignore = default_ignore();
  const auto name = profile_name_of(file_name);
  p.private_key_file = "keys/" + (name ? *name : std::string("client")) + ".key";

  r.check_keys(*root, "");
  if (const Value* v = root->find("version"); v != nullptr && !(v->kind == Value::Kind::integer && v->integer == 1)) {
    r.wrong(*v, "version", "not 1, the only format that this program knows; a newer profile needs a newer Hawser");
  }
  if (const Value* client = r.table(*root, "client")) {
    r.check_keys(*client, "client");
    if (const Value* v = r.read(*client, "private_key_file", p.private_key_file);
        v != nullptr && p.private_key_file.empty()) {
      r.wrong(*v, "private_key_file", "empty");
    }
  }
  if (const Value* tunnel = r.table(*root, "tunnel")) read_tunnel(r, *tunnel, p);
  if (const Value* bonding = r.table(*root, "bonding")) read_bonding(r, *bonding, p);
  for (const Value* path : r.tables(*root, "path")) read_path(r, *path, p);
  if (const Value* advanced = r.table(*root, "advanced")) {
    r.check_keys(*advanced, "advanced");
    read_offload(r, *advanced, OffloadSide::client, p.offload);
  }
  if (const Value* log = r.table(*root, "log")) {
    r.check_keys(*log, "log");
    std::string_view level = p.log_level;
    r.choose<std::string_view>(*log, "level", kLogLevels, level);
    p.log_level = level;
  }
  read_server(r, *root, p);
  if (r.failed()) return r.error();
  return p;
}

}  // namespace hawser
