// Profiles: every accepted key changes what is read, what is written reads back, hostile text stays text.
#include "common/config/profile.h"

#include <functional>

#include "tests/unit/config/support.h"

using namespace hawser;
using namespace hawser::test;
using wire::PathPriority;

namespace {

Profile read(const std::string& rest) {
  return must(parse_profile(minimal_profile(rest), "home.toml"));
}

}  // namespace

TEST_CASE("a minimal profile has the documented defaults") {
  const Profile p = must(parse_profile(minimal_profile(), "/etc/hawser/home.toml"));
  REQUIRE(p.endpoints.size() == 1);
  CHECK(p.endpoints[0] == HostPort{"203.0.113.7", 443});
  CHECK(p.server_public_key.to_base64() == kKey);
  CHECK(p.private_key_file == "keys/home.key");
  CHECK(p.interface == "auto");
  CHECK(p.route.kind == RouteChoice::Kind::all);
  CHECK(p.bypass.empty());
  CHECK(p.lan_access);
  CHECK_FALSE(p.mtu);
  CHECK(p.mode == wire::Mode::automatic);
  CHECK(p.scheduler == wire::SchedulerKind::automatic);
  CHECK(p.congestion == wire::CongestionKind::automatic);
  CHECK(p.discover);
  CHECK(p.ignore == default_ignore());
  CHECK(p.paths.empty());
  CHECK(p.log_level == "info");
}

TEST_CASE("every accepted key changes the profile") {
  struct Case {
    const char* toml;
    std::function<bool(const Profile&)> holds;
  };
  using P = const Profile&;
  const Case cases[] = {
      {"[client]\nprivate_key_file = \"/k\"", [](P p) { return p.private_key_file == "/k"; }},
      {"[tunnel]\ninterface = \"vpn7\"", [](P p) { return p.interface == "vpn7"; }},
      {"[tunnel]\nroute = \"none\"", [](P p) { return p.route.kind == RouteChoice::Kind::none; }},
      {"[tunnel]\nroute = [\"10.0.0.0/8\", \"2001:db8::/32\"]",
       [](P p) {
         return p.route.kind == RouteChoice::Kind::list && p.route.list.size() == 2 &&
                p.route.list[1].to_string() == "2001:db8::/32";
       }},
      {"[tunnel]\nbypass = [\"198.51.100.0/24\", \"192.0.2.1\"]",
       [](P p) { return p.bypass.size() == 2 && p.bypass[1].to_string() == "192.0.2.1/32"; }},
      {"[tunnel]\nlan_access = false", [](P p) { return !p.lan_access; }},
      {"[tunnel]\nmtu = 1280", [](P p) { return p.mtu == 1280; }},
      {"[tunnel]\nmtu = 9000", [](P p) { return p.mtu == 9000; }},
      {"[bonding]\nscheduler = \"earliest\"", [](P p) { return p.scheduler == wire::SchedulerKind::earliest; }},
      {"[bonding]\nscheduler = \"min-rtt\"", [](P p) { return p.scheduler == wire::SchedulerKind::min_rtt; }},
      {"[bonding]\ncongestion = \"lia\"", [](P p) { return p.congestion == wire::CongestionKind::lia; }},
      {"[bonding]\ncongestion = \"olia\"", [](P p) { return p.congestion == wire::CongestionKind::olia; }},
      {"[bonding]\ncongestion = \"balia\"", [](P p) { return p.congestion == wire::CongestionKind::balia; }},
      {"[bonding]\ncongestion = \"wvegas\"", [](P p) { return p.congestion == wire::CongestionKind::wvegas; }},
      {"[bonding]\ncongestion = \"cubic\"", [](P p) { return p.congestion == wire::CongestionKind::cubic; }},
      {"[bonding]\ncongestion = \"reno\"", [](P p) { return p.congestion == wire::CongestionKind::reno; }},
      {"[bonding]\nscheduler = \"blest\"", [](P p) { return p.scheduler == wire::SchedulerKind::blest; }},
      {"[bonding]\nscheduler = \"ecf\"", [](P p) { return p.scheduler == wire::SchedulerKind::ecf; }},
      {"[bonding]\nscheduler = \"round-robin\"", [](P p) { return p.scheduler == wire::SchedulerKind::round_robin; }},
      {"[bonding]\nscheduler = \"queue-length\"", [](P p) { return p.scheduler == wire::SchedulerKind::queue_length; }},
      {"[bonding]\nscheduler = \"service-time\"", [](P p) { return p.scheduler == wire::SchedulerKind::service_time; }},
      {"[bonding]\nscheduler = \"redundant\"", [](P p) { return p.scheduler == wire::SchedulerKind::redundant; }},
      {"[bonding]\nmode = \"redundant\"", [](P p) { return p.mode == wire::Mode::redundant; }},
      {"[bonding]\ndiscover = false", [](P p) { return !p.discover; }},
      {"[bonding]\nignore = [\"docker*\", \"wlan1\"]",
       [](P p) {
         return p.ignore == std::vector<std::string>{"docker*", "wlan1"};
       }},
      {"[bonding]\nignore = []", [](P p) { return p.ignore.empty(); }},
      {"[[path]]\nmatch = { type = \"cellular\" }\npriority = \"secondary\"",
       [](P p) {
         return p.paths.size() == 1 && p.paths[0].match.type == "cellular" &&
                p.paths[0].priority == PathPriority::secondary;
       }},
      {"[[path]]\nmatch = { interface = \"wwan*\" }\npriority = \"backup\"",
       [](P p) { return p.paths[0].match.interface == "wwan*" && p.paths[0].priority == PathPriority::backup; }},
      {"[[path]]\nmatch = { metered = true }\npriority = \"never\"",
       [](P p) { return p.paths[0].match.metered == true && p.paths[0].priority == PathPriority::never; }},
      {"[[path]]\nmatch = { metered = false }\npriority = \"always\"",
       [](P p) { return p.paths[0].match.metered == false && p.paths[0].priority == PathPriority::always; }},
      {"[[path]]\nmatch.interface = \"a\"\npriority = \"auto\"",
       [](P p) { return p.paths[0].priority == PathPriority::automatic; }},
      {"[[path]]\nmatch = { interface = \"eth1\" }\ngateway = \"192.168.8.1\"",
       [](P p) { return p.paths[0].gateway->to_string() == "192.168.8.1" && !p.paths[0].priority; }},
      {"[log]\nlevel = \"debug\"", [](P p) { return p.log_level == "debug"; }},
      {"[log]\nlevel = \"error\"", [](P p) { return p.log_level == "error"; }},
  };
  const Profile plain = read("");
  for (const Case& c : cases) {
    INFO(c.toml);
    const Profile p = read(c.toml);
    CHECK(c.holds(p));
    CHECK_FALSE(p == plain);
  }
  const Profile two = must(parse_profile(
      "[server]\nendpoints = [\"203.0.113.7:443\", \"[2a03::7]:1\", \"a.example:2\"]\npublic_key = \"" + kKey + "\"",
      "x"));
  CHECK(two.endpoints.size() == 3);
}

