// Editing one key of a profile: comments, order and line ends stay; what cannot be edited is left alone and said.
#include "common/config/profile.h"
#include "tests/unit/config/support.h"

using namespace hawser;
using namespace hawser::test;
using wire::PathPriority;

namespace {

std::string set(const std::string& text, const char* key, const char* value) {
  return must(set_key(text, "home.toml", key, value));
}

PathPriority priority_of(const std::string& text, const char* interface) {
  return path_settings(must(parse_profile(text, "home.toml")), interface, "other", false).priority;
}

}  // namespace

TEST_CASE("an existing value is replaced where it stands") {
  const std::string text = minimal_profile(
      "# my links\n\n[[path]]            # the modem\nmatch = { interface = \"wwan0\" }   # exactly this\npriority = "
      "\"backup\"   # cheap, but slow\n\n[log]\nlevel = \"debug\" # x\n");
  const std::string edited = set(text, "wwan0.priority", "always");
  std::string expected = text;
  expected.replace(expected.find("\"backup\""), 8, "\"always\"");
  CHECK(edited == expected);
  CHECK(set(edited, "wwan0.priority", "backup") == text);
}

TEST_CASE("a new key goes below the match of its entry") {
  const std::string text = minimal_profile(
      "  [[path]]\n  match = { interface = \"wwan0\" } # modem\n  priority = \"backup\"\n[log]\nlevel = \"debug\"\n");
  CHECK(set(text, "wwan0.gateway", "192.168.8.1") ==
        minimal_profile("  [[path]]\n  match = { interface = \"wwan0\" } # modem\n  gateway = \"192.168.8.1\"\n  "
                        "priority = \"backup\"\n[log]\nlevel = \"debug\"\n"));
  // A match in dotted or table form: below the header.
  const std::string dotted = minimal_profile("[[path]]\nmatch.interface = \"wwan0\"\n");
  CHECK(set(dotted, "wwan0.priority", "never") ==
        minimal_profile("[[path]]\npriority = \"never\"\nmatch.interface = \"wwan0\"\n"));
  const std::string sub = minimal_profile("[[path]]\n[path.match]\ninterface = \"wwan0\"\n");
  CHECK(set(sub, "wwan0.priority", "never") ==
        minimal_profile("[[path]]\npriority = \"never\"\n[path.match]\ninterface = \"wwan0\"\n"));
}

TEST_CASE("an interface without an entry of its own gets one at the end") {
  const std::string text = minimal_profile(
      "[[path]]\nmatch = { interface = \"wwan*\" }\npriority = \"backup\"\n[[path]]\nmatch = { interface = \"wwan0\", "
      "metered = true }\n");
  const std::string edited = set(text, "wwan0.priority", "always");
  CHECK(edited == text + "\n[[path]]\nmatch = { interface = \"wwan0\" }\npriority = \"always\"\n");
  CHECK(priority_of(edited, "wwan0") == PathPriority::always);
  CHECK(priority_of(edited, "wwan1") == PathPriority::backup);
  // No line feed at the end.
  const std::string bare = minimal_profile("[log]\nlevel = \"info\" # end");
  CHECK(set(bare, "eth0.priority", "never") ==
        bare + "\n\n[[path]]\nmatch = { interface = \"eth0\" }\npriority = \"never\"\n");
}

TEST_CASE("line ends and characters of more than one byte are respected") {
  const std::string text =
      minimal_profile("[[path]]\r\nmatch = { interface = \"w\xc3\xa4n\" }\r\npriority = \"backup\" # \xe2\x82\xac\r\n");
  CHECK(
      set(text, "w\xc3\xa4n.priority", "never") ==
      minimal_profile("[[path]]\r\nmatch = { interface = \"w\xc3\xa4n\" }\r\npriority = \"never\" # \xe2\x82\xac\r\n"));
  CHECK(set(text, "w\xc3\xa4n.gateway", "10.0.0.1") ==
        minimal_profile("[[path]]\r\nmatch = { interface = \"w\xc3\xa4n\" }\r\ngateway = \"10.0.0.1\"\r\npriority = "
                        "\"backup\" # \xe2\x82\xac\r\n"));
  const std::string appended = set(text, "eth0.priority", "never");
  CHECK(appended == text + "\r\n[[path]]\r\nmatch = { interface = \"eth0\" }\r\npriority = \"never\"\r\n");
}

TEST_CASE("columns count characters, not bytes") {
  const std::string head = "path = [{ match = { interface = \"w\xc3\xa4n\xf0\x9f\x98\x80\" }, priority = ";
  CHECK(set(head + "\"never\" }]\n" + minimal_profile(), "w\xc3\xa4n\xf0\x9f\x98\x80.priority", "backup") ==
        head + "\"backup\" }]\n" + minimal_profile());
}

TEST_CASE("an interface's name may have dots") {
  const std::string edited = set(minimal_profile(), "eth0.100.priority", "backup");
  CHECK(priority_of(edited, "eth0.100") == PathPriority::backup);
  CHECK(priority_of(edited, "eth0") == PathPriority::automatic);
}

