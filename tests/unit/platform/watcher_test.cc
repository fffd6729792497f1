// Interfaces, their changes, and by which gateway they reach an address.
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "netns.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/linux/link_state.h"
#include "platform/netlink.h"

#include <algorithm>

namespace hawser {
namespace {

using testing::fresh_namespace;
using testing::ip;
using testing::make_veth;
using testing::Namespace;

IpAddress addr(const char* text) {
  return *IpAddress::parse(text);
}

const Interface* find(const std::vector<Interface>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Interface& i) { return i.name == name; });
  return found == all.end() ? nullptr : &*found;
}

struct Watching {
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  std::vector<InterfaceWatcher::Change> changes;
  std::unique_ptr<InterfaceWatcher> watcher;

  explicit Watching(InterfaceWatcher::Options options = {}) {
    Result<std::unique_ptr<InterfaceWatcher>> made = InterfaceWatcher::create(
        *loop, [this](const InterfaceWatcher::Change& change) { changes.push_back(change); }, options);
    REQUIRE(made);
    watcher = std::move(*made);
    run_for(Duration::millis(5));
    REQUIRE(changes.size() == 1);  // what is there already
    changes.clear();
  }
  void run_for(Duration duration) {
    EventLoop::Timer timer = loop->make_timer([this] { loop->stop(); });
    timer.set_deadline(now() + duration);
    loop->run();
  }
};

TEST_CASE("interfaces are listed with their usable addresses") {
  if (!fresh_namespace()) return;
  const Namespace client = Namespace::current(), server = Namespace::create();
  client.enter();
  make_veth("e1", "10.1.0.2/24", "s1", "", server);
  ip("address add 169.254.7.7/16 dev e1");
  testing::add_address("fd01::2/64", "e1");
  ip("address add fd01::3/64 dev e1 nodad preferred_lft 0");  // deprecated
  ip("link add br0 type bridge");
  ip("link add d0 type veth peer name d1");
  ip("link set d0 master br0 up");
  const Result<std::vector<Interface>> all = list_interfaces();
  REQUIRE(all);
  const Interface* e1 = find(*all, "e1");
  REQUIRE(e1 != nullptr);
  CHECK(e1->up);
  CHECK(e1->carrier);
  CHECK(e1->kind == "veth");
  CHECK(e1->is_virtual);
  CHECK(e1->type == InterfaceType::ethernet);
  CHECK_FALSE(e1->metered);
  CHECK(e1->mtu == 1500);
  CHECK(e1->addresses == std::vector<InterfaceAddress>{{addr("10.1.0.2"), 24, false, false},
                                                       {addr("fd01::2"), 64, false, false},
                                                       {addr("fd01::3"), 64, false, true}});
  REQUIRE(find(*all, "lo") != nullptr);
  CHECK(find(*all, "lo")->loopback);
  CHECK(find(*all, "lo")->addresses.empty());
  CHECK(find(*all, "d0")->enslaved);
  CHECK(find(*all, "br0")->kind == "bridge");
  CHECK_FALSE(find(*all, "br0")->up);
}

TEST_CASE("a new interface is told once after the debounce, a loss at once") {
  if (!fresh_namespace()) return;
  const Namespace client = Namespace::current(), server = Namespace::create();
  client.enter();
  Watching w({Duration::millis(60), 1 << 20});
  make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", server);
  ip("route add default via 10.1.0.1");
  w.run_for(Duration::millis(25));
  CHECK(w.changes.empty());
  w.run_for(Duration::millis(80));
  REQUIRE(w.changes.size() == 1);
  CHECK_FALSE(w.changes[0].loss);
  CHECK(w.changes[0].routes_changed);
  const Interface* e1 = find(w.changes[0].interfaces, "e1");
  REQUIRE(e1 != nullptr);
  CHECK(e1->carrier);
  CHECK(e1->addresses.size() == 1);

  // A DHCP renewal sets the same address again: nothing to tell.
  w.changes.clear();
  ip("address replace 10.1.0.2/24 dev e1 valid_lft 3600 preferred_lft 3600");
  w.run_for(Duration::millis(100));
  for (const auto& change : w.changes) {
    CHECK_FALSE(change.loss);
    CHECK(find(change.interfaces, "e1")->addresses == e1->addresses);
  }

  w.changes.clear();
  ip("address delete 10.1.0.2/24 dev e1");
  w.run_for(Duration::millis(20));
  REQUIRE_FALSE(w.changes.empty());
  CHECK(w.changes[0].loss);
  CHECK(find(w.changes.back().interfaces, "e1")->addresses.empty());

  ip("address add 10.1.0.2/24 dev e1");
  w.run_for(Duration::millis(100));
  w.changes.clear();
  server.enter();
  ip("link set s1 down");
  client.enter();
  w.run_for(Duration::millis(20));
  REQUIRE_FALSE(w.changes.empty());
  CHECK(w.changes[0].loss);
  CHECK(find(w.changes[0].interfaces, "e1")->up);
  CHECK_FALSE(find(w.changes[0].interfaces, "e1")->carrier);

  w.changes.clear();
  ip("link delete e1");
  w.run_for(Duration::millis(20));
  REQUIRE_FALSE(w.changes.empty());
  CHECK(find(w.watcher->interfaces(), "e1") == nullptr);
}

