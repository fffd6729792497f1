// Reading and writing server.toml. The table at the top says which documented keys this version has built.
#include "common/config/server_settings.h"

#include <algorithm>

#include "common/config/offload.h"
#include "common/config/toml.h"

namespace hawser {
namespace {

using toml_tree::Key;
using toml_tree::quote;
using toml_tree::Reader;
using toml_tree::Value;

constexpr Key kKeys[] = {
    {"", "version"},
    {"", "listen"},
    {"", "endpoints"},
    {"", "private_key_file"},
    {"", "workers"},
    {"", "network"},
    {"", "users"},
    {"", "metrics", false},
    {"", "advanced"},
    {"network", "interface"},
    {"network", "ipv4"},
    {"network", "ipv6"},
    {"network", "nat"},
    {"network", "client_to_client"},
    {"network", "dns"},
    {"users", "registry"},
    {"users", "max_sessions"},
    {"advanced", "offload"},
};

constexpr size_t kMaxListen = 16;
constexpr size_t kMaxEndpoints = 8;  // what an invite and an announcement hold
constexpr size_t kMaxDns = 4;        // what an announcement holds
constexpr int64_t kMaxWorkers = 64;
constexpr int64_t kMaxSessions = 1'000'000;

void read_top(Reader& r, const Value& root, ServerSettings& s) {
  r.check_keys(root, "");
  if (const Value* v = root.find("version"); v != nullptr && !(v->kind == Value::Kind::integer && v->integer == 1)) {
    r.wrong(*v, "version", "not 1, the only format that this program knows; a newer file needs a newer Hawser");
  }
  std::vector<SocketAddress> listen;
  const Value* list =
      r.each(root, "listen", R"(a list like ["0.0.0.0:443", "[::]:443"])", [&](const std::string& text) {
        const auto address = SocketAddress::parse(text);
        if (!address || address->port == 0)
          return quote(text) + R"( is not ADDRESS:PORT, like "0.0.0.0:443" or "[::]:443")";
        if (std::find(listen.begin(), listen.end(), *address) != listen.end()) return quote(text) + " is there twice";
        listen.push_back(*address);
        return std::string();
      });
  if (list != nullptr) {
    if (list->items.empty()) r.wrong(*list, "listen", R"(empty; the default is ["0.0.0.0:443", "[::]:443"])");
    if (list->items.size() > kMaxListen) r.wrong(*list, "listen", "longer than 16 entries");
    s.listen = std::move(listen);
  }
  const Value* endpoints =
      r.each(root, "endpoints", R"(a list like ["203.0.113.7:443"])", [&](const std::string& text) {
        const auto endpoint = HostPort::parse(text, 0);
        if (!endpoint) return endpoint.error().message;
        s.endpoints.push_back(*endpoint);
        return std::string();
      });
  if (endpoints != nullptr && endpoints->items.size() > kMaxEndpoints)
    r.wrong(*endpoints, "endpoints", "longer than 8 entries");
  if (const Value* v = r.read(root, "private_key_file", s.private_key_file);
      v != nullptr && s.private_key_file.empty()) {
    r.wrong(*v, "private_key_file", "empty");
  }
  if (const Value* v = root.find("workers"); v != nullptr) {
    if (v->kind == Value::Kind::integer && v->integer >= 1 && v->integer <= kMaxWorkers) {
      s.workers = static_cast<uint32_t>(v->integer);
    } else if (!(v->kind == Value::Kind::string && v->text == "auto")) {
      r.wrong(*v, "workers", "not \"auto\" or a number from 1 to " + std::to_string(kMaxWorkers));
    }
  }
}

// An address block of one family: no host bits, room for at least one user, and users within 2^32 of its beginning.
void read_pool(Reader& r, const Value& network, std::string_view key, IpAddress::Family family, uint8_t shortest,
               uint8_t longest, std::optional<IpPrefix>& out) {
  std::string text;
  const Value* v = r.read(network, key, text);
  if (v == nullptr) return;
  const auto block = IpPrefix::parse(text);
  const std::string range = "/" + std::to_string(shortest) + " to /" + std::to_string(longest);
  if (!block || block->address.family != family || text.find('/') == std::string::npos) {
    r.wrong(*v, key,
            family == IpAddress::Family::v4 ? "not an IPv4 block like 10.9.0.0/16"
                                            : "not an IPv6 block like fd3a:71c2:9e04::/48");
  } else if (block->length < shortest || block->length > longest) {
    r.wrong(*v, key, "not of a usable size (" + range + ")");
  } else if (block->masked() != block->address) {
    const std::string meant = IpPrefix{block->masked(), block->length}.to_string();
    r.wrong(*v, key, "not the beginning of its block (did you mean \"" + meant + "\"?)");
  } else {
    out = *block;
  }
}

void read_network(Reader& r, const Value& root, ServerSettings& s) {
  const Value* network = r.table(root, "network");
  if (network == nullptr) {
    if (!r.failed())
      r.missing(root, R"([network] is missing: users need addresses; add: [network] with ipv4 = "10.9.0.0/16")");
    return;
  }
  r.check_keys(*network, "network");
  if (const Value* v = r.read(*network, "interface", s.interface); v != nullptr && !is_interface_name(s.interface)) {
    r.wrong(*v, "interface", R"(not an interface name (1 to 15 characters, no "/", ":" or space))");
  }
  read_pool(r, *network, "ipv4", IpAddress::Family::v4, 8, 30, s.ipv4);
  read_pool(r, *network, "ipv6", IpAddress::Family::v6, 16, 112, s.ipv6);
  if (network->find("ipv4") == nullptr && network->find("ipv6") == nullptr) {
    r.missing(*network, R"([network] has neither ipv4 nor ipv6: users need addresses; add: ipv4 = "10.9.0.0/16")");
  }
  r.read(*network, "nat", s.nat);
  r.read(*network, "client_to_client", s.client_to_client);
  const Value* dns = network->find("dns");
  if (dns != nullptr && dns->kind == Value::Kind::string && dns->text == "upstream") {
    r.wrong(*dns, "dns", "not in this version; give a list of addresses, or leave the key out to announce none");
    return;
  }
  r.each(*network, "dns", R"(a list of addresses like ["9.9.9.9"])", [&](const std::string& text) {
    const auto address = IpAddress::parse(text);
    if (!address) return quote(text) + " is not an IP address";
    s.dns.push_back(*address);
    return std::string();
  });
  if (s.dns.size() > kMaxDns) r.wrong(*dns, "dns", "longer than 4 entries");
}

void read_users(Reader& r, const Value& users, ServerSettings& s) {
  constexpr std::string_view kSqlite = "sqlite:";
  r.check_keys(users, "users");
  std::string registry;
  if (const Value* v = r.read(users, "registry", registry)) {
    if (registry.starts_with("postgres://") || registry.starts_with("postgresql://")) {
      // The value may hold a password: it is not repeated.
      r.fail(v->begin, "registry = postgres://... is not in this version; choose \"sqlite:registry.db\"");
    } else if (!registry.starts_with(kSqlite) || registry.size() == kSqlite.size()) {
      r.wrong(*v, "registry", "not \"sqlite:\" and a file name, like \"sqlite:registry.db\"");
    } else {
      s.registry_file = registry.substr(kSqlite.size());
      if (std::any_of(s.registry_file.begin(), s.registry_file.end(),
                      [](char c) { return static_cast<uint8_t>(c) < 0x20; })) {
        r.wrong(*v, "registry", "not a file name: it has control characters");
      }
    }
  }
  int64_t max_sessions = s.max_sessions;
  r.read(users, "max_sessions", 1, kMaxSessions, max_sessions);
  s.max_sessions = static_cast<uint32_t>(max_sessions);
}

}  // namespace

std::vector<SocketAddress> ServerSettings::default_listen() {
  return {*SocketAddress::parse("0.0.0.0:443"), *SocketAddress::parse("[::]:443")};
}

Result<ServerSettings> parse_server_settings(std::string_view text, std::string_view file_name) {
  const auto root = toml_tree::parse(text, file_name);
  if (!root) return root.error();
  Reader r(file_name, kKeys);
  ServerSettings s;
  read_top(r, *root, s);
  if (const Value* users = r.table(*root, "users")) read_users(r, *users, s);
  read_network(r, *root, s);
  if (const Value* advanced = r.table(*root, "advanced")) {
    r.check_keys(*advanced, "advanced");
    read_offload(r, *advanced, OffloadSide::server, s.offload);
  }
  if (r.failed()) return r.error();
  return s;
}

std::string render(const ServerSettings& s) {
  const auto list = [](const auto& items) {
    std::string out;
    for (const auto& item : items) out += (out.empty() ? "" : ", ") + quote(item.to_string());
    return "[" + out + "]";
  };
  std::string out = "version = 1\n";
  out += "listen = " + list(s.listen) + "\n";
  out +=
      "endpoints = " + list(s.endpoints) + "  # where clients reach this server: put into invites, told to sessions\n";
  out += "private_key_file = " + quote(s.private_key_file) + "\n";
  out += "workers = " + (s.workers ? std::to_string(*s.workers) : quote("auto")) + "\n";
  out += "\n[network]\ninterface = " + quote(s.interface) + "\n";
  if (s.ipv4) out += "ipv4 = " + quote(s.ipv4->to_string()) + "  # the first address is the server's\n";
  if (s.ipv6) out += "ipv6 = " + quote(s.ipv6->to_string()) + "\n";
  out += std::string("nat = ") + (s.nat ? "true" : "false") + "\n";
  out += std::string("client_to_client = ") + (s.client_to_client ? "true" : "false") + "\n";
  if (!s.dns.empty()) out += "dns = " + list(s.dns) + "\n";
  out += "\n[users]\nregistry = " + quote("sqlite:" + s.registry_file) + "  # relative to the state folder\n";
  out += "max_sessions = " + std::to_string(s.max_sessions) + "\n";
  if (s.offload != OffloadChoice{}) out += "\n[advanced]\noffload = " + render_offload(s.offload, OffloadSide::server) + "\n";
  return out;
}

}  // namespace hawser