TEST_CASE("the documented defaults may be written out") {
  const Profile plain = read("");
  for (const char* toml :
       {"[tunnel]\ndns = \"off\"", "[tunnel]\nkill_switch = \"off\"", "[tunnel]\nmtu = \"auto\"",
        "[tunnel]\nroute = \"all\"", "[tunnel]\nlan_access = true", "[tunnel]\ninterface = \"auto\"",
        "[bonding]\nmode = \"auto\"", "[bonding]\nscheduler = \"auto\"", "[bonding]\ncongestion = \"auto\"",
        "[bonding]\ndiscover = true", "[advanced]\noffload = \"auto\"",
        "[advanced]\noffload = [\"tun-uso\", \"tun-tso\", \"udp-gro\", \"udp-gso\"]", "[log]\nlevel = \"info\"",
        "[client]\nprivate_key_file = \"keys/home.key\""}) {
    INFO(toml);
    CHECK(read(toml) == plain);
  }
  CHECK(must(parse_profile("version = 1\n" + minimal_profile(), "home.toml")) == plain);
}

TEST_CASE("offloads: all, none, or those that are named") {
  const auto choice = [](const char* value) { return read(std::string("[advanced]\noffload = ") + value).offload; };
  CHECK(choice("\"off\"") == OffloadChoice{false, false, false, false});
  CHECK(choice("[]") == OffloadChoice{false, false, false, false});
  CHECK(choice("[\"udp-gso\"]") == OffloadChoice{true, false, false, false});
  CHECK(choice("[\"udp-gro\"]") == OffloadChoice{false, true, false, false});
  CHECK(choice("[\"tun-tso\"]") == OffloadChoice{false, false, true, false});
  CHECK(choice("[\"tun-tso\", \"tun-uso\"]") == OffloadChoice{false, false, true, true});
  for (const char* value : {"\"auto\"", "\"off\"", "[\"udp-gso\", \"tun-tso\"]"}) {
    const Profile p = read(std::string("[advanced]\noffload = ") + value);
    CHECK(must(parse_profile(render(p), "home.toml")) == p);
  }
}