TEST_CASE("setting in memory and in the file are the same") {
  const std::string entry = "[[path]]\nmatch = { interface = \"a\" }\n";
  const std::string texts[] = {"", entry, entry + "gateway = \"10.0.0.1\"\n" + entry + "priority = \"never\"\n"};
  for (const std::string& rest : texts) {
    for (const auto& [key, value] :
         {std::pair{"a.priority", "always"}, std::pair{"a.gateway", "10.0.0.9"}, std::pair{"b.priority", "auto"}}) {
      INFO(rest << key);
      Profile profile = must(parse_profile(minimal_profile(rest), "home.toml"));
      apply(profile, must(parse_path_setting(key, value)));
      CHECK(profile == must(parse_profile(set(minimal_profile(rest), key, value), "home.toml")));
    }
  }
}

TEST_CASE("keys of [bonding]: replaced, added below the header, or with a header of their own") {
  const std::string text = minimal_profile("[bonding]   # all of it\nscheduler = \"ecf\" # as measured\n[log]\n");
  CHECK(set(text, "scheduler", "blest") ==
        minimal_profile("[bonding]   # all of it\nscheduler = \"blest\" # as measured\n[log]\n"));
  CHECK(set(text, "congestion", "olia") ==
        minimal_profile("[bonding]   # all of it\ncongestion = \"olia\"\nscheduler = \"ecf\" # as measured\n[log]\n"));
  const std::string bare = minimal_profile("[log]\nlevel = \"info\" # end");
  CHECK(set(bare, "mode", "redundant") == bare + "\n\n[bonding]\nmode = \"redundant\"\n");
  const std::string crlf = minimal_profile("[bonding]\r\nmode = \"auto\"\r\n");
  CHECK(set(crlf, "scheduler", "auto") == minimal_profile("[bonding]\r\nscheduler = \"auto\"\r\nmode = \"auto\"\r\n"));
  // In memory and in the file it is the same.
  for (const auto& [key, value] :
       {std::pair{"mode", "redundant"}, std::pair{"scheduler", "service-time"}, std::pair{"congestion", "reno"}}) {
    Profile profile = must(parse_profile(text, "home.toml"));
    apply(profile, must(parse_bonding_setting(key, value)));
    CHECK(profile == must(parse_profile(set(text, key, value), "home.toml")));
  }
  // An inline table cannot take a line.
  CHECK_FALSE(set_key("bonding = { mode = \"auto\" }\n" + minimal_profile(), "home.toml", "scheduler", "ecf"));
}

TEST_CASE("what cannot be set is refused with the reason") {
  struct Case {
    const char *key, *value, *message;
  };
  const Case cases[] = {
      {"wwan0.priority", "bakcup",
       "wwan0.priority = \"bakcup\" is not one of auto, always, secondary, backup, never (did you mean \"backup\"?)"},
      {"wwan0.gateway", "home", "wwan0.gateway = \"home\" is not an IP address"},
      {"wwan0.prio", "backup",
       "--set wwan0.prio: unknown key \"prio\"; known are priority, gateway (did you mean \"priority\"?)"},
      {"wwan0.limit", "4M", "--set wwan0.limit: limit and data are not in this version"},
      {"wwan0.limit.down", "4M", "--set wwan0.limit.down: limit and data are not in this version"},
      {"priority", "backup",
       "--set priority: no such key; write INTERFACE.priority=VALUE, INTERFACE.gateway=ADDRESS, or one of mode, "
       "scheduler, congestion"},
      {"scheduler", "earlyest",
       "scheduler = \"earlyest\" is not one of auto, earliest, min-rtt, blest, ecf, round-robin, queue-length, "
       "service-time, redundant (did you mean \"earliest\"?)"},
      {"scheduler", "script:x",
       "scheduler = \"script:x\" is not in this version; choose from auto, earliest, min-rtt, blest, ecf, round-robin, "
       "queue-length, service-time, redundant"},
      {"congestion", "bbr", "congestion = \"bbr\" is not one of auto, lia, olia, balia, wvegas, cubic, reno"},
      {"mode", "speed", "mode = \"speed\" is not in this version; choose from auto, redundant"},
      {"wwan*.priority", "backup", "--set wwan*.priority: \"wwan*\" is not the name of one interface"},
      {".priority", "backup", "--set .priority: \"\" is not the name of one interface"},
      {"a b.priority", "backup", "--set a b.priority: \"a b\" is not the name of one interface"},
      {"a\"\n.priority", "backup", "--set a\"\\x0a.priority: \"a\"\\x0a\" is not the name of one interface"},
  };
  for (const Case& c : cases) {
    INFO(c.key);
    const auto result = set_key(minimal_profile(), "home.toml", c.key, c.value);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ExitCode::configuration);
    CHECK(result.error().message == c.message);
  }
  // A broken file is told as such, not edited.
  CHECK_FALSE(set_key("[server\n", "home.toml", "a.priority", "backup"));
  // Paths as an inline list cannot take another [[path]].
  const std::string inline_list =
      "path = [{ match = { interface = \"a\" }, priority = \"never\" }]\n" + minimal_profile();
  CHECK(set(inline_list, "a.priority", "backup") ==
        "path = [{ match = { interface = \"a\" }, priority = \"backup\" }]\n" + minimal_profile());
  const auto refused = set_key(inline_list, "home.toml", "b.priority", "backup");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message ==
        "home.toml: cannot be edited without losing its form; add by hand below a [[path]] with match = { interface = "
        "\"b\" } the line: priority = \"backup\"");
}

TEST_CASE("a name with a quote in it is escaped") {
  const std::string edited = set(minimal_profile(), "a\"b\\.priority", "never");
  CHECK(priority_of(edited, "a\"b\\") == PathPriority::never);
}
