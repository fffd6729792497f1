// Names, globs, amounts, suggestions and dates.
#include "common/config/names.h"

#include "common/config/host_port.h"
#include "common/config/unix_time.h"
#include "tests/unit/config/support.h"

using namespace hawser;
using namespace hawser::test;

TEST_CASE("names are what CLI allows") {
  for (const char* good : {"a", "0", "home", "a-b_c", "abcdefghijklmno", "servers", "my-server"}) {
    INFO(good);
    CHECK(check_name(good, "user"));
  }
  const char* bad[] = {"",    "server",           "Home", "-a",  "_a",       "a.b",
                       "a b", "abcdefghijklmnop", "../x", "a/b", "\xc3\xa4", "a\n"};
  for (const char* name : bad) {
    INFO(name);
    const Status s = check_name(name, "user");
    REQUIRE_FALSE(s);
    CHECK(s.error().code == ExitCode::configuration);
  }
  CHECK(check_name("server", "user").error().message ==
        "user name \"server\" is reserved for the server itself; choose another");
  CHECK(
      check_name("a\x1b", "profile").error().message ==
      "profile name \"a\\x1b\" is not allowed: 1 to 15 of a-z, 0-9, \"_\" and \"-\", beginning with a letter or digit");
}

TEST_CASE("an argument is a name or a file") {
  CHECK_FALSE(is_file_argument("home"));
  CHECK(is_file_argument("./home"));
  CHECK(is_file_argument("home.toml"));
  CHECK(must(profile_name_of("/etc/hawser/home.toml")) == "home");
  CHECK(must(profile_name_of("x/home")) == "home");
  CHECK(must(profile_name_of("home")) == "home");
  CHECK_FALSE(profile_name_of("/etc/hawser/.toml"));
  CHECK_FALSE(profile_name_of("server.toml"));
  CHECK(resolve_against("/etc/hawser/home.toml", "keys/home.key") == "/etc/hawser/keys/home.key");
  CHECK(resolve_against("/etc/hawser/home.toml", "/keys/home.key") == "/keys/home.key");
  CHECK(resolve_against("home.toml", "keys/home.key") == "keys/home.key");
}

TEST_CASE("interface names") {
  for (const char* good : {"wlan0", "eth0.100", "enp0s31f6", "a", "123456789012345", "wwan*"})
    CHECK(is_interface_name(good));
  for (const char* bad : {"", ".", "..", "1234567890123456", "a/b", "a b", "a:b", "a\n"})
    CHECK_FALSE(is_interface_name(bad));
}