TEST_CASE("a rule or route of ours that goes is told at once, in both families; others' rules are not") {
  if (!fresh_namespace()) return;
  const Namespace client = Namespace::current(), server = Namespace::create();
  client.enter();
  make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", server);
  testing::add_address("fd01::2/64", "e1");
  const std::vector<std::string> ours = {"rule XX pref 5000 from 10.1.0.2 lookup main",
                                         "rule XX pref 5301 lookup 18600", "-6 rule XX pref 5301 lookup 18600",
                                         "route XX default via 10.1.0.1 dev e1 table 18600",
                                         "-6 route XX default via fd01::1 dev e1 table 18600"};
  const auto with = [](std::string command, const std::string& verb) {
    return command.replace(command.find("XX"), 2, verb);
  };
  for (const std::string& command : ours) ip(with(command, "add"));
  ip("rule add pref 4000 lookup 300");
  Watching w({Duration::millis(500), 1 << 20});
  ip("rule delete pref 4000 lookup 300");
  ip("rule add pref 4000 lookup 300");
  w.run_for(Duration::millis(600));
  CHECK(w.changes.empty());
  for (const std::string& command : ours) {
    INFO(command);
    ip(with(command, "delete"));
    w.run_for(Duration::millis(100));
    REQUIRE(w.changes.size() == 1);
    CHECK(w.changes[0].own_removed);
    CHECK_FALSE(w.changes[0].routes_changed);
    w.changes.clear();
  }
}

TEST_CASE("a default route that goes is told at once; one that comes to our own tables is not told") {
  if (!fresh_namespace()) return;
  const Namespace client = Namespace::current(), server = Namespace::create();
  client.enter();
  make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", server);
  ip("route add default via 10.1.0.1");
  Watching w({Duration::millis(60), 1 << 20});
  w.run_for(Duration::millis(600));  // what the new link still has to say
  w.changes.clear();
  ip("route add default via 10.1.0.1 dev e1 table 18600");
  w.run_for(Duration::millis(100));
  CHECK(w.changes.empty());
  ip("route delete default");
  w.run_for(Duration::millis(20));
  REQUIRE(w.changes.size() == 1);
  CHECK(w.changes[0].routes_changed);
}

TEST_CASE("when the kernel's queue overflows everything is read again") {
  if (!fresh_namespace()) return;
  Watching w({Duration::millis(10), 4096});
  // The loop does not run meanwhile, and the queue is as small as it can be.
  for (int i = 0; i < 40; ++i) ip("link add d" + std::to_string(i) + " type bridge");
  for (int i = 0; i < 39; ++i) ip("link delete d" + std::to_string(i));
  ip("link set d39 up");
  w.run_for(Duration::millis(50));
  CHECK(w.watcher->resyncs() >= 1);
  REQUIRE_FALSE(w.changes.empty());
  // The lost events may have been of any kind.
  CHECK(w.changes.front().routes_changed);
  CHECK(w.changes.front().own_removed);
  CHECK(w.changes.back().interfaces == *list_interfaces());
  CHECK(find(w.changes.back().interfaces, "d39")->up);
  CHECK(find(w.changes.back().interfaces, "d3") == nullptr);
}

