// Which interfaces become links, by which address, and with which role.
#include <catch2/catch.hpp>

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

TEST_CASE("the source address fits the destination") {
  const Interface i = interface("eth0");
  const auto source = [&](const char* to) {
    const auto a = source_for(i, *IpAddress::parse(to));
    return a ? a->address.to_string() : "none";
  };
  CHECK(source("203.0.113.7") == "192.168.1.7");
  CHECK(source("2a03:b0c0:1::7") == "2001:db8::7");
  CHECK(source("fd77::1") == "fd00::7");
  Interface v4_only = i;
  v4_only.addresses.resize(1);
  CHECK_FALSE(source_for(v4_only, *IpAddress::parse("2a03:b0c0:1::7")));
}
