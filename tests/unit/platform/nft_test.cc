// Firewall tables: that nft takes them, what they do to packets, that only ours go; forwarding.
#include "platform/nft.h"
#include "netns.h"
#include "platform/netlink.h"
#include "platform/process.h"
#include "platform/sysctl.h"
#include "platform/tun.h"
#include "platform/udp.h"

#include <poll.h>

#include <algorithm>
#include <array>

namespace hawser {
namespace {

using testing::fresh_namespace;
using testing::ip;
using testing::make_veth;
using testing::Namespace;
using testing::TempDir;

SocketAddress address(const char* text) {
  return *SocketAddress::parse(text);
}
IpPrefix prefix(const char* text) {
  return *IpPrefix::parse(text);
}

std::string ruleset() {
  const Result<ProgramResult> run = run_program({"nft", "list", "ruleset"});
  REQUIRE(run);
  REQUIRE(run->exit_status == 0);
  return run->output;
}

ServerFirewall firewall(const std::string& interface) {
  return {interface,
          prefix("10.9.0.0/16"),
          prefix("fd3a::/48"),
          {*IpAddress::parse("10.9.0.1"), *IpAddress::parse("fd3a::1")},
          true,
          false,
          {443, 4500}};
}

std::unique_ptr<UndoLog> open_log(const TempDir& dir, const char* name = "undo.json") {
  Result<std::unique_ptr<UndoLog>> log = UndoLog::open(dir.path(name));
  REQUIRE(log);
  return std::move(*log);
}

bool arrives(UdpSocket& from, UdpSocket& to, const SocketAddress& where, SocketAddress* seen = nullptr) {
  const std::array<uint8_t, 4> bytes{1, 2, 3, 4};
  const SendItem item{bytes, where, {}, 0, 0};
  if (from.send({&item, 1}).items != 1) return false;
  pollfd wanted{to.fd(), POLLIN, 0};
  if (::poll(&wanted, 1, 200) <= 0) return false;
  std::array<uint8_t, 100> storage{};
  ReceiveSlot slot;
  slot.buffer = storage;
  if (to.receive({&slot, 1}) != 1) return false;
  if (seen != nullptr) *seen = slot.remote;
  return true;
}

TEST_CASE("a server's table comes and goes; other tables and other servers' stay") {
  if (!fresh_namespace()) return;
  const TempDir dir;
  REQUIRE(run_nft(
      "table inet mine { chain c { type filter hook input priority 0; policy accept; tcp dport 22 accept; }\n}\n"));
  const std::string before = ruleset();
  const auto log = open_log(dir), other_log = open_log(dir, "other.json");
  REQUIRE(other_log->apply(server_table(firewall("other0"))));
  const std::string with_other = ruleset();
  const Result<ChangeId> id = log->apply(server_table(firewall("hawser-srv")));
  REQUIRE(id);
  const std::string all = ruleset();
  CHECK(all.find("table inet hawser_srv") != std::string::npos);
  CHECK(all.find("table inet hawser_other0") != std::string::npos);
  REQUIRE(log->apply(server_table(firewall("hawser-srv"))));  // again, as after a crash: no error, not twice
  CHECK(ruleset() == all);
  REQUIRE(log->undo_all());
  CHECK(ruleset() == with_other);
  REQUIRE(other_log->undo_all());
  CHECK(ruleset() == before);
  CHECK(delete_nft_table("inet", "hawser_srv"));
}

TEST_CASE("a killed server's table is removed by the replay") {
  if (!fresh_namespace()) return;
  const TempDir dir;
  const std::string before = ruleset();
  REQUIRE(open_log(dir)->apply(server_table(firewall("hawser-srv"))));
  CHECK(ruleset() != before);
  REQUIRE(UndoLog::replay(dir.path("undo.json")));
  CHECK(ruleset() == before);
}

TEST_CASE("a bad ruleset changes nothing and says what nft said; a name cannot carry rules") {
  if (!fresh_namespace()) return;
  const std::string before = ruleset();
  const Status bad = run_nft("table inet x { chain y { nonsense } }\n");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == ExitCode::system_integration);
  CHECK(bad.error().message.find("nonsense") != std::string::npos);
  CHECK(ruleset() == before);
  REQUIRE(run_nft(server_table(firewall("x\";\nflush")).ruleset));
  CHECK(ruleset().find("iifname \"x___flush\"") != std::string::npos);
}

TEST_CASE("every shape of server and client is taken by nft") {
  if (!fresh_namespace()) return;
  for (int bits = 0; bits < 32; ++bits) {
    ServerFirewall f = firewall("hawser-srv");
    if ((bits & 1) != 0) f.ipv4 = {};
    if ((bits & 2) != 0) f.ipv6 = {};
    f.nat = (bits & 4) != 0;
    f.client_to_client = (bits & 8) != 0;
    if ((bits & 16) != 0) f.listen_ports.clear();
    INFO(server_table(f).ruleset);
    REQUIRE(run_nft(server_table(f).ruleset));
  }
  REQUIRE(run_nft(client_table("hawser0", {*IpAddress::parse("10.9.0.2"), *IpAddress::parse("fd3a::2")}).ruleset));
}

// Two users' packets enter as if from the TUN "srv0" (here a veth, so that they can be ordinary sockets), the Internet
// is behind wan0.
struct Droplet {
  TempDir dir;
  Namespace server, users, internet;
  Droplet() : server(Namespace::current()), users(Namespace::create()), internet(Namespace::create()) {
    server.enter();
    make_veth("srv0", "10.9.0.1/16", "u0", "10.9.0.2/16", users);
    make_veth("wan0", "203.0.113.7/24", "i0", "203.0.113.1/24", internet);
    ip("address add 169.254.169.1/16 dev wan0");
    users.enter();
    ip("route add default via 10.9.0.1");
    ip("address add 10.9.0.3/16 dev u0");
    ip("address add 172.16.0.9/32 dev u0");
    internet.enter();
    ip("address add 169.254.169.254/32 dev lo");
    server.enter();
  }
};

TEST_CASE("users are translated, isolated from each other, cannot spoof, and do not reach the metadata address") {
  if (!fresh_namespace()) return;
  const Droplet net;
  const auto log = open_log(net.dir);
  const Result<std::vector<std::string>> changed = enable_forwarding(*log);
  REQUIRE(changed);
  REQUIRE(log->apply(server_table(firewall("srv0"))));

  net.internet.enter();
  Result<UdpSocket> web = UdpSocket::open_server(address("203.0.113.1:443"));
  Result<UdpSocket> metadata = UdpSocket::open_server(address("169.254.169.254:80"));
  net.users.enter();
  Result<UdpSocket> user = UdpSocket::open_server(address("10.9.0.2:5000"));
  Result<UdpSocket> spoofer = UdpSocket::open_server(address("172.16.0.9:5000"));
  REQUIRE(web);
  REQUIRE(metadata);
  REQUIRE(user);
  REQUIRE(spoofer);

  SocketAddress seen;
  REQUIRE(arrives(*user, *web, address("203.0.113.1:443"), &seen));  // port 443 of others is translated, too
  CHECK(seen.ip.to_string() == "203.0.113.7");
  net.internet.enter();
  CHECK(arrives(*web, *user, seen));
  net.users.enter();
  CHECK_FALSE(arrives(*user, *metadata, address("169.254.169.254:80")));
  CHECK_FALSE(arrives(*spoofer, *web, address("203.0.113.1:443")));

  // Isolation: what comes in by the TUN does not go out by it.
  net.server.enter();
  const std::string forward = ruleset();
  CHECK(forward.find("iifname \"srv0\" oifname \"srv0\" drop") != std::string::npos);
  ip("route add 10.9.77.0/24 via 10.9.0.3 dev srv0");
  REQUIRE(set_sysctl("net.ipv4.conf.srv0.send_redirects", "0"));
  net.users.enter();
  ip("address add 10.9.77.1/32 dev lo");
  Result<UdpSocket> other = UdpSocket::open_server(address("10.9.77.1:6000"));
  REQUIRE(other);
  ip("rule add pref 1 to 10.9.77.1 lookup 77");
  ip("route add 10.9.77.1 via 10.9.0.1 dev u0 table 77");
  ip("rule add pref 2 lookup local");
  ip("rule delete pref 0");
  REQUIRE(set_sysctl("net.ipv4.conf.u0.accept_local", "1"));
  ip("rule add pref 0 iif u0 lookup local");
  ServerFirewall open = firewall("srv0");
  open.client_to_client = true;
  net.server.enter();
  REQUIRE(run_nft(server_table(open).ruleset));
  net.users.enter();
  CHECK(arrives(*user, *other, address("10.9.77.1:6000")));
  net.server.enter();
  REQUIRE(run_nft(server_table(firewall("srv0")).ruleset));
  net.users.enter();
  CHECK_FALSE(arrives(*user, *other, address("10.9.77.1:6000")));
  net.server.enter();
}

TEST_CASE("the server's own port is not tracked, so no user's flow can take it over") {
  if (!fresh_namespace()) return;
  const Droplet net;
  const auto log = open_log(net.dir);
  REQUIRE(enable_forwarding(*log));
  ServerFirewall f = firewall("srv0");
  REQUIRE(log->apply(server_table(f)));
  Result<UdpSocket> ours = UdpSocket::open_server(address("0.0.0.0:443"));
  net.internet.enter();
  Result<UdpSocket> visitor = UdpSocket::open_server(address("203.0.113.1:7777"));
  net.users.enter();
  Result<UdpSocket> attacker = UdpSocket::open_server(address("10.9.0.2:443"));
  REQUIRE(ours);
  REQUIRE(visitor);
  REQUIRE(attacker);
  // The attacker's flow from port 443 keeps its port when translated: its return direction shadows our own.
  SocketAddress seen;
  REQUIRE(arrives(*attacker, *visitor, address("203.0.113.1:7777"), &seen));
  CHECK(seen == address("203.0.113.7:443"));
  net.internet.enter();
  CHECK(arrives(*visitor, *ours, address("203.0.113.7:443")));
  net.server.enter();
}

TEST_CASE("packets to the tunnel's address that come in elsewhere are dropped") {
  if (!fresh_namespace()) return;
  const Droplet net;
  net.internet.enter();
  ip("route add 10.9.0.0/16 via 203.0.113.7");
  Result<UdpSocket> neighbour = UdpSocket::open_server(address("203.0.113.1:7777"));
  net.server.enter();
  Result<UdpSocket> inner = UdpSocket::open_server(address("10.9.0.1:8080"));
  REQUIRE(neighbour);
  REQUIRE(inner);
  CHECK(arrives(*neighbour, *inner, address("10.9.0.1:8080")));
  const auto log = open_log(net.dir);
  REQUIRE(log->apply(client_table("srv0", {*IpAddress::parse("10.9.0.1")})));
  CHECK_FALSE(arrives(*neighbour, *inner, address("10.9.0.1:8080")));
  REQUIRE(log->undo_all());
  CHECK(arrives(*neighbour, *inner, address("10.9.0.1:8080")));
}

TEST_CASE("forwarding is turned on in this namespace and off again; what was on stays on") {
  if (!fresh_namespace()) return;
  const TempDir dir;
  const std::string v4 = "net.ipv4.ip_forward", v6 = "net.ipv6.conf.all.forwarding";
  REQUIRE(set_sysctl(v4, "0"));
  REQUIRE(set_sysctl(v6, "0"));
  ip("link add e1 type veth peer name e2");
  REQUIRE(set_sysctl("net/ipv6/conf/e1/accept_ra", "1"));
  {
    const auto log = open_log(dir);
    const Result<std::vector<std::string>> changed = enable_forwarding(*log);
    REQUIRE(changed);
    CHECK(std::find(changed->begin(), changed->end(), v4 + ": 0 -> 1") != changed->end());
    CHECK(std::find(changed->begin(), changed->end(), v6 + ": 0 -> 1") != changed->end());
    CHECK(*get_sysctl(v4) == "1");
    CHECK(*get_sysctl(v6) == "1");
    CHECK(*get_sysctl("net/ipv6/conf/e1/accept_ra") == "2");
    REQUIRE(log->undo_all());
    CHECK(*get_sysctl(v4) == "0");
    CHECK(*get_sysctl(v6) == "0");
    CHECK(*get_sysctl("net/ipv6/conf/e1/accept_ra") == "1");
  }
  REQUIRE(set_sysctl(v4, "1"));
  const auto log = open_log(dir);
  REQUIRE(enable_forwarding(*log));
  REQUIRE(log->undo_all());
  CHECK(*get_sysctl(v4) == "1");
  CHECK_FALSE(get_sysctl("net.no.such.setting"));
  CHECK_FALSE(set_sysctl("net.ipv4.ip_forward", "many"));
}

TEST_CASE("a firewall of others that forbids forwarding is named") {
  if (!fresh_namespace()) return;
  CHECK(forward_drop_chains().empty());
  REQUIRE(run_nft("table inet ufw { chain FORWARD { type filter hook forward priority 0; policy drop; }\n}\n"));
  CHECK(forward_drop_chains() == std::vector<std::string>{"inet ufw FORWARD"});
}

}  // namespace
}  // namespace hawser