TEST_CASE("what is rendered reads back the same") {
  Profile p = read("");
  CHECK(must(parse_profile(render(p), "home.toml")) == p);
  p = read(
      "[client]\nprivate_key_file = \"k\"\n[tunnel]\ninterface = \"vpn7\"\nroute = [\"10.0.0.0/8\"]\nbypass = "
      "[\"192.0.2.1\"]\nlan_access = false\n"
      "mtu = 1400\n[bonding]\nscheduler = \"min-rtt\"\ndiscover = false\nignore = [\"a*\"]\n[[path]]\nmatch = { "
      "interface = \"w*\", type = \"wifi\", "
      "metered = false }\npriority = \"backup\"\n[[path]]\nmatch = { type = \"other\" }\ngateway = "
      "\"fe80::1\"\n[log]\nlevel = \"debug\"");
  CHECK(must(parse_profile(render(p), "home.toml")) == p);
  p.route = {RouteChoice::Kind::none, {}};
  p.ignore.clear();
  CHECK(must(parse_profile(render(p), "home.toml")) == p);
}

TEST_CASE("hostile text in values stays text") {
  const uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    Profile p = read("");
    p.private_key_file = hostile_text(random);
    const std::string text = render(p);
    INFO(text);
    const Profile back = must(parse_profile(text, "home.toml"));
    REQUIRE(back.private_key_file == p.private_key_file);
    REQUIRE(back == p);
  }
  // Not UTF-8: replaced, and the file still reads.
  Profile p = read("");
  p.private_key_file = "a\xff\xc3z\xed\xa0\x80";
  CHECK(must(parse_profile(render(p), "home.toml")).private_key_file ==
        "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("the most specific entry decides, key by key") {
  const Profile p = read(R"(
[[path]]
match = { metered = true }
priority = "never"
[[path]]
match = { type = "cellular" }
priority = "secondary"
gateway = "10.0.0.1"
[[path]]
match = { interface = "w*" }
priority = "always"
[[path]]
match = { interface = "wwan*" }
priority = "backup"
[[path]]
match = { interface = "wwan0" }
gateway = "10.0.0.2"
[[path]]
match = { interface = "wwan0" }
gateway = "10.0.0.3"
[[path]]
match = { type = "wifi", metered = true }
priority = "backup"
)");
  struct Case {
    const char *interface, *type;
    bool metered;
    PathPriority priority;
    const char* gateway;
    bool named;
  };
  const Case cases[] = {
      {"eth0", "ethernet", false, PathPriority::automatic, "", false},
      {"eth0", "ethernet", true, PathPriority::never, "", false},
      {"ppp0", "cellular", true, PathPriority::secondary, "10.0.0.1", false},
      {"wlan0", "wifi", false, PathPriority::always, "", true},
      {"wwan1", "cellular", true, PathPriority::backup, "10.0.0.1", true},
      {"wwan0", "cellular", true, PathPriority::backup, "10.0.0.2", true},
      {"eth9", "wifi", true, PathPriority::backup, "", false},
  };
  for (const Case& c : cases) {
    INFO(c.interface << " " << c.type << " metered " << c.metered);
    const PathSettings s = path_settings(p, c.interface, c.type, c.metered);
    CHECK(s.priority == c.priority);
    CHECK((s.gateway ? s.gateway->to_string() : "") == c.gateway);
    CHECK(s.named == c.named);
  }
}

TEST_CASE("ignored by name unless an entry names it") {
  const Profile p = read(
      "[[path]]\nmatch = { interface = \"veth7\" }\npriority = \"auto\"\n[[path]]\nmatch = { type = \"other\" "
      "}\npriority = \"auto\"");
  CHECK(is_ignored(p, "docker0"));
  CHECK(is_ignored(p, "veth8"));
  CHECK_FALSE(is_ignored(p, "veth7"));
  CHECK_FALSE(is_ignored(p, "wlan0"));
  CHECK_FALSE(is_ignored(p, "eth0"));
}

TEST_CASE("words for values are those that are read") {
  for (auto v : {PathPriority::automatic, PathPriority::always, PathPriority::secondary, PathPriority::backup,
                 PathPriority::never}) {
    CHECK(must(parse_path_setting("a.priority", to_text(v))).priority == v);
  }
  CHECK(to_text(wire::SchedulerKind::service_time) == "service-time");
  CHECK(to_text(wire::CongestionKind::wvegas) == "wvegas");
  CHECK(to_text(wire::Mode::redundant) == "redundant");
}
