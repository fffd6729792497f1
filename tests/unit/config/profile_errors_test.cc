// What a profile must not say: the exact message, with line and column, for each mistake; everything unbuilt refused by
// name.
#include "common/config/profile.h"
#include "tests/unit/config/support.h"

using namespace hawser;
using namespace hawser::test;

namespace {

struct Case {
  const char* toml;     // after the three lines of minimal_profile()
  const char* message;  // after "home.toml:"
};

void check(const std::string& text, const std::string& message) {
  INFO(text);
  const auto parsed = parse_profile(text, "home.toml");
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == ExitCode::configuration);
  CHECK(parsed.error().message == "home.toml:" + message);
}

}  // namespace

TEST_CASE("mistakes are told with their place and the fix") {
  const Case cases[] = {
      {"[[path]]\nmatch = { interface = \"a\" }\npriority = \"bakcup\"",
       "6:12: priority = \"bakcup\" is not one of auto, always, secondary, backup, never (did you mean \"backup\"?)"},
      {"[[path]]\nmatch = { interface = \"a\" }\n  priority =   7",
       "6:16: priority = 7 is not one of auto, always, secondary, backup, never"},
      {"[[path]]\npriority = \"backup\"", "4:1: [[path]] has no match; add: match = { interface = \"wlan0\" }"},
      {"[[path]]\nmatch = {}\npriority = \"backup\"", "5:9: match is empty; name an interface, a type or metered"},
      {"[[path]]\nmatch = { interface = \"a b\" }", "5:23: interface = \"a b\" is not an interface name or glob"},
      {"[[path]]\nmatch = { type = \"wfi\" }",
       "5:18: type = \"wfi\" is not one of ethernet, wifi, cellular, other (did you mean \"wifi\"?)"},
      {"[[path]]\nmatch = { metered = \"yes\" }", "5:21: metered = \"yes\" is not one of true, false (without quotes)"},
      {"[[path]]\nmatch = { iface = \"a\" }",
       "5:11: unknown key \"iface\" in [path.match]; known are: interface, type, metered"},
      {"[[path]]\nmatch = \"wlan0\"", "5:9: match is a string, but must be a table: [match]"},
      {"[[path]]\nmatch = { interface = \"a\" }\ngateway = \"home\"", "6:11: gateway = \"home\" is not an IP address"},
      {"[[path]]\nmatch = { interface = \"a\" }\nprioritty = \"backup\"",
       "6:1: unknown key \"prioritty\" in [[path]] (did you mean \"priority\"?)"},
      {"[path]\nmatch = { interface = \"a\" }", "4:1: path is a table, but must be a list of tables: [[path]]"},
      {"[tunel]\nmtu = 1400", "4:2: unknown key \"tunel\" at the top of the file (did you mean \"tunnel\"?)"},
      {"[tunnel]\nmtuu = 1400", "5:1: unknown key \"mtuu\" in [tunnel] (did you mean \"mtu\"?)"},
      {"[tunnel]\nscheduler = \"auto\"", "5:1: unknown key \"scheduler\" in [tunnel] (it belongs in [bonding])"},
      {"[tunnel]\nmtu = 1279", "5:7: mtu = 1279 is not \"auto\" or a number from 1280 to 9000"},
      {"[tunnel]\nmtu = 9001", "5:7: mtu = 9001 is not \"auto\" or a number from 1280 to 9000"},
      {"[tunnel]\nmtu = 1400.5", "5:7: mtu = a number with a fraction is not \"auto\" or a number from 1280 to 9000"},
      {"[tunnel]\nmtu = \"big\"", "5:7: mtu = \"big\" is not \"auto\" or a number from 1280 to 9000"},
      {"[tunnel]\ninterface = \"much-too-long-a-name\"",
       "5:13: interface = \"much-too-long-a-name\" is not an interface name (1 to 15 characters, no \"/\", \":\" or "
       "space) and not \"auto\""},
      {"[tunnel]\ninterface = 7", "5:13: interface = 7 is not a string; write it in quotes"},
      {"[tunnel]\nroute = \"al\"",
       "5:9: route = \"al\" is not one of all, none, [\"BLOCK\", ...] (did you mean \"all\"?)"},
      {"[tunnel]\nroute = []", "5:9: route = a list is empty; write \"none\" to route nothing"},
      {"[tunnel]\nroute = [\"10.0.0.1/8\"]",
       "5:10: route: \"10.0.0.1/8\" has bits set after its length (did you mean \"10.0.0.0/8\"?)"},
      {"[tunnel]\nroute = [\"10.0.0.0/33\"]",
       "5:10: route: \"10.0.0.0/33\" is not an address block like 10.0.0.0/8 or 2001:db8::/32"},
      {"[tunnel]\nroute = [7]", "5:10: route holds 7, but must be a list of address blocks"},
      {"[tunnel]\nbypass = \"10.0.0.0/8\"", "5:10: bypass = \"10.0.0.0/8\" is not a list of address blocks"},
      {"[tunnel]\nlan_access = \"true\"", "5:14: lan_access = \"true\" is not one of true, false (without quotes)"},
      {"[tunnel]\ndns = \"of\"", "5:7: dns = \"of\" is not \"off\", the only value of this version"},
      {"[bonding]\ncongestion = \"bbr\"",
       "5:14: congestion = \"bbr\" is not one of auto, lia, olia, balia, wvegas, cubic, reno"},
      {"[bonding]\nscheduler = \"earlyest\"",
       "5:13: scheduler = \"earlyest\" is not one of auto, earliest, min-rtt, blest, ecf, round-robin, queue-length, "
       "service-time, redundant (did you mean \"earliest\"?)"},
      {"[bonding]\nignore = [\"a b\"]", "5:11: ignore: \"a b\" is not an interface name or glob"},
      {"[bonding]\ndiscover = 1", "5:12: discover = 1 is not one of true, false (without quotes)"},
      {"[log]\nlevel = \"loud\"", "5:9: level = \"loud\" is not one of error, warning, notice, info, debug"},
      {"[client]\nprivate_key_file = \"\"", "5:20: private_key_file = \"\" is empty"},
      {"[log\nlevel = \"info\"", "4:5: Error while parsing table header: expected ']', saw '\\n'"},
      {"[tunnel]\nmtu = 1400\nmtu = 1500",
       "6:7: Error while parsing key-value pair: cannot redefine existing integer 'mtu'"},
      {"[tunnel]\ninterface = \"a", "5:15: Error while parsing string: encountered end-of-file"},
  };
  for (const Case& c : cases) check(minimal_profile(c.toml), c.message);
  check("path = 1\n" + minimal_profile(), "1:8: path is a number, but must be a list of tables: [[path]]");
  check("path = [1]\n" + minimal_profile(), "1:9: path holds 1, but must be a list of tables: [[path]]");
  check("tunnel = 1\n" + minimal_profile(), "1:10: tunnel is a number, but must be a table: [tunnel]");
}

