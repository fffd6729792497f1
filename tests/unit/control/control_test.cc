// Status as JSON (the documented example, field by field), control messages, and the tables for people.
#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/control/human.h"
#include "common/control/messages.h"
#include "common/control/status_json.h"

using namespace hawser;
using Json = nlohmann::json;

namespace {

// The example of hawser.status/1 in the command reference, to the letter.
constexpr const char* kDocumented =
    R"({"schema":"hawser.status/1","profile":"home","state":"connected","since":"2026-11-22T11:48:03Z",
 "server":{"endpoint":"203.0.113.7:443","public_key":"Vq3k..."},
 "tunnel":{"interface":"hawser0","addresses":["10.9.0.2/32","fd3a:71c2:9e04::2/128"],"mtu":1432,"routes":["0.0.0.0/0","::/0"],"dns":{"servers":["9.9.9.9"],"via":"systemd-resolved"}},
 "rate":{"rx_bps":143200000,"tx_bps":27400000},"rtt_ms":29.1,"loss":0.0004,"cipher":"aes-256-gcm","scheduler":"earliest","congestion":"auto",
 "paths":[{"id":1,"interface":"wlan0","type":"wifi","metered":false,"priority":"always","state":"active","reason":null,"local":"192.168.1.7:40112","remote":"203.0.113.7:443","public":"198.51.100.4:40112",
   "rtt_ms":28.0,"rtt_min_ms":24.9,"loss":0.001,"cwnd_bytes":181000,"in_flight_bytes":90000,"pacing_bps":101000000,"capacity_bps":98000000,"queue_ms":3.0,"mtu":1472,"bottleneck_group":0,
   "rx_bytes":8100000000,"tx_bytes":910000000,"reinjected_packets":41,"share":0.67}],
 "drops":{"ingress_aqm":12,"resequencer_late":0,"replay":0,"auth":0},
 "health":[{"code":"no-route","interface":"eth1","severity":"low","text":"...","fix":"..."}]})";

template <typename T>
T must(Result<T> result) {
  if (!result) FAIL("unexpected error: " << result.error().message);
  return std::move(*result);
}

// Every key of `expected` is in `actual`, with the same value; `actual` may have more.
void check_contains(const Json& expected, const Json& actual, const std::string& where) {
  INFO(where);
  if (expected.is_object()) {
    REQUIRE(actual.is_object());
    for (const auto& [key, value] : expected.items()) {
      INFO("key " << key);
      REQUIRE(actual.contains(key));
      check_contains(value, actual[key], where + "." + key);
    }
  } else if (expected.is_array()) {
    REQUIRE(actual.size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      check_contains(expected[i], actual[i], where + "[" + std::to_string(i) + "]");
  } else {
    CHECK(expected == actual);
  }
}

StatusReport two_paths() {
  StatusReport r = must(parse_status(kDocumented));
  r.paths[0].rx_bps = 96e6;
  r.paths[0].tx_bps = 19e6;
  r.paths[0].tx_bytes = 0;
  PathReport p;
  p.id = 2;
  p.interface = "wwan0";
  p.type = "cellular";
  p.metered = true;
  p.priority = "secondary";
  p.state = "active";
  p.rtt_ms = 51;
  p.loss = 0.009;
  p.rx_bps = 47e6;
  p.tx_bps = 8e6;
  p.share = 0.33;
  p.copied_packets = 17;
  p.copied_bytes = 3900;
  r.memory_bytes = 480'000;
  p.rx_bytes = 8'000'000'000;
  r.paths.push_back(p);
  r.health.clear();
  return r;
}

}  // namespace

TEST_CASE("the documented status reads and writes with every key") {
  const StatusReport report = must(parse_status(kDocumented));
  CHECK(report.since == UnixTime{1795348083});
  CHECK(report.tunnel.dns_via == "systemd-resolved");
  CHECK(report.paths[0].public_address == "198.51.100.4:40112");
  CHECK_FALSE(report.paths[0].reason);
  check_contains(Json::parse(kDocumented), Json::parse(render_json(report)), "status");
  CHECK(must(parse_status(render_json(report))) == report);
  CHECK(must(parse_status(render_json(two_paths()))) == two_paths());
  CHECK(render_json(report).find('\n') == std::string::npos);
}

