// The write-ahead log: replay after a kill, others' changes kept, reboots, torn lines.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "netns.h"
#include "platform/files.h"
#include "platform/netlink.h"
#include "platform/routing.h"
#include "platform/sysctl.h"
#include "platform/tun.h"
#include "platform/undo.h"

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

Route lan_route(const char* gateway = "10.1.0.1") {
  Route route;
  route.destination = *IpPrefix::parse("198.51.100.0/24");
  route.interface = "e1";
  route.gateway = addr(gateway);
  return route;
}

struct Machine {
  TempDir dir;
  std::string log = dir.path("state/home/undo.json");
  Namespace here, other;  // kept: with the other one its end of the link would go
  Machine() : here(Namespace::current()), other(Namespace::create()) {
    here.enter();
    make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", other);
    testing::add_address("fd01::2/64", "e1");
  }
};

std::unique_ptr<UndoLog> open_log(const std::string& path) {
  Result<std::unique_ptr<UndoLog>> log = UndoLog::open(path);
  REQUIRE(log);
  return std::move(*log);
}

TEST_CASE("after kill -9 the replay leaves the system as it was, and no log") {
  if (!fresh_namespace()) return;
  const Machine m;
  REQUIRE(write_file_atomic(m.dir.path("resolv.conf"), "nameserver 10.1.0.1\n", 0644));
  const std::string before = routing_state();
  const std::string forwarding = *get_sysctl("net.ipv4.ip_forward");
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto log = std::move(*UndoLog::open(m.log));
    Routing routing(*log, "home");
    bool ok = static_cast<bool>(routing.add_path({"e1", addr("10.1.0.2"), 24, addr("10.1.0.1"), false}));
    ok = routing.add_path({"e1", addr("fd01::2"), 64, addr("fd01::1"), false}) && ok;
    ok = log->apply(lan_route()) && ok;
    ok = log->apply(FileChange{m.dir.path("resolv.conf"), "nameserver 9.9.9.9\n", 0644}) && ok;
    ok = log->apply(FileChange{m.dir.path("new.conf"), "ours", 0600}) && ok;
    ok = log->apply(SysctlChange{"net.ipv4.ip_forward", forwarding == "1" ? "0" : "1"}) && ok;
    const char told = ok ? 'y' : 'n';
    if (::write(ends[1], &told, 1) == 1) ::pause();
    ::_exit(0);
  }
  char told = 0;
  REQUIRE(::read(ends[0], &told, 1) == 1);
  CHECK(told == 'y');
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(routing_state() != before);
  CHECK(*get_sysctl("net.ipv4.ip_forward") != forwarding);

  const Result<std::vector<std::string>> undone = UndoLog::replay(m.log);
  REQUIRE(undone);
  CHECK(undone->size() == 2 * 5 + 4);
  CHECK(routing_state() == before);
  CHECK(*get_sysctl("net.ipv4.ip_forward") == forwarding);
  CHECK(*read_file(m.dir.path("resolv.conf")) == "nameserver 10.1.0.1\n");
  CHECK_FALSE(file_exists(m.dir.path("new.conf")));
  CHECK_FALSE(file_exists(m.log));
  const Result<std::vector<std::string>> again = UndoLog::replay(m.log);
  REQUIRE(again);
  CHECK(again->empty());
}

