// Policy routing: what the rules do to packets, that undoing leaves nothing, that others' work is respected.
#include "platform/routing.h"
#include "netns.h"
#include "platform/netlink.h"
#include "platform/tun.h"

#include <algorithm>
#include <memory>
#include <set>
#include <sstream>

namespace hawser {
namespace {

using testing::fresh_namespace;
using testing::ip;
using testing::make_veth;
using testing::Namespace;
using testing::routing_state;
using testing::TempDir;

IpAddress addr(const char* text) {
  return *IpAddress::parse(text);
}
IpPrefix prefix(const char* text) {
  return *IpPrefix::parse(text);
}

// A laptop with two uplinks, IPv4 and IPv6 on the first.
struct Laptop {
  TempDir dir;
  Namespace client, server;
  Laptop() : client(Namespace::current()), server(Namespace::create()) {
    client.enter();
    make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", server);
    make_veth("e2", "10.2.0.2/24", "s2", "10.2.0.1/24", server);
    testing::add_address("fd01::2/64", "e1");
    ip("route add default via 10.1.0.1 dev e1 metric 100");
    ip("route add default via 10.2.0.1 dev e2 metric 600");
    ip("-6 route add default via fd01::1 dev e1");
  }
  std::string log_path(const char* profile = "home") const { return dir.path(std::string(profile) + "/undo.json"); }
};

std::unique_ptr<UndoLog> open_log(const std::string& path) {
  Result<std::unique_ptr<UndoLog>> log = UndoLog::open(path);
  REQUIRE(log);
  return std::move(*log);
}

TunDevice open_tun(const char* address) {
  Result<TunDevice> tun = TunDevice::open("auto");
  REQUIRE(tun);
  REQUIRE(tun->set_addresses({prefix(address), prefix("fd99::2/128")}));
  REQUIRE(tun->set_up(true));
  testing::wait_for_address("fd99::2");
  return std::move(*tun);
}

PathRouting path1() {
  return {"e1", addr("10.1.0.2"), 24, addr("10.1.0.1"), false};
}
PathRouting path1_v6() {
  return {"e1", addr("fd01::2"), 64, addr("fd01::1"), false};
}
PathRouting path2() {
  return {"e2", addr("10.2.0.2"), 24, addr("10.2.0.1"), false};
}

std::string route_get(const std::string& words) {
  const std::string answer = ip("route get " + words);
  return answer.substr(0, answer.find('\n'));
}
bool goes_by(const std::string& words, const std::string& device) {
  const std::string answer = route_get(words);
  INFO(words << " -> " << answer);
  return (answer + " ").find(" dev " + device + " ") != std::string::npos;
}

TEST_CASE("with a full tunnel paths, answers and neighbours keep their own ways") {
  if (!testing::fresh_namespace_with_tun()) return;
  const Laptop net;
  const std::string before = routing_state();
  const auto log = open_log(net.log_path());
  Routing routing(*log, "home");
  REQUIRE(routing.add_path(path1()));
  REQUIRE(routing.add_path(path1_v6()));
  REQUIRE(routing.add_path(path2()));
  // Paths alone do not change where anything else goes.
  CHECK(goes_by("198.51.100.9", "e1"));
  {
    const TunDevice tun = open_tun("10.9.0.2/32");
    REQUIRE(routing.add_tunnel(
        {"hawser0", {prefix("0.0.0.0/0"), prefix("::/0")}, {prefix("192.0.2.0/24")}, true, false, false}));
    CHECK(goes_by("198.51.100.9", "hawser0"));
    CHECK(goes_by("2001:db8::9", "hawser0"));
    // The paths' sockets: bound to a device, with or without a source.
    CHECK(goes_by("203.0.113.7 oif e1", "e1"));
    CHECK(goes_by("203.0.113.7 from 10.2.0.2 oif e2", "e2"));
    CHECK(goes_by("2001:db8::7 from fd01::2 oif e1", "e1"));
    // An answer to a connection from outside (SSH) leaves by where it came in, though the tunnel has the default.
    CHECK(goes_by("198.51.100.9 from 10.1.0.2", "e1"));
    CHECK(goes_by("198.51.100.9 from 10.2.0.2", "e2"));
    CHECK(route_get("198.51.100.9 from 10.2.0.2").find("via 10.2.0.1") != std::string::npos);
    CHECK(goes_by("2001:db8::9 from fd01::2", "e1"));
    // The local network stays, also for answers from the other link's address; the bypass is never in the tunnel.
    CHECK(goes_by("10.1.0.77", "e1"));
    CHECK(goes_by("10.1.0.77 from 10.2.0.2", "e1"));
    CHECK(goes_by("192.0.2.9", "e1"));
    REQUIRE(log->undo_all());
  }
  CHECK(routing_state() == before);
  CHECK(ip("rule") == "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n");
}

TEST_CASE(
    "a server without IPv6 inside: unreachable at once, no leak; without lan_access the neighbours are in the tunnel") {
  if (!testing::fresh_namespace_with_tun()) return;
  const Laptop net;
  const std::string before = routing_state();
  const auto log = open_log(net.log_path());
  Routing routing(*log, "home");
  REQUIRE(routing.add_path(path1()));
  const TunDevice tun = open_tun("10.9.0.2/32");
  REQUIRE(routing.add_tunnel({"hawser0", {prefix("0.0.0.0/0")}, {}, false, false, true}));
  CHECK(ip("-6 route show table all").find("unreachable default") != std::string::npos);
  CHECK_FALSE(*has_route_by(addr("2001:db8::9"), {}, interface_index("hawser0")));
  CHECK(goes_by("10.1.0.77", "hawser0"));
  CHECK(goes_by("10.1.0.77 from 10.1.0.2", "e1"));
  CHECK(goes_by("10.1.0.1 oif e1", "e1"));
  // Replaced by a split one, and a bypass that covers a route wins over it.
  REQUIRE(routing.add_tunnel(
      {"hawser0", {prefix("10.80.0.0/16"), prefix("10.81.7.0/24")}, {prefix("10.81.0.0/16")}, true, false, false}));
  CHECK(goes_by("10.80.1.1", "hawser0"));
  CHECK(goes_by("10.81.7.1", "e1"));
  CHECK(goes_by("198.51.100.9", "e1"));
  CHECK(ip("-6 route show table all").find("unreachable default") == std::string::npos);
  REQUIRE(routing.remove_tunnel());
  REQUIRE(log->undo_all());
  tun.fd();
  const std::string with_tun = routing_state();
  CHECK(with_tun.find("18") == with_tun.find("185"));  // no table of ours is named anywhere but by chance of a number
  CHECK(ip("rule") == "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n");
}

TEST_CASE("tables and preferences that others use are skipped, and stay") {
  if (!fresh_namespace()) return;
  const Laptop net;
  for (uint32_t preference : {5030, 5032, 5150, 5300})
    ip("rule add pref " + std::to_string(preference) + " from 10.99.0.1 lookup 99");
  ip("-6 rule add pref 5034 from fd77::1 lookup 99");
  for (uint32_t table = kFirstTable; table < kFirstTable + kTableCount; table += 2) {
    if (table % 50 == 0) ip("route add 10.99.0.0/16 dev e1 table " + std::to_string(table));
  }
  const std::string before = routing_state();
  const auto log = open_log(net.log_path());
  Routing routing(*log, "home");
  REQUIRE(routing.add_path(path1()));
  REQUIRE(routing.add_path(path2()));
  const std::vector<std::string> commands = log->commands();
  const auto mentions = [&](const std::string& text) {
    return std::any_of(commands.begin(), commands.end(),
                       [&](const std::string& c) { return c.find(text) != std::string::npos; });
  };
  for (const char* taken : {"pref 5030 ", "pref 5032 ", "pref 5034 ", "pref 5150 "}) CHECK_FALSE(mentions(taken));
  CHECK(mentions("pref 5036 from 10.1.0.2 lookup main suppress_prefixlength 0"));
  CHECK(mentions("pref 5152 oif e2 lookup "));
  CHECK(mentions("default via 10.2.0.1 dev e2 onlink table "));
  REQUIRE(log->undo_all());
  CHECK(routing_state() == before);
}

TEST_CASE("two profiles over the same links: either goes down first") {
  if (!testing::fresh_namespace_with_tun()) return;
  const Laptop net;
  const std::string before = routing_state();
  for (const bool first_goes_first : {true, false}) {
    const auto log_a = open_log(net.log_path("a")), log_b = open_log(net.log_path("b"));
    Routing a(*log_a, "a"), b(*log_b, "b");
    const TunDevice tun_a = open_tun("10.9.0.2/32"), tun_b = open_tun("10.8.0.2/32");
    REQUIRE(a.add_path(path1()));
    REQUIRE(b.add_path(path1()));
    REQUIRE(a.add_tunnel({"hawser0", {prefix("0.0.0.0/0")}, {}, true, false, false}));
    REQUIRE(b.add_tunnel({"hawser1", {prefix("10.80.0.0/16")}, {}, true, false, false}));
    CHECK(*other_full_tunnel() == "hawser0");
    CHECK(goes_by("198.51.100.9", "hawser0"));
    CHECK(goes_by("10.80.0.9", "hawser1"));  // though the full one came first
    CHECK(goes_by("203.0.113.7 oif e1", "e1"));
    REQUIRE((first_goes_first ? log_a : log_b)->undo_all());
    CHECK(goes_by("203.0.113.7 from 10.1.0.2 oif e1", "e1"));
    CHECK(goes_by(first_goes_first ? "10.80.0.9" : "198.51.100.9", first_goes_first ? "hawser1" : "hawser0"));
    REQUIRE((first_goes_first ? log_b : log_a)->undo_all());
    CHECK(other_full_tunnel()->empty());
  }
  CHECK(routing_state() == before);
}

TEST_CASE("an interface with two addresses and three gateways: each address by its own, marked sockets by the third") {
  if (!fresh_namespace()) return;
  const Laptop net;
  ip("address add 10.5.0.2/24 dev e1");
  const std::string before = routing_state();
  const auto log = open_log(net.log_path());
  Routing routing(*log, "home");
  PathRouting other = path1(), third = path1();
  other.address = addr("10.5.0.2");
  other.gateway = addr("10.5.0.1");
  third.gateway = addr("10.1.0.254");
  third.alternative = true;
  const auto one = routing.add_path(path1()), two = routing.add_path(other), three = routing.add_path(third);
  REQUIRE((one && two && three));
  const auto by = [](const std::string& words, const char* gateway) {
    INFO(words << " -> " << route_get(words));
    return route_get(words).find(std::string("via ") + gateway + " dev e1") != std::string::npos;
  };
  const std::string mark = std::to_string(routing.mark(*three));
  CHECK(routing.mark(*one) == 0);
  CHECK(by("203.0.113.7 from 10.1.0.2 oif e1", "10.1.0.1"));
  CHECK(by("203.0.113.7 from 10.5.0.2 oif e1", "10.5.0.1"));
  CHECK(by("203.0.113.7 from 10.5.0.2", "10.5.0.1"));
  CHECK(by("203.0.113.7 from 10.1.0.2 oif e1 mark " + mark, "10.1.0.254"));
  CHECK(by("203.0.113.7 from 10.5.0.2 oif e1 mark " + mark, "10.5.0.1"));
  CHECK(by("203.0.113.7 oif e1", "10.1.0.1"));
  // The first gateway goes: what was the alternative has the address's traffic now.
  REQUIRE(routing.remove_path(*one));
  third.alternative = false;
  REQUIRE(routing.update_path(*three, third));
  CHECK(routing.mark(*three) == 0);
  CHECK(by("203.0.113.7 from 10.1.0.2 oif e1", "10.1.0.254"));
  CHECK(by("203.0.113.7 from 10.1.0.2", "10.1.0.254"));
  REQUIRE(log->undo_all());
  CHECK(routing_state() == before);
}

TEST_CASE("a path follows its address and is put back after its device was down") {
  if (!fresh_namespace()) return;
  const Laptop net;
  const std::string before = routing_state();
  const auto log = open_log(net.log_path());
  Routing routing(*log, "home");
  const Result<Routing::PathHandle> handle = routing.add_path(path2());
  REQUIRE(handle);
  const std::string installed = routing_state();
  ip("link set e2 down");
  ip("link set e2 up");
  ip("route add default via 10.2.0.1 dev e2 metric 600");
  CHECK(routing_state() != installed);
  const Routing::Restored restored = routing.restore();
  CHECK(restored.problem);
  CHECK(restored.count == 2);  // the subnet and the default route
  CHECK(routing_state() == installed);
  CHECK(routing.restore().count == 0);

  PathRouting moved = path2();
  moved.address = addr("10.2.0.3");
  moved.gateway = addr("10.2.0.254");
  REQUIRE(routing.update_path(*handle, moved));
  CHECK(ip("rule").find("10.2.0.2") == std::string::npos);
  CHECK(ip("rule").find("from 10.2.0.3 lookup") != std::string::npos);
  CHECK(ip("route show table all").find("via 10.2.0.254 dev e2") != std::string::npos);
  REQUIRE(routing.remove_path(*handle));
  REQUIRE(routing.remove_path(*handle));
  CHECK(routing_state() == before);
}

// As systemd-networkd does, when told to.
TEST_CASE("whatever another program deletes is put back, and one deletion opens no way past the tunnel") {
  if (!testing::fresh_namespace_with_tun()) return;
  const Laptop net;
  const auto log = open_log(net.log_path());
  Routing routing(*log, "home");
  REQUIRE(routing.add_path(path1()));
  REQUIRE(routing.add_path(path1_v6()));
  const TunDevice tun = open_tun("10.9.0.2/32");
  REQUIRE(routing.add_tunnel({"hawser0", {prefix("0.0.0.0/0"), prefix("::/0")}, {}, true, false, false}));
  // Rules of one preference are in the order in which they were made.
  const auto state = [] {
    std::istringstream lines(routing_state());
    std::multiset<std::string> sorted;
    for (std::string line; std::getline(lines, line);) sorted.insert(line);
    return sorted;
  };
  const auto installed = state();
  const std::vector<std::string> commands = log->commands();
  // Two paths (subnet, default, three rules), the tunnel in two families (two routes, three rules).
  REQUIRE(commands.size() == 20);
  for (std::string command : commands) {
    command.replace(command.find(" add "), 5, " delete ");
    INFO(command);
    ip(command.substr(3));
    CHECK(goes_by("198.51.100.9", "hawser0"));
    CHECK(goes_by("2001:db8::9", "hawser0"));
    CHECK(goes_by("203.0.113.7 from 10.1.0.2 oif e1", "e1"));
    const Routing::Restored restored = routing.restore();
    CHECK(restored.problem);
    CHECK(restored.count == 1);
    CHECK(state() == installed);
  }
  REQUIRE(log->undo_all());
}

TEST_CASE("a path whose device is gone is removed without complaint; one that cannot be made leaves nothing") {
  if (!fresh_namespace()) return;
  const Laptop net;
  const auto log = open_log(net.log_path());
  Routing routing(*log, "home");
  const Result<Routing::PathHandle> handle = routing.add_path(path2());
  REQUIRE(handle);
  ip("link delete e2");
  CHECK(routing.remove_path(*handle));
  CHECK(ip("rule").find("e2") == std::string::npos);
  const std::string before = routing_state();
  const Result<Routing::PathHandle> impossible =
      routing.add_path({"e9", addr("10.9.9.2"), 24, addr("10.9.9.1"), false});
  REQUIRE_FALSE(impossible);
  CHECK(impossible.error().message.find("e9") != std::string::npos);
  CHECK(routing_state() == before);
  CHECK(log->commands().empty());
}

TEST_CASE("a path whose change failed is installed by the next wish, though it be the old one") {
  if (!fresh_namespace()) return;
  const Laptop net;
  const auto log = open_log(net.log_path());
  Routing routing(*log, "home");
  const Result<Routing::PathHandle> handle = routing.add_path(path2());
  REQUIRE(handle);
  const std::string installed = routing_state();
  PathRouting impossible = path2();
  impossible.interface = "e9";
  REQUIRE_FALSE(routing.update_path(*handle, impossible));
  CHECK(log->commands().empty());
  REQUIRE_FALSE(routing.update_path(*handle, impossible));
  REQUIRE(routing.update_path(*handle, path2()));
  CHECK(routing_state() == installed);
  ip("link set e2 down");
  ip("link set e2 up");
  CHECK(routing.restore().count == 2);
}

TEST_CASE("a dry run prints what a real run does, and does nothing") {
  if (!testing::fresh_namespace_with_tun()) return;
  const Laptop net;
  const TunDevice tun = open_tun("10.9.0.2/32");
  const std::string before = routing_state();
  const TunnelRouting tunnel{"hawser0", {prefix("0.0.0.0/0"), prefix("::/0")}, {}, true, false, false};
  const auto fill = [&](UndoLog& log) {
    Routing routing(log, "home");
    REQUIRE(routing.add_path(path1()));
    REQUIRE(routing.add_path(path2()));
    REQUIRE(routing.add_tunnel(tunnel));
    return log.commands();
  };
  const auto dry = UndoLog::dry_run();
  const std::vector<std::string> said = fill(*dry);
  CHECK(routing_state() == before);
  const auto log = open_log(net.log_path());
  CHECK(fill(*log) == said);
  // The printed commands are real ones: typed by hand they make the same state.
  const std::string made = routing_state();
  REQUIRE(log->undo_all());
  REQUIRE(routing_state() == before);
  for (const std::string& command : said) ip(command.substr(3));
  const auto without_protocol = [](std::string text) {
    for (size_t at; (at = text.find(" proto kernel")) != std::string::npos;) text.erase(at, 13);
    for (size_t at; (at = text.find(" proto boot")) != std::string::npos;) text.erase(at, 11);
    return text;
  };
  CHECK(without_protocol(routing_state()) == without_protocol(made));
}

}  // namespace
}  // namespace hawser