TEST_CASE("an interface's second family is listed below the first, and not told while that carries") {
  StatusReport r = two_paths();
  PathReport spare = r.paths[0];
  spare.state = "standby";
  spare.reason = "spare";
  spare.local = "[2001:db8::7]:40113";
  r.paths.insert(r.paths.begin() + 1, spare);
  const std::string table = status_table(r, UnixTime{1795348083}, {});
  CHECK(table.find("\nwlan0") < table.find("\n  and IPv6  wifi"));
  CHECK(table.find("standby: spare") != std::string::npos);
  const std::string summary = connected_summary(r, Duration::millis(310), {});
  CHECK(summary.find("wlan0") == summary.rfind("wlan0"));
  r.paths[0].state = "lost";
  CHECK(connected_summary(r, Duration::millis(310), {}).find("standby: spare") != std::string::npos);
}

TEST_CASE("an empty status has every key, too") {
  const Json empty = Json::parse(render_json(StatusReport{}));
  const Json documented = Json::parse(kDocumented);
  for (const auto& [key, value] : documented.items()) {
    INFO(key);
    CHECK(empty.contains(key));
  }
  CHECK(empty["since"].is_null());
  CHECK(empty["cipher"].is_null());
  CHECK(empty["rtt_ms"].is_null());
  CHECK(empty["tunnel"]["interface"].is_null());
  CHECK(empty["tunnel"]["dns"]["via"].is_null());
  CHECK(empty["drops"] == Json{{"ingress_aqm", 0}, {"resequencer_late", 0}, {"replay", 0}, {"auth", 0}});
  CHECK(must(parse_status(render_json(StatusReport{}))) == StatusReport{});
}