TEST_CASE("what another program changed meanwhile is kept") {
  if (!fresh_namespace()) return;
  const Machine m;
  REQUIRE(write_file_atomic(m.dir.path("resolv.conf"), "before", 0644));
  for (const bool killed : {false, true}) {
    auto log = open_log(m.log);
    REQUIRE(log->apply(lan_route()));
    REQUIRE(log->apply(FileChange{m.dir.path("resolv.conf"), "ours", 0644}));
    REQUIRE(log->apply(SysctlChange{"net.ipv4.conf.e1.rp_filter", "1"}));
    REQUIRE(log->apply(SysctlChange{"net.ipv4.conf.e1.log_martians", "1"}));
    ip("route replace 198.51.100.0/24 via 10.1.0.77 dev e1");
    ip("route add 198.51.100.0/24 via 10.1.0.78 dev e1 metric 50");
    REQUIRE(write_file_atomic(m.dir.path("resolv.conf"), "theirs", 0644));
    REQUIRE(set_sysctl("net.ipv4.conf.e1.rp_filter", "2"));
    if (killed) {
      log.reset();
      REQUIRE(UndoLog::replay(m.log));
    } else {
      REQUIRE(log->undo_all());
    }
    const std::string routes = ip("route show 198.51.100.0/24");
    CHECK(routes.find("via 10.1.0.77") != std::string::npos);
    CHECK(routes.find("via 10.1.0.78") != std::string::npos);
    CHECK(*read_file(m.dir.path("resolv.conf")) == "theirs");
    CHECK(*get_sysctl("net.ipv4.conf.e1.rp_filter") == "2");
    CHECK(*get_sysctl("net.ipv4.conf.e1.log_martians") == "0");
    CHECK_FALSE(file_exists(m.log));
    ip("route flush 198.51.100.0/24");
    REQUIRE(write_file_atomic(m.dir.path("resolv.conf"), "before", 0644));
  }
}

TEST_CASE("what was there already is not ours to undo") {
  if (!fresh_namespace()) return;
  const Machine m;
  ip("rule add pref 5000 from 10.1.0.2 lookup 99 protocol kernel");
  ip("route add 198.51.100.0/24 via 10.1.0.1 dev e1 onlink proto kernel");
  const std::string before = routing_state();
  const auto log = open_log(m.log);
  const Rule rule{IpAddress::Family::v4, 5000, IpPrefix::parse("10.1.0.2"), std::nullopt, "", 0, 99, std::nullopt};
  const Result<ChangeId> rule_id = log->apply(rule);
  REQUIRE(rule_id);
  CHECK(rule_id->value == 0);
  const Result<ChangeId> route_id = log->apply(lan_route());
  REQUIRE(route_id);
  CHECK(route_id->value == 0);
  const Result<ChangeId> sysctl = log->apply(SysctlChange{"net.ipv4.ip_forward", *get_sysctl("net.ipv4.ip_forward")});
  REQUIRE(sysctl);
  CHECK(sysctl->value == 0);
  CHECK(log->commands().empty());
  REQUIRE(log->undo_all());
  CHECK(routing_state() == before);
}

TEST_CASE("a different route of another to the same place is a failure, not ours and not replaced") {
  if (!fresh_namespace()) return;
  const Machine m;
  ip("route add 198.51.100.0/24 via 10.1.0.77 dev e1");
  ip("-6 route add 2001:db8::/32 via fd01::77 dev e1");
  const std::string before = routing_state();
  const auto log = open_log(m.log);
  const Result<ChangeId> applied = log->apply(lan_route());
  REQUIRE_FALSE(applied);
  CHECK(applied.error().message.find("198.51.100.0/24") != std::string::npos);
  CHECK(routing_state() == before);
  REQUIRE(log->undo_all());
  CHECK(routing_state() == before);
}

TEST_CASE("of several changes all are made or none") {
  if (!fresh_namespace()) return;
  const Machine m;
  const std::string before = routing_state();
  const auto log = open_log(m.log);
  Route impossible = lan_route();
  impossible.interface = "e9";
  const std::vector<SystemChange> changes{lan_route(), SysctlChange{"net.ipv4.conf.e1.rp_filter", "2"}, impossible};
  const Result<std::vector<ChangeId>> applied = log->apply_all(changes);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == ExitCode::system_integration);
  CHECK(routing_state() == before);
  CHECK(*get_sysctl("net.ipv4.conf.e1.rp_filter") != "2");
  CHECK(log->commands().empty());
}

TEST_CASE("a change is on disk before it is made, and the log names the boot") {
  if (!fresh_namespace()) return;
  const Machine m;
  const auto log = open_log(m.log);
  CHECK_FALSE(file_exists(m.log));  // nothing changed, nothing left
  // The kernel refuses this one; that it was logged first is seen in the file, as is that it was dropped.
  Route impossible = lan_route();
  impossible.interface = "e9";
  CHECK_FALSE(log->apply(impossible));
  const std::string text = *read_file(m.log);
  CHECK(text.find(boot_id()) != std::string::npos);
  const size_t logged = text.find("\"e9\""), dropped = text.find("\"drop\":1");
  CHECK(logged != std::string::npos);
  CHECK(dropped != std::string::npos);
  CHECK(logged < dropped);
  REQUIRE(log->undo_all());
  CHECK_FALSE(file_exists(m.log));
}