TEST_CASE("what was queued before an overflow is not applied over what is read because of it") {
  if (!fresh_namespace()) return;
  testing::TempDir folder;
  ip("link add d0 type bridge");
  ip("link set d0 up");
  // Some thousand events wait when the queue overflows, many turns of the loop; what is lost takes back all that they say.
  Watching w({Duration::millis(10), 1u << 20});
  std::string commands;
  for (int i = 0; i < 6000; ++i) {
    commands += "address add 10." + std::to_string(1 + i / 250) + "." + std::to_string(1 + i % 250) + ".1/32 dev d0\n";
  }
  REQUIRE(write_file_atomic(folder.path("batch"), commands));
  ip("-batch " + folder.path("batch"));
  ip("address flush dev d0");
  ip("link set d0 down");
  w.run_for(Duration::millis(500));
  CHECK(w.watcher->resyncs() == 1);
  REQUIRE_FALSE(w.changes.empty());
  CHECK(w.changes.back().interfaces == *list_interfaces());
  CHECK(find(w.changes.back().interfaces, "d0")->addresses.empty());
  CHECK_FALSE(find(w.changes.back().interfaces, "d0")->up);
}

TEST_CASE("a radio's news about itself says nothing of the link") {
  LinkState state;
  const auto tell = [&](bool news) {
    alignas(nlmsghdr) char buffer[512];
    nlmsghdr* message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = RTM_NEWLINK;
    auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
    info->ifi_family = AF_UNSPEC;
    info->ifi_index = 7;
    info->ifi_flags = IFF_UP;
    mnl_attr_put_strz(message, IFLA_IFNAME, "wlan0");
    if (news) {
      const char event[] = "end of a scan";
      mnl_attr_put(message, IFLA_WIRELESS, sizeof event, event);
    } else {
      mnl_attr_put_u8(message, IFLA_OPERSTATE, 5);  // IF_OPER_DORMANT: not associated
      mnl_attr_put_u8(message, IFLA_CARRIER, 0);
    }
    state.apply(message);
  };
  tell(false);
  REQUIRE(state.snapshot().size() == 1);
  REQUIRE_FALSE(state.snapshot()[0].carrier);
  tell(true);
  CHECK_FALSE(state.snapshot()[0].carrier);
}

TEST_CASE("a link reaches the server by its own default route, whatever the metrics") {
  if (!fresh_namespace()) return;
  const Namespace client = Namespace::current(), server = Namespace::create();
  client.enter();
  make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", server);
  make_veth("e2", "10.2.0.2/24", "s2", "10.2.0.1/24", server);
  make_veth("e3", "10.3.0.2/24", "s3", "10.3.0.1/24", server);
  ip("route add default via 10.1.0.1 dev e1 metric 100");
  ip("route add default via 10.2.0.1 dev e2 metric 600");
  ip("route add default via 10.2.0.99 dev e2 metric 700");
  testing::add_address("fd01::2/64", "e1");
  ip("-6 route add default via fe80::1 dev e1");
  const IpAddress peer = addr("203.0.113.7");
  const uint32_t e1 = interface_index("e1"), e2 = interface_index("e2"), e3 = interface_index("e3");

  const Result<RouteToPeer> by_e2 = route_to(peer, e2);
  REQUIRE(by_e2);
  CHECK(by_e2->kind == RouteToPeer::Kind::gateway);
  CHECK(by_e2->gateway == addr("10.2.0.1"));
  CHECK(by_e2->has_default);
  CHECK(route_to(peer, e1)->gateway == addr("10.1.0.1"));
  CHECK(route_to(addr("2001:db8::1"), e1)->gateway == addr("fe80::1"));
  CHECK(route_to(addr("2001:db8::1"), e2)->kind == RouteToPeer::Kind::none);

  // Without a default route only neighbours are reached: not the server.
  CHECK(route_to(peer, e3)->kind == RouteToPeer::Kind::none);
  CHECK_FALSE(route_to(peer, e3)->has_default);
  CHECK_FALSE(*has_route_by(peer, {}, e3));
  CHECK(*has_route_by(peer, {}, e2));
  CHECK(route_to(addr("10.3.0.1"), e3)->kind == RouteToPeer::Kind::on_link);
  CHECK(*has_route_by(addr("10.3.0.1"), {}, e3));
  const Result<RouteToPeer> neighbour = route_to(addr("10.1.0.1"), e1);
  CHECK(neighbour->kind == RouteToPeer::Kind::on_link);
  CHECK(neighbour->default_gateway == addr("10.1.0.1"));

  // A table of ours (any profile's) is no proof; another's policy routing is.
  ip("route add default via 10.3.0.1 dev e3 table 18600");
  ip("rule add oif e3 lookup 18600 pref 5001");
  CHECK(route_to(peer, e3)->kind == RouteToPeer::Kind::none);
  ip("route add default via 10.3.0.77 dev e3 table 300");
  ip("rule add oif e3 lookup 300 pref 4000");
  CHECK(route_to(peer, e3)->gateway == addr("10.3.0.77"));

  // A multipath default counts for each of its devices; a dead link's does not.
  ip("route replace default metric 50 nexthop via 10.1.0.7 dev e1 nexthop via 10.2.0.7 dev e2");
  CHECK(route_to(peer, e2)->gateway == addr("10.2.0.7"));
  ip("link set e2 down");
  CHECK(route_to(peer, e2)->kind == RouteToPeer::Kind::none);
}

