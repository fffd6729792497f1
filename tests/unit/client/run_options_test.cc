// What a daemon was started with, compared with what is asked for now; the SSH guard's reading.
#include <catch2/catch.hpp>

#include "client/run_options.h"
#include "client/ssh_guard.h"
#include "client/tunnel.h"

using namespace hawser;
using namespace hawser::client;

TEST_CASE("options survive the file") {
  const RunOptions o{"/etc/hawser/my home.toml", {"eth0", "wlan0"}, {"wwan0"}, true};
  CHECK(parse_run_options(render(o)) == o);
  CHECK(parse_run_options("file /x\nsomething new\nonly") == RunOptions{"/x", {}, {}, false});
}

TEST_CASE("the difference is named") {
  const RunOptions running{"/etc/hawser/home.toml", {"wlan0"}, {}, true};
  RunOptions wanted = running;
  CHECK_FALSE(difference(running, wanted));
  wanted.only = {};
  REQUIRE(difference(running, wanted));
  CHECK(difference(running, wanted)->find("--only wlan0") != std::string::npos);
  wanted = running;
  wanted.file = "/tmp/home.toml";
  REQUIRE(difference(running, wanted));
  CHECK(difference(running, wanted)->find("/tmp/home.toml") != std::string::npos);
}

TEST_CASE("SSH_CONNECTION is read") {
  const auto ssh = parse_ssh_connection("198.51.100.20 40000 192.168.1.7 22");
  REQUIRE(ssh);
  CHECK(ssh->peer.to_string() == "198.51.100.20");
  CHECK(ssh->local.to_string() == "192.168.1.7");
  for (const char* text : {"", "198.51.100.20", "a b c d", "198.51.100.20 1 nobody 22"})
    CHECK_FALSE(parse_ssh_connection(text));
}

TEST_CASE("routes: everything, a list, nothing; what the server does not carry is refused, not leaked") {
  Profile p;
  wire::AcceptPayload accept;
  accept.inner_v4 = *IpAddress::parse("10.9.0.2");
  accept.server_v4 = *IpAddress::parse("10.9.0.1");
  TunnelRouting r = tunnel_routing(p, accept, "hawser0");
  REQUIRE(r.routes.size() == 1);
  CHECK(r.routes[0].to_string() == "0.0.0.0/0");
  CHECK(r.refuse_ipv6);
  CHECK_FALSE(r.refuse_ipv4);

  p.route.kind = RouteChoice::Kind::list;
  p.route.list = {*IpPrefix::parse("10.20.0.0/16"), *IpPrefix::parse("2001:db8::/32")};
  r = tunnel_routing(p, accept, "hawser0");
  REQUIRE(r.routes.size() == 2);  // its IPv4 entry, and the server itself
  CHECK(r.routes[0].to_string() == "10.20.0.0/16");
  CHECK(r.routes[1].to_string() == "10.9.0.1/32");
  CHECK_FALSE(r.refuse_ipv6);

  p.route.kind = RouteChoice::Kind::none;
  CHECK(tunnel_routing(p, accept, "hawser0").routes.empty());
}
