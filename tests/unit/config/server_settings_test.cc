// server.toml: defaults, every key, exact messages, what is not built, and the way back.
#include "common/config/server_settings.h"

#include <functional>

#include "tests/unit/config/support.h"

using namespace hawser;
using namespace hawser::test;

namespace {

const std::string kNetwork = "[network]\nipv4 = \"10.9.0.0/16\"\n";

ServerSettings read(const std::string& text) {
  return must(parse_server_settings(text, "server.toml"));
}

}  // namespace

TEST_CASE("a minimal server.toml has the documented defaults") {
  const ServerSettings s = read(kNetwork);
  CHECK(s.listen == std::vector{*SocketAddress::parse("0.0.0.0:443"), *SocketAddress::parse("[::]:443")});
  CHECK(s.endpoints.empty());
  CHECK(s.private_key_file == "keys/server.key");
  CHECK(s.interface == "hawser-srv");
  CHECK(s.ipv4->to_string() == "10.9.0.0/16");
  CHECK_FALSE(s.ipv6);
  CHECK(s.nat);
  CHECK_FALSE(s.client_to_client);
  CHECK(s.dns.empty());
  CHECK(s.registry_file == "registry.db");
  CHECK(s.max_sessions == 10000);
}

TEST_CASE("every accepted server key changes the settings") {
  struct Case {
    std::string toml;
    std::function<bool(const ServerSettings&)> holds;
  };
  using S = const ServerSettings&;
  const Case cases[] = {
      {"listen = [\"192.0.2.1:4443\"]\n" + kNetwork,
       [](S s) { return s.listen.size() == 1 && s.listen[0].to_string() == "192.0.2.1:4443"; }},
      {"endpoints = [\"203.0.113.7:443\", \"vpn.example.org:1\"]\n" + kNetwork,
       [](S s) { return s.endpoints.size() == 2 && s.endpoints[1].host == "vpn.example.org"; }},
      {"private_key_file = \"/k\"\n" + kNetwork, [](S s) { return s.private_key_file == "/k"; }},
      {kNetwork + "interface = \"srv0\"", [](S s) { return s.interface == "srv0"; }},
      {"[network]\nipv4 = \"10.8.0.0/24\"", [](S s) { return s.ipv4->to_string() == "10.8.0.0/24"; }},
      {kNetwork + "ipv6 = \"fd3a:71c2:9e04::/48\"", [](S s) { return s.ipv6->to_string() == "fd3a:71c2:9e04::/48"; }},
      {kNetwork + "nat = false", [](S s) { return !s.nat; }},
      {kNetwork + "client_to_client = true", [](S s) { return s.client_to_client; }},
      {kNetwork + "dns = [\"9.9.9.9\", \"2620:fe::fe\"]",
       [](S s) { return s.dns.size() == 2 && s.dns[1].to_string() == "2620:fe::fe"; }},
      {kNetwork + "[users]\nregistry = \"sqlite:/var/x.db\"", [](S s) { return s.registry_file == "/var/x.db"; }},
      {kNetwork + "[advanced]\noffload = \"off\"",
       [](S s) {
         return s.offload == OffloadChoice{false, false, false, false, false, false};
       }},
      {kNetwork + "[advanced]\noffload = [\"udp-gso\"]",
       [](S s) {
         return s.offload == OffloadChoice{true, false, false, false, false, false};
       }},
      {kNetwork + "[advanced]\noffload = [\"udp-steering\"]",
       [](S s) {
         return s.offload == OffloadChoice{false, false, false, false, true, false};
       }},
      {"workers = 1\n" + kNetwork, [](S s) { return s.workers == 1u; }},
      {"workers = 64\n" + kNetwork, [](S s) { return s.workers == 64u; }},
      {kNetwork + "[users]\nmax_sessions = 5", [](S s) { return s.max_sessions == 5; }},
  };
  for (const Case& c : cases) {
    INFO(c.toml);
    const ServerSettings s = read(c.toml);
    CHECK(c.holds(s));
    CHECK_FALSE(s == read(kNetwork));
    CHECK(read(render(s)) == s);
  }
  for (const char* same : {"version = 1\n", "workers = \"auto\"\n"})
    CHECK(read(same + kNetwork) == read(kNetwork));
  CHECK(read(render(read(kNetwork))) == read(kNetwork));
}

