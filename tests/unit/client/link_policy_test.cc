// Which interfaces become links, by which address, and with which role.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "client/lines.h"
#include "client/link_policy.h"

using namespace hawser;
using namespace hawser::client;

namespace {

Interface interface(const std::string& name, InterfaceType type = InterfaceType::ethernet) {
  Interface i;
  i.index = 2;
  i.name = name;
  i.type = type;
  i.up = i.carrier = true;
  i.addresses = {{*IpAddress::parse("192.168.1.7"), 24},
                 {*IpAddress::parse("fd00::7"), 64},
                 {*IpAddress::parse("2001:db8::7"), 64}};
  return i;
}

LinkPolicy policy() {
  LinkPolicy p;
  p.profile.ignore = default_ignore();
  p.own_tunnel = "vpn9";
  return p;
}

PathRule rule(const std::string& name, std::optional<wire::PathPriority> priority = {}) {
  PathRule r;
  r.match.interface = name;
  r.priority = priority;
  return r;
}

}  // namespace

TEST_CASE("every uplink is considered, and nothing else") {
  const LinkPolicy p = policy();
  for (const char* name : {"wlan0", "eth0", "enp3s0", "wwan0", "usb0"}) CHECK(p.considers(interface(name)));
  for (const char* name : {"docker0", "br-1234", "veth77", "virbr0", "hawser0", "hawser-srv", "vpn9"}) {
    INFO(name);
    CHECK_FALSE(p.considers(interface(name)));
  }
  Interface i = interface("eth0");
  i.kind = "veth";  // a container's uplink
  CHECK(p.considers(i));
  i.enslaved = true;
  CHECK_FALSE(p.considers(i));
  i = interface("lo");
  i.loopback = true;
  CHECK_FALSE(p.considers(i));
  i = interface("other9");
  i.kind = "tun";
  CHECK_FALSE(p.considers(i));
}

TEST_CASE("a [[path]] entry overrides ignore; the command line overrides both; our own tunnel stays out") {
  LinkPolicy p = policy();
  p.profile.paths = {rule("veth77"), rule("vpn9")};
  CHECK(p.considers(interface("veth77")));
  CHECK_FALSE(p.considers(interface("vpn9")));
  p.without = {"veth*"};
  CHECK_FALSE(p.considers(interface("veth77")));
  p.without = {};
  p.only = {"docker0"};
  CHECK(p.considers(interface("docker0")));
  CHECK_FALSE(p.considers(interface("wlan0")));
  p.only = {"vpn9"};
  CHECK_FALSE(p.considers(interface("vpn9")));
}

TEST_CASE("without discovery only named interfaces are used") {
  LinkPolicy p = policy();
  p.profile.discover = false;
  p.profile.paths = {rule("wlan0")};
  CHECK(p.considers(interface("wlan0")));
  CHECK_FALSE(p.considers(interface("eth0")));
}

TEST_CASE("metered and cellular links are secondary unless the profile says otherwise") {
  LinkPolicy p = policy();
  using wire::PathPriority;
  CHECK(p.priority(interface("eth0")) == PathPriority::always);
  CHECK(p.priority(interface("wwan0", InterfaceType::cellular)) == PathPriority::secondary);
  Interface tethered = interface("usb0");
  tethered.metered = true;
  CHECK(p.priority(tethered) == PathPriority::secondary);
  p.profile.paths = {rule("wwan0", PathPriority::always), rule("eth0", PathPriority::backup)};
  CHECK(p.priority(interface("wwan0", InterfaceType::cellular)) == PathPriority::always);
  CHECK(p.priority(interface("eth0")) == PathPriority::backup);
}

namespace {

std::string sources(const Interface& i, const char* to, const std::vector<std::string>& in_use = {}) {
  std::string text;
  for (const InterfaceAddress& a : sources_for(i, *IpAddress::parse(to), [&](const IpAddress& address) {
         return std::find(in_use.begin(), in_use.end(), address.to_string()) != in_use.end();
       })) {
    text += (text.empty() ? "" : " ") + a.address.to_string();
  }
  return text;
}

InterfaceAddress address(const char* text, uint8_t length, bool temporary = false, bool deprecated = false) {
  return {*IpAddress::parse(text), length, temporary, deprecated};
}

}  // namespace