TEST_CASE("mistakes of the server's section") {
  const std::string key_line = "public_key = \"" + kKey + "\"\n";
  check("", "1:1: [server] is missing: a profile needs the server's endpoints and public_key");
  check("\n\n[tunnel]\nmtu = 1400\n",
        "1:1: [server] is missing: a profile needs the server's endpoints and public_key");
  check("server = 7", "1:10: server is a number, but must be a table: [server]");
  check("[server]\n" + key_line, "1:1: [server] has no endpoints; add: endpoints = [\"ADDRESS:443\"]");
  check("[server]\nendpoints = [\"a:1\"]\n", "1:1: [server] has no public_key; `vpn-server init` prints it");
  check("[server]\nendpoints = []\n" + key_line,
        "2:13: endpoints = a list is empty; add the server: endpoints = [\"ADDRESS:443\"]");
  check("[server]\nendpoints = \"a:1\"\n" + key_line,
        "2:13: endpoints = \"a:1\" is not a list like [\"203.0.113.7:443\"]");
  check("[server]\nendpoints = [\"203.0.113.7\"]\n" + key_line,
        "2:14: endpoints: \"203.0.113.7\" has no port; write HOST:PORT");
  check("[server]\nendpoints = [\"a:1\", \"b:x\"]\n" + key_line,
        "2:21: endpoints: \"b:x\" has no valid port (1 to 65535)");
  check("[server]\nendpoints = [\"a:1\"]\npublic_key = \"Vq3k\"\n",
        "3:14: public_key = \"Vq3k\" is not a public key (44 characters of base64; `vpn-server init` prints it)");
  check("version = 2\n" + minimal_profile(),
        "1:11: version = 2 is not 1, the only format that this program knows; a newer profile needs a newer Hawser");
  check(
      "version = \"1\"\n" + minimal_profile(),
      "1:11: version = \"1\" is not 1, the only format that this program knows; a newer profile needs a newer Hawser");
}