TEST_CASE("mistakes in server.toml are told with their place and the fix") {
  struct Case {
    std::string toml, message;
  };
  const Case cases[] = {
      {"", "1:1: [network] is missing: users need addresses; add: [network] with ipv4 = \"10.9.0.0/16\""},
      {"[network]\nnat = true",
       "1:1: [network] has neither ipv4 nor ipv6: users need addresses; add: ipv4 = \"10.9.0.0/16\""},
      {"[network]\nipv4 = \"10.9.0.1/16\"",
       "2:8: ipv4 = \"10.9.0.1/16\" is not the beginning of its block (did you mean \"10.9.0.0/16\"?)"},
      {"[network]\nipv4 = \"10.9.0.0\"", "2:8: ipv4 = \"10.9.0.0\" is not an IPv4 block like 10.9.0.0/16"},
      {"[network]\nipv4 = \"10.9.0.0/31\"", "2:8: ipv4 = \"10.9.0.0/31\" is not of a usable size (/8 to /30)"},
      {"[network]\nipv4 = \"fd00::/48\"", "2:8: ipv4 = \"fd00::/48\" is not an IPv4 block like 10.9.0.0/16"},
      {"[network]\nipv6 = \"fd00::/127\"", "2:8: ipv6 = \"fd00::/127\" is not of a usable size (/16 to /112)"},
      {"[network]\nipv6 = 7", "2:8: ipv6 = 7 is not a string; write it in quotes"},
      {kNetwork + "dns = [\"ns.example\"]", "3:8: dns: \"ns.example\" is not an IP address"},
      {kNetwork + "dns = [\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"1.1.1.4\",\"1.1.1.5\"]",
       "3:7: dns = a list is longer than 4 entries"},
      {kNetwork + "natt = true", "3:1: unknown key \"natt\" in [network] (did you mean \"nat\"?)"},
      {kNetwork + "listen = [\"[::]:443\"]",
       "3:1: unknown key \"listen\" in [network] (it belongs at the top of the file)"},
      {kNetwork + "interface = \"a/b\"",
       "3:13: interface = \"a/b\" is not an interface name (1 to 15 characters, no \"/\", \":\" or space)"},
      {"listen = [\"443\"]\n" + kNetwork,
       "1:11: listen: \"443\" is not ADDRESS:PORT, like \"0.0.0.0:443\" or \"[::]:443\""},
      {"listen = [\"[::]:0\"]\n" + kNetwork,
       "1:11: listen: \"[::]:0\" is not ADDRESS:PORT, like \"0.0.0.0:443\" or \"[::]:443\""},
      {"listen = [\"[::]:1\", \"[::]:1\"]\n" + kNetwork, "1:21: listen: \"[::]:1\" is there twice"},
      {"listen = []\n" + kNetwork, "1:10: listen = a list is empty; the default is [\"0.0.0.0:443\", \"[::]:443\"]"},
      {"endpoints = [\"x\"]\n" + kNetwork, "1:14: endpoints: \"x\" has no port; write HOST:PORT"},
      {"version = 3\n" + kNetwork,
       "1:11: version = 3 is not 1, the only format that this program knows; a newer file needs a newer Hawser"},
      {"workers = 0\n" + kNetwork, "1:11: workers = 0 is not \"auto\" or a number from 1 to 64"},
      {"workers = 65\n" + kNetwork, "1:11: workers = 65 is not \"auto\" or a number from 1 to 64"},
      {"workers = \"many\"\n" + kNetwork, "1:11: workers = \"many\" is not \"auto\" or a number from 1 to 64"},
      {kNetwork + "[users]\nregistry = \"registry.db\"",
       "4:12: registry = \"registry.db\" is not \"sqlite:\" and a file name, like \"sqlite:registry.db\""},
      {kNetwork + "[users]\nregistry = \"sqlite:\"",
       "4:12: registry = \"sqlite:\" is not \"sqlite:\" and a file name, like \"sqlite:registry.db\""},
      {kNetwork + "[users]\nmax_sessions = 0", "4:16: max_sessions = 0 is not a number from 1 to 1000000"},
      // Not built.
      {kNetwork + "dns = \"upstream\"",
       "3:7: dns = \"upstream\" is not in this version; give a list of addresses, or leave the key out to announce "
       "none"},
      {kNetwork + "[metrics]\nlisten = \"127.0.0.1:9590\"",
       "3:2: metrics at the top of the file is not in this version; remove it"},
      {kNetwork + "[users]\nregistry = \"postgres://hawser:secret@db/hawser\"",
       "4:12: registry = postgres://... is not in this version; choose \"sqlite:registry.db\""},
  };
  for (const Case& c : cases) {
    INFO(c.toml);
    const auto parsed = parse_server_settings(c.toml, "server.toml");
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ExitCode::configuration);
    CHECK(parsed.error().message == "server.toml:" + c.message);
  }
}

TEST_CASE("hostile text in server settings stays text") {
  const uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 1000; ++i) {
    ServerSettings s = read(kNetwork);
    s.private_key_file = hostile_text(random);
    REQUIRE(read(render(s)) == s);
  }
}