TEST_CASE("the source address fits the destination") {
  const Interface i = interface("eth0");
  CHECK(sources(i, "203.0.113.7") == "192.168.1.7");
  CHECK(sources(i, "2a03:b0c0:1::7") == "2001:db8::7");
  CHECK(sources(i, "fd77::1") == "fd00::7");
  Interface v4_only = i;
  v4_only.addresses.resize(1);
  CHECK(sources(v4_only, "2a03:b0c0:1::7").empty());
}

TEST_CASE("several addresses: lasting before temporary, deprecated ones only in use or alone") {
  Interface i = interface("eth0");
  i.addresses = {address("10.0.0.7", 24), address("192.0.2.7", 24), address("192.168.1.7", 24)};
  CHECK(sources(i, "203.0.113.7") == "192.0.2.7 10.0.0.7 192.168.1.7");
  i.addresses = {address("2001:db8::a", 64, true), address("2001:db8::b", 64, true, true), address("2001:db8::c", 64),
                 address("2001:db8::d", 64, false, true), address("fd00::7", 64)};
  CHECK(sources(i, "2a03:b0c0:1::7") == "2001:db8::c 2001:db8::a");
  CHECK(sources(i, "2a03:b0c0:1::7", {"2001:db8::b"}) == "2001:db8::c 2001:db8::a 2001:db8::b");
  i.addresses = {address("2001:db8::b", 64, true, true), address("2001:db8::d", 64, false, true)};
  CHECK(sources(i, "2a03:b0c0:1::7") == "2001:db8::d");
  i.addresses.clear();
  for (int n = 1; n <= 9; ++n) i.addresses.push_back(address(("10.0.0." + std::to_string(n)).c_str(), 24));
  CHECK(sources(i, "203.0.113.7") == "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4");
  CHECK(sources(i, "203.0.113.7", {"10.0.0.8"}) == "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.8");
}

TEST_CASE("an address goes by the gateways of its subnet; where no subnet tells, by all") {
  const std::vector<InterfaceAddress> all = {address("10.0.0.7", 24), address("192.168.1.7", 24), address("192.168.1.8", 24)};
  const auto belongs = [&](size_t n, const char* gateway) { return belongs_to(all, all[n], *IpAddress::parse(gateway)); };
  CHECK(belongs(0, "10.0.0.1"));
  CHECK_FALSE(belongs(1, "10.0.0.1"));
  CHECK(belongs(1, "192.168.1.1"));
  CHECK(belongs(2, "192.168.1.254"));
  CHECK_FALSE(belongs(0, "192.168.1.1"));
  for (size_t n : {0, 1, 2}) CHECK(belongs(n, "172.16.0.1"));
}

TEST_CASE("ways keep their numbers; the families pair up line by line") {
  const auto way = [](uint32_t index, const char* gateway) {
    const IpAddress g = *IpAddress::parse(gateway);
    return Way{index, g.family, g};
  };
  const Way a4 = way(2, "10.0.0.1"), b4 = way(2, "192.168.1.1"), a6 = way(2, "fe80::1"), b6 = way(2, "fe80::2");
  const Way c4 = way(3, "10.0.0.1"), none{4, IpAddress::Family::v4, {}};
  Lines lines;
  lines.follow({a4, b4, a6, b6, c4, none});
  const std::set<uint32_t> groups = {lines.group(a4), lines.group(b4), lines.group(a6),
                                     lines.group(b6), lines.group(c4), lines.group(none)};
  CHECK(groups.size() == 6);
  CHECK_FALSE(groups.contains(0));
  CHECK(lines.line(a4) == lines.line(a6));
  CHECK(lines.line(b4) == lines.line(b6));
  CHECK(std::set<uint32_t>{lines.line(a4), lines.line(b4), lines.line(c4), lines.line(none)}.size() == 4);
  const uint32_t line = lines.line(b4), group = lines.group(b4), old_line = lines.line(a4);
  lines.follow({b4, a6, b6});
  CHECK(lines.line(b4) == line);
  CHECK(lines.group(b4) == group);
  CHECK(lines.group(a4) == 0);
  // Another lease, another gateway, the same line.
  const Way d4 = way(2, "10.0.0.99");
  lines.follow({d4, b4, a6, b6});
  CHECK(lines.line(d4) == old_line);
  CHECK_FALSE(groups.contains(lines.group(d4)));
}