TEST_CASE("what is documented but not built is refused as such") {
  const Case cases[] = {
      {"[tunnel]\ndns = \"auto\"", "5:7: dns = \"auto\" is not in this version; use \"off\""},
      {"[tunnel]\ndns = [\"9.9.9.9\"]", "5:7: dns = a list is not in this version; use \"off\""},
      {"[tunnel]\nkill_switch = \"on\"", "5:15: kill_switch = \"on\" is not in this version; use \"off\""},
      {"[tunnel]\nkill_switch = \"strict\"", "5:15: kill_switch = \"strict\" is not in this version; use \"off\""},
      {"[bonding]\nmode = \"speed\"", "5:8: mode = \"speed\" is not in this version; choose from auto, redundant"},
      {"[bonding]\nmode = \"latency\"", "5:8: mode = \"latency\" is not in this version; choose from auto, redundant"},
      {"[bonding]\nscheduler = \"script:x.lua\"", "5:13: scheduler = \"script:x.lua\" is not in this version"},
      {"[[path]]\nmatch = { interface = \"a\" }\nlimit = { down = \"40M\", up = \"10M\" }",
       "6:1: limit in [[path]] is not in this version; remove it"},
      {"[[path]]\nmatch = { interface = \"a\" }\ndata = { monthly = \"20GB\" }",
       "6:1: data in [[path]] is not in this version; remove it"},
      {"[[class]]\nmatch = { proto = \"udp\" }\npolicy = \"realtime\"",
       "4:3: class at the top of the file is not in this version; remove it"},
  };
  for (const Case& c : cases) check(minimal_profile(c.toml), c.message);
}

TEST_CASE("a wrong choice of offloads is told exactly") {
  check(minimal_profile("[advanced]\noffload = \"on\""), "5:11: offload = \"on\" is not one of auto, off");
  check(minimal_profile("[advanced]\noffload = [\"udp-gso\", \"gso\"]"),
        "5:23: offload: \"gso\" is not one of udp-gso, udp-gro, tun-tso, tun-uso");
  check(minimal_profile("[advanced]\noffload = [\"udp-gso\", \"udp-gso\"]"),
        "5:23: offload: \"udp-gso\" is there twice");
  check(minimal_profile("[advanced]\noffload = [\"tun-uso\"]"),
        "5:11: offload = a list is missing \"tun-tso\", without which the kernel has no \"tun-uso\"");
}

TEST_CASE("the earliest of several mistakes is told") {
  check("[server]\nendpoints = [\"x\"]\npublic_key = \"x\"\n[tunnel]\nmtu = 1\n",
        "2:14: endpoints: \"x\" has no port; write HOST:PORT");
  check("[tunnel]\nmtu = 1\n[server]\nendpoints = [\"x\"]\npublic_key = \"x\"\n",
        "2:7: mtu = 1 is not \"auto\" or a number from 1280 to 9000");
}

TEST_CASE("text from a file cannot paint the terminal") {
  const auto parsed = parse_profile(minimal_profile("[tunnel]\nroute = \"\\u001b[31m\""), "a\x1b.toml");
  REQUIRE_FALSE(parsed);
  for (char c : parsed.error().message) CHECK(static_cast<uint8_t>(c) >= 0x20);
  const auto unknown = parse_profile(minimal_profile("\"\\u001b[31m\\n\" = 1"), "home.toml");
  REQUIRE_FALSE(unknown);
  for (char c : unknown.error().message) CHECK(static_cast<uint8_t>(c) >= 0x20);
}

TEST_CASE("no input is too strange") {
  CHECK_FALSE(parse_profile(std::string(2 << 20, 'a'), "x"));
  CHECK_FALSE(parse_profile(std::string(100'000, '['), "x"));
  CHECK_FALSE(parse_profile("a = " + std::string(100'000, '['), "x"));
  CHECK_FALSE(parse_profile(std::string("\0\0", 2), "x"));
  CHECK_FALSE(parse_profile("\xff\xfe", "x"));
  CHECK_FALSE(parse_profile("a.b.c.d.e = 1\nserver = 1979-05-27", "x"));
  const uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 3000; ++i) {
    std::string text = minimal_profile("[tunnel]\nroute = [\"10.0.0.0/8\"]\n[[path]]\nmatch = { interface = \"a\" }\n");
    for (auto n = random() % 5 + 1; n > 0; --n) text.insert(random() % text.size(), hostile_text(random));
    const auto parsed = parse_profile(text, "home.toml");
    if (!parsed) REQUIRE(parsed.error().message.starts_with("home.toml:"));
  }
}