TEST_CASE("globs") {
  struct Case {
    const char *pattern, *text;
    bool matches;
  };
  const Case cases[] = {
      {"docker*", "docker0", true},
      {"docker*", "docker", true},
      {"docker*", "xdocker0", false},
      {"*", "", true},
      {"", "", true},
      {"", "a", false},
      {"?", "", false},
      {"eth?", "eth1", true},
      {"eth?", "eth10", false},
      {"*a*b*", "xxaxxbxx", true},
      {"*a*b", "abab", true},
      {"*a*b", "aba", false},
      {"a**b", "ab", true},
      {"*.100", "eth0.100", true},
      {"wlan0", "wlan0", true},
      {"wlan0", "wlan01", false},
      {"[a]", "a", false},
  };
  for (const Case& c : cases) {
    INFO(c.pattern << " against " << c.text);
    CHECK(glob_match(c.pattern, c.text) == c.matches);
  }
  // No exponential search: this returns at once or never.
  CHECK_FALSE(glob_match("*a*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST_CASE("durations, rates and bytes") {
  CHECK(parse_duration("20s") == Duration::seconds(20));
  CHECK(parse_duration("20") == Duration::seconds(20));
  CHECK(parse_duration("1.5s") == Duration::millis(1500));
  CHECK(parse_duration("200ms") == Duration::millis(200));
  CHECK(parse_duration("5m") == Duration::seconds(300));
  CHECK(parse_duration("24h") == Duration::seconds(86400));
  CHECK(parse_duration("30d") == Duration::seconds(30 * 86400));
  for (const char* bad :
       {"", "s", "-1s", "+1s", "1 s", "1x", "1e3s", ".5s", "5.s", "1.2.3s", "999999999999d", "nan", "inf", "0x10"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad));
    CHECK_FALSE(parse_rate(bad));
    CHECK_FALSE(parse_bytes(bad));
  }
  CHECK(parse_rate("40M") == BitRate{40e6});
  CHECK(parse_rate("1.5G") == BitRate{1.5e9});
  CHECK(parse_rate("64k") == BitRate{64e3});
  CHECK(parse_rate("1000") == BitRate{1000});
  CHECK_FALSE(parse_rate("40MB"));
  CHECK(parse_bytes("20GB") == 20'000'000'000u);
  CHECK(parse_bytes("1TB") == 1'000'000'000'000u);
  CHECK(parse_bytes("512") == 512u);

  CHECK(format_rate(BitRate{143.2e6}) == "143 Mb/s");
  CHECK(format_rate(BitRate{9.44e6}) == "9.4 Mb/s");
  CHECK(format_rate(BitRate{0}) == "0 b/s");
  CHECK(format_rate(BitRate{-5}) == "0 b/s");
  CHECK(format_rate(BitRate{999.6e3}) == "1.0 Mb/s");
  CHECK(format_bytes(8'100'000'000) == "8.1 GB");
  CHECK(format_bytes(910'000'000) == "910 MB");
  CHECK(format_bytes(5) == "5 B");
  CHECK(format_bytes(UINT64_MAX) == "18447 PB");
  CHECK(format_duration(Duration::millis(310)) == "0.31 s");
  CHECK(format_duration(Duration::seconds(12)) == "12 s");
  CHECK(format_duration(Duration::seconds(2 * 3600 + 14 * 60 + 5)) == "2 h 14 m");
  CHECK(format_duration(Duration::seconds(3 * 86400)) == "3 d");
  CHECK(format_duration(Duration::seconds(3 * 86400 + 4 * 3600)) == "3 d 4 h");
  CHECK(format_duration(Duration::seconds(-1)) == "0 s");
}

TEST_CASE("suggestions are near or none") {
  constexpr std::string_view kWords[] = {"auto", "always", "secondary", "backup", "never"};
  CHECK(suggest("bakcup", kWords) == "backup");
  CHECK(suggest("Backup", kWords) == "backup");
  CHECK(suggest("atuo", kWords) == "auto");  // one slip, though two letters differ
  CHECK(suggest("secondry", kWords) == "secondary");
  CHECK(suggest("sec", kWords) == "secondary");
  CHECK(suggest("nevr", kWords) == "never");
  CHECK_FALSE(suggest("fast", kWords));
  CHECK_FALSE(suggest("", kWords));
  CHECK_FALSE(suggest("x", kWords));
  CHECK_FALSE(suggest(std::string(100'000, 'a'), kWords));
  CHECK(did_you_mean("bakcup", kWords) == " (did you mean \"backup\"?)");
  CHECK(did_you_mean("zzzzzz", kWords).empty());
}

TEST_CASE("text for a terminal has no control characters") {
  CHECK(printable("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
  CHECK(printable("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") == "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");  // CSI in one character
  CHECK(printable("\xff\xc3") == "\\xff\\xc3");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // a surrogate
  CHECK(printable("\xc0\x80") == "\\xc0\\x80");           // overlong
}

TEST_CASE("dates in UTC") {
  CHECK(format_utc(UnixTime{0}) == "1970-01-01T00:00:00Z");
  CHECK(format_utc(UnixTime{1795348083}) == "2026-11-22T11:48:03Z");
  CHECK(format_utc(UnixTime{951782400}) == "2000-02-29T00:00:00Z");
  CHECK(format_utc(UnixTime{-1}) == "1969-12-31T23:59:59Z");
  CHECK(parse_utc("2026-11-22T11:48:03Z") == UnixTime{1795348083});
  for (const char* bad :
       {"", "2026-11-22", "2026-11-22T11:48:03", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-22T24:00:00Z",
        "2026-11-22 11:48:03Z", "-026-11-22T11:48:03Z", "2026-00-22T11:48:03Z"}) {
    INFO(bad);
    CHECK_FALSE(parse_utc(bad));
  }
  const uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 10'000; ++i) {
    const UnixTime t{static_cast<int64_t>(random() % 253402300800u)};  // up to the year 9999
    REQUIRE(parse_utc(format_utc(t)) == t);
  }
}

TEST_CASE("endpoints") {
  struct Case {
    const char *text, *printed;
  };
  const Case good[] = {{"203.0.113.7:443", "203.0.113.7:443"},
                       {"[2a03:b0c0:1::7]:443", "[2a03:b0c0:1::7]:443"},
                       {"[2A03:B0C0:1:0::7]:1", "[2a03:b0c0:1::7]:1"},
                       {"vpn.example.org:8443", "vpn.example.org:8443"},
                       {"localhost:65535", "localhost:65535"},
                       {"a_b.example:1", "a_b.example:1"},
                       {"203.0.113.7", "203.0.113.7:443"},
                       {"2001:db8::1", "[2001:db8::1]:443"},
                       {"[2001:db8::1]", "[2001:db8::1]:443"}};
  for (const Case& c : good) {
    INFO(c.text);
    const HostPort parsed = must(HostPort::parse(c.text));
    CHECK(parsed.to_string() == c.printed);
    CHECK(must(HostPort::parse(parsed.to_string(), 0)) == parsed);
  }
  CHECK(must(HostPort::parse("203.0.113.7:443")).literal()->to_string() == "203.0.113.7:443");
  CHECK_FALSE(must(HostPort::parse("vpn.example.org:443")).literal());

  const Case bad[] = {
      {"203.0.113.7:0", "\"203.0.113.7:0\" has no valid port (1 to 65535)"},
      {"203.0.113.7:65536", "\"203.0.113.7:65536\" has no valid port (1 to 65535)"},
      {"203.0.113.7:", "\"203.0.113.7:\" has no valid port (1 to 65535)"},
      {"203.0.113.7:x", "\"203.0.113.7:x\" has no valid port (1 to 65535)"},
      {"2001:db8::1:443:x",
       "\"2001:db8::1:443:x\" is ambiguous: put an IPv6 address in brackets, like [2001:db8::1]:443"},
      {"[2001:db8::1", "\"[2001:db8::1\" has no \"]\""},
      {"[vpn.example.org]:443", "\"[vpn.example.org]:443\" has no IPv6 address in its brackets"},
      {"[::1]443", "\"[::1]443\" has something other than \":PORT\" after \"]\""},
      {"999.0.0.1:443", "\"999.0.0.1:443\" is neither an IP address nor a host name"},
      {"-x.example:443", "\"-x.example:443\" is neither an IP address nor a host name"},
      {"a..b:443", "\"a..b:443\" is neither an IP address nor a host name"},
      {"a b:443", "\"a b:443\" is neither an IP address nor a host name"},
      {"$(id):443", "\"$(id):443\" is neither an IP address nor a host name"},
      {"", "\"\" is neither an IP address nor a host name"},
  };
  for (const Case& c : bad) {
    INFO(c.text);
    const auto parsed = HostPort::parse(c.text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().message == c.printed);
  }
  CHECK(HostPort::parse("203.0.113.7", 0).error().message == "\"203.0.113.7\" has no port; write HOST:PORT");
}