TEST_CASE("a reader of status ignores what it does not know and refuses what it cannot read") {
  Json json = Json::parse(kDocumented);
  json["new_field"] = {{"a", 1}};
  json["paths"][0]["another"] = true;
  CHECK(must(parse_status(json.dump())) == must(parse_status(kDocumented)));
  const char* bad[] = {"",
                       "{",
                       "[]",
                       "null",
                       "{}",
                       R"({"schema":"hawser.status/2"})",
                       R"({"schema":"hawser.server-status/1"})",
                       R"({"schema":7})",
                       R"({"schema":"hawser.status/1","state":7})",
                       R"({"schema":"hawser.status/1","paths":{}})",
                       R"({"schema":"hawser.status/1","paths":[7]})",
                       R"({"schema":"hawser.status/1","tunnel":7})",
                       R"({"schema":"hawser.status/1","drops":{"auth":"x"}})",
                       R"({"schema":"hawser.status/1","tunnel":{"addresses":[1]}})"};
  for (const char* text : bad) {
    INFO(text);
    const auto parsed = parse_status(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ExitCode::unexpected);
  }
  CHECK_FALSE(parse_status(std::string(200'000, '[')));
}

TEST_CASE("numbers that JSON does not have and text that is no UTF-8 do no harm") {
  StatusReport report = two_paths();
  report.paths[0].rtt_ms = std::numeric_limits<double>::infinity();
  report.loss = std::numeric_limits<double>::quiet_NaN();
  report.paths[0].interface = "a\xff\n\"";
  const std::string text = render_json(report);
  CHECK(text.find('\n') == std::string::npos);
  const StatusReport back = must(parse_status(text));
  CHECK_FALSE(back.paths[0].rtt_ms);
  CHECK(back.paths[0].interface == "a\xef\xbf\xbd\n\"");
}

TEST_CASE("server status reads back what was written") {
  ServerStatusReport report;
  report.since = UnixTime{1795348083};
  report.public_key = "k";
  report.interface = "hawser-srv";
  report.addresses = {"10.9.0.1/16"};
  report.listen = {"0.0.0.0:443"};
  report.endpoints = {"203.0.113.7:443"};
  report.sessions = 1;
  report.max_sessions = 10000;
  report.rx_bps = 5;
  report.handshakes = {{"accepted", 3}, {"refused", 1}};
  UserReport user;
  user.name = "laptop";
  user.id = 7;
  user.addresses = {"10.9.0.2"};
  user.since = UnixTime{1795348084};
  user.cipher = "chacha20-poly1305";
  user.scheduler = "ecf";
  user.congestion = "olia";
  user.rx_bytes = 9;
  user.memory_bytes = 65536;
  user.worker = 1;
  user.paths = two_paths().paths;
  report.users = {user};
  report.drops = {{"auth", 4}};
  report.udp_steering = "program";
  report.tun_steering = "rings";
  report.workers = {{1, 20, 30}, {0, 4, 5}};
  report.health = {{"forwarding-off", std::nullopt, "high", "t", "f"}};
  CHECK(must(parse_server_status(render_json(report))) == report);
  const Json json = Json::parse(render_json(report));
  CHECK(json["schema"] == "hawser.server-status/1");
  CHECK(json["users"][0]["user"] == "laptop");
  CHECK(json["users"][0]["scheduler"] == "ecf");
  CHECK(json["users"][0]["congestion"] == "olia");
  CHECK(json["users"][0]["paths"].size() == 2);
  CHECK_FALSE(parse_server_status(kDocumented));
  CHECK(must(parse_server_status(render_json(ServerStatusReport{}))) == ServerStatusReport{});
}

TEST_CASE("requests are what the documentation says") {
  const std::pair<const char*, ControlRequest> cases[] = {
      {R"({"op":"status"})", StatusRequest{}},
      {R"({"op":"down"})", DownRequest{}},
      {R"({"op":"set","key":"wlan0.priority","value":"backup"})", SetRequest{"wlan0.priority", "backup"}},
      {R"({"op":"reload"})", ReloadRequest{}},
      {R"({"op":"users-changed","user":"laptop"})", UsersChangedRequest{"laptop"}},
  };
  for (const auto& [text, request] : cases) {
    INFO(text);
    CHECK(render_request(request) == std::string(text) + "\n");
    CHECK(must(parse_request(text)) == request);
    CHECK(must(parse_request(render_request(request))) == request);
    CHECK(changes_state(request) == !std::holds_alternative<StatusRequest>(request));
  }
  const ControlRequest hostile = SetRequest{"a\"\n\\", std::string("\0\x1b", 2)};
  CHECK(must(parse_request(render_request(hostile))) == hostile);
  CHECK(render_request(hostile).find('\n') == render_request(hostile).size() - 1);
}

TEST_CASE("anything else on the control socket is refused with the reason") {
  const std::pair<std::string, const char*> cases[] = {
      {R"({"op":"stauts"})", R"(unknown op "stauts" (did you mean "status"?))"},
      {R"({"op":7})", R"(not a JSON object with a string "op")"},
      {"[]", R"(not a JSON object with a string "op")"},
      {"7", R"(not a JSON object with a string "op")"},
      {R"({"op":"set","key":"a"})", R"("value" must be there and a string)"},
      {R"({"op":"set","key":"a","value":7})", R"("value" must be there and a string)"},
      {R"({"op":"set","key":"a","value":"b","more":1})", R"(unknown field "more")"},
      {R"({"op":"status","key":"a"})", R"(unknown field "key")"},
      {R"({"op":"users-changed"})", R"("user" must be there and a string)"},
      {std::string(5000, 'x'), "the line is longer than 4096 bytes"},
  };
  for (const auto& [text, reason] : cases) {
    INFO(text);
    const auto parsed = parse_request(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ExitCode::usage);
    CHECK(parsed.error().message == std::string("control request refused: ") + reason);
  }
  for (const std::string& text : {std::string(), std::string("{"), std::string("\0", 1), std::string(4000, '['),
                                  std::string(4000, '{'), std::string("\xff\xff")}) {
    CHECK_FALSE(parse_request(text));
  }
}

TEST_CASE("replies carry a status, an error with its exit code, or nothing") {
  CHECK(render_ok() == "{\"ok\":true}\n");
  CHECK(must(parse_reply(render_ok())).empty());
  const StatusReport report = must(parse_status(kDocumented));
  CHECK(must(parse_status(must(parse_reply(render_status_reply(render_json(report)))))) == report);
  const auto refused = parse_reply(render_error({ExitCode::permission, "only root \"may\""}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ExitCode::permission);
  CHECK(refused.error().message == "only root \"may\"");
  CHECK(parse_reply(R"({"ok":false,"code":77,"error":"x"})").error().code == ExitCode::unexpected);
  CHECK(parse_reply(R"({"ok":false,"code":0,"error":"x"})").error().code == ExitCode::unexpected);
  for (const char* bad :
       {"", "{", "{}", "[]", R"({"ok":1})", R"({"ok":false,"code":"x"})", R"({"ok":false,"error":7})"}) {
    INFO(bad);
    const auto parsed = parse_reply(bad);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ExitCode::unexpected);
  }
}

TEST_CASE("the table of vpn-status") {
  const UnixTime now{1795348083 + 2 * 3600 + 14 * 60};
  CHECK(status_table(two_paths(), now, {}) ==
        "home  connected 2 h 14 m  ·  down 143 Mb/s  up 27 Mb/s  ·  rtt 29 ms  ·  loss 0.0 %\n"
        "PATH   TYPE      ROLE       STATE     RTT   LOSS     DOWN        UP  SHARE    USED\n"
        "wlan0  wifi      always     active  28 ms  0.1 %  96 Mb/s   19 Mb/s   67 %  8.1 GB\n"
        "wwan0  cellular  secondary  active  51 ms  0.9 %  47 Mb/s  8.0 Mb/s   33 %  8.0 GB\n");
  StatusReport report = two_paths();
  report.state = "reconnecting";
  report.paths[1].state = "unavailable";
  report.paths[1].reason = "no-address";
  report.paths[1].rtt_ms.reset();
  report.health = {{"no-address", "wwan0", "low", "wwan0 has no address", "wait for DHCP"}};
  CHECK(status_table(report, now, {}) ==
        "home  reconnecting 2 h 14 m\n"
        "PATH   TYPE      ROLE       STATE                      RTT   LOSS     DOWN       UP  SHARE    USED\n"
        "wlan0  wifi      always     active                   28 ms  0.1 %  96 Mb/s  19 Mb/s   67 %  8.1 GB\n"
        "wwan0  cellular  secondary  unavailable: no-address      -      -        -        -      -  8.0 GB\n"
        "no-address  wwan0  wwan0 has no address\n"
        "   fix:  wait for DHCP\n");
  CHECK(status_table(StatusReport{}, now, {}) == "  down\n");
}

TEST_CASE("colours change nothing but colours") {
  const StatusReport report = two_paths();
  std::string coloured = status_table(report, UnixTime{1795348083}, {true});
  CHECK(coloured.find('\x1b') != std::string::npos);
  for (size_t at; (at = coloured.find('\x1b')) != std::string::npos;)
    coloured.erase(at, coloured.find('m', at) - at + 1);
  CHECK(coloured == status_table(report, UnixTime{1795348083}, {}));
}

TEST_CASE("no text from a report reaches the terminal raw") {
  StatusReport report = two_paths();
  report.profile = "\x1b]0;x\a";
  report.paths[0].interface = "w\x1b[2J";
  report.paths[0].reason = "\r";
  report.health = {{"\x1b", "\x1b", "\x1b", "\x1b", "\x1b"}};
  report.server.endpoint = "\x1b:1";
  report.tunnel.addresses = {"\x1b"};
  report.tunnel.routes = {"\x1b"};
  report.tunnel.dns_via = "\x1b";
  ServerStatusReport server;
  server.users = {UserReport{}};
  server.users[0].name = "\x1b";
  server.users[0].addresses = {"\x1b"};
  server.users[0].paths = report.paths;
  server.users[0].paths[0].remote = "\x1b";
  for (const std::string& text :
       {status_table(report, {}, {}), connected_summary(report, {}, {}), server_status_table(server, {}, {})}) {
    for (char c : text) REQUIRE((c == '\n' || static_cast<uint8_t>(c) >= 0x20));
  }
}

TEST_CASE("the lines of vpn-up") {
  StatusReport report = two_paths();
  PathReport dead;
  dead.interface = "eth1";
  dead.type = "ethernet";
  dead.state = "unavailable";
  dead.reason = "no-route";
  report.paths.push_back(dead);
  report.health = {{"no-route", "eth1", "low", "no route to the server: eth1 has no default gateway",
                    "DHCP, or: vpn-up home --set eth1.gateway=ADDRESS --save"}};
  CHECK(connected_summary(report, Duration::millis(310), {}) ==
        "home: connected in 0.31 s to 203.0.113.7 as 10.9.0.2 (IPv4+IPv6, all traffic, DNS via systemd-resolved)\n"
        "  wlan0  wifi      28 ms   in use\n"
        "  wwan0  cellular  51 ms   in use (metered)\n"
        "  eth1   ethernet      -   no route to the server: eth1 has no default gateway. Fix: DHCP, or: vpn-up home "
        "--set eth1.gateway=ADDRESS --save\n");
  report.tunnel.dns_via.reset();
  report.tunnel.routes = {"10.0.0.0/8", "192.0.2.0/24"};
  report.tunnel.addresses = {"fd00::2/128"};
  report.paths.clear();
  CHECK(connected_summary(report, Duration::millis(310), {}) ==
        "home: connected in 0.31 s to 203.0.113.7 as fd00::2 (IPv6, 2 routes, DNS untouched)\n");
}

TEST_CASE("the table of vpn-server status") {
  ServerStatusReport report;
  report.since = UnixTime{1000};
  report.sessions = 2;
  report.rx_bps = 27e6;
  report.tx_bps = 143e6;
  UserReport laptop, phone;
  laptop.name = "laptop";
  laptop.addresses = {"10.9.0.2", "fd00::2"};
  laptop.paths = two_paths().paths;
  laptop.paths[0].remote = "198.51.100.4:40112";
  laptop.paths[1].remote = "192.0.2.9:51000";
  phone.name = "phone";
  phone.addresses = {"10.9.0.3"};
  report.users = {laptop, phone};
  CHECK(server_status_table(report, UnixTime{1060}, {}) ==
        "server  running 1 m  ·  2 sessions  ·  from users 27 Mb/s  to users 143 Mb/s\n"
        "USER    ADDRESS   PATH FROM           STATE      RTT   LOSS  FROM USER   TO USER    USED\n"
        "laptop  10.9.0.2  198.51.100.4:40112  active   28 ms  0.1 %    96 Mb/s   19 Mb/s  8.1 GB\n"
        "laptop  10.9.0.2  192.0.2.9:51000     active   51 ms  0.9 %    47 Mb/s  8.0 Mb/s  8.0 GB\n"
        "phone   10.9.0.3  -                   no path      -      -          -         -     0 B\n");
  report.users.clear();
  report.workers = {{1, 20, 30}};
  CHECK(server_status_table(report, UnixTime{1060}, {}).find("workers") == std::string::npos);
  report.workers.push_back({1, 4, 5});
  report.drops["worker_ring"] = 6;
  CHECK(server_status_table(report, UnixTime{1060}, {}) ==
        "server  running 1 m  ·  2 sessions  ·  from users 27 Mb/s  to users 143 Mb/s\n"
        "2 workers; handed on between them: 24 datagrams, 35 packets, dropped: 6\n");
}