TEST_CASE("every gateway of an interface is a way, best first, and policy rules say whose") {
  if (!fresh_namespace()) return;
  const Namespace client = Namespace::current(), server = Namespace::create();
  client.enter();
  make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", server);
  ip("address add 10.5.0.2/24 dev e1");
  ip("route add default via 10.1.0.254 dev e1 metric 300");
  ip("route add default via 10.5.0.1 dev e1 metric 200");
  ip("route add default via 10.1.0.1 dev e1 metric 100");
  testing::add_address("fd01::2/64", "e1");
  ip("-6 route add default via fe80::1 dev e1 metric 2048");
  ip("-6 route add default via fe80::2 dev e1 metric 1024");
  const IpAddress peer = addr("203.0.113.7");
  const uint32_t e1 = interface_index("e1");
  const auto ways = [&](const IpAddress& destination, const char* source) {
    const Result<RouteTable> table = RouteTable::load({&destination, 1});
    REQUIRE(table);
    std::string text;
    for (const RouteToPeer& w : table->ways(destination, addr(source), e1, "e1")) {
      text += (w.gateway.is_set() ? w.gateway.to_string() : "on-link") + "/" + w.default_gateway.to_string() + " ";
    }
    return text;
  };
  const std::string all = "10.1.0.1/10.1.0.1 10.5.0.1/10.5.0.1 10.1.0.254/10.1.0.254 ";
  CHECK(ways(peer, "10.1.0.2") == all);
  CHECK(ways(addr("10.5.0.9"), "10.1.0.2") == "on-link/10.1.0.1 ");
  CHECK(ways(addr("2001:db8::1"), "fd01::2") == "fe80::2/fe80::2 fe80::1/fe80::1 ");
  // Somebody's rule for one address, also when rules of ours come before it.
  ip("route add default via 10.5.0.77 dev e1 table 300");
  ip("rule add from 10.5.0.2 lookup 300 pref 6000");
  ip("route add default via 10.5.0.77 dev e1 table 18600");
  ip("rule add from 10.5.0.2 lookup 18600 pref 5030");
  CHECK(ways(peer, "10.5.0.2") == "10.5.0.77/10.5.0.77 ");
  CHECK(ways(peer, "10.1.0.2") == all);
  // A rule for marked packets or those of an interface is not about our sockets.
  ip("rule add from 10.1.0.2 fwmark 7 lookup 300 pref 6001");
  ip("rule add not from 10.9.9.9 lookup 300 pref 6002");
  CHECK(ways(peer, "10.1.0.2") == all);
  // A more specific route is the way; defaults are no alternatives to it.
  ip("route add 203.0.113.0/24 via 10.1.0.9 dev e1");
  CHECK(ways(peer, "10.1.0.2") == "10.1.0.9/10.1.0.1 ");
}

}  // namespace
}  // namespace hawser