TEST_CASE("after a reboot only what persists is undone") {
  if (!fresh_namespace()) return;
  const Machine m;
  REQUIRE(write_file_atomic(m.dir.path("resolv.conf"), "before", 0600));
  {
    const auto log = open_log(m.log);
    REQUIRE(log->apply(lan_route()));
    REQUIRE(log->apply(FileChange{m.dir.path("resolv.conf"), "ours \xff\x01 bytes", 0644}));
  }
  std::string text = *read_file(m.log);
  text.replace(text.find(boot_id()), 36, "00000000-0000-0000-0000-000000000000");
  REQUIRE(write_file_atomic(m.log, text));
  const Result<std::vector<std::string>> undone = UndoLog::replay(m.log);
  REQUIRE(undone);
  CHECK(undone->size() == 1);
  CHECK(*read_file(m.dir.path("resolv.conf")) == "before");
  // The same route in the new boot is somebody else's.
  CHECK(ip("route show 198.51.100.0/24").find("10.1.0.1") != std::string::npos);
}

TEST_CASE("a torn last line is a change that was never made; nonsense in the middle is refused") {
  if (!fresh_namespace()) return;
  const Machine m;
  {
    const auto log = open_log(m.log);
    REQUIRE(log->apply(lan_route()));
  }
  const std::string whole = *read_file(m.log);
  REQUIRE(write_file_atomic(m.log, whole + "{\"id\":2,\"kind\":\"ru"));
  const Result<std::vector<std::string>> undone = UndoLog::replay(m.log);
  REQUIRE(undone);
  CHECK(undone->size() == 1);
  CHECK(ip("route show 198.51.100.0/24").empty());

  const size_t first_line = whole.find('\n') + 1;
  for (const std::string& bad :
       {std::string("not json\n") + whole, whole.substr(0, first_line) + "{\"id\":1,\"kind\":\"what\"}\n",
        whole.substr(0, first_line) + "[1,2]\n", whole + "{\"id\"\n" + whole, std::string("[]\n"),
        std::string("7\n")}) {
    REQUIRE(write_file_atomic(m.log, bad));
    const Result<std::vector<std::string>> refused = UndoLog::replay(m.log);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find(m.log) != std::string::npos);
    CHECK(file_exists(m.log));
  }
  REQUIRE(write_file_atomic(m.log, ""));
  CHECK(UndoLog::replay(m.log));
}

TEST_CASE("a device that got the name later is left alone") {
  if (!testing::fresh_namespace_with_tun()) return;
  const Machine m;
  {
    const auto log = open_log(m.log);
    Result<TunDevice> tun = TunDevice::open("auto");
    REQUIRE(tun);
    REQUIRE(log->apply(TunChange{tun->name(), tun->index()}));
  }
  Result<TunDevice> another = TunDevice::open("auto");
  REQUIRE(another);
  REQUIRE(another->name() == "hawser0");
  const Result<std::vector<std::string>> undone = UndoLog::replay(m.log);
  REQUIRE(undone);
  CHECK(undone->empty());
  CHECK(interface_index("hawser0") == another->index());
}

TEST_CASE("a log that flapping paths made long is written anew and still undoes all") {
  if (!fresh_namespace()) return;
  const Machine m;
  const std::string before = routing_state();
  {
    const auto log = open_log(m.log);
    REQUIRE(log->apply(lan_route()));
    const Rule rule{IpAddress::Family::v4, 5000, IpPrefix::parse("10.1.0.2"), std::nullopt, "", 0, 99, std::nullopt};
    for (int i = 0; i < 1000; ++i) REQUIRE(log->revert(*log->apply(rule)));
    CHECK(read_file(m.log)->size() < 100'000);
    CHECK(log->commands().size() == 1);
  }
  REQUIRE(UndoLog::replay(m.log));
  CHECK(routing_state() == before);
}

}  // namespace
}  // namespace hawser
