// Links without sockets, as in a rehearsal, but with real routes and rules.
#include "client/links.h"

#include "netns.h"

using namespace hawser;
using namespace hawser::client;
using hawser::testing::ip;
using hawser::testing::routing_state;

TEST_CASE("routing that could not be changed is tried again, until it is as wished") {
  if (!testing::fresh_namespace()) return;
  const testing::Namespace client = testing::Namespace::current(), server = testing::Namespace::create();
  client.enter();
  testing::make_veth("e1", "10.1.0.2/24", "s1", "10.1.0.1/24", server);
  ip("route add default via 10.1.0.1 dev e1");
  const testing::TempDir dir;
  auto undo = UndoLog::open(dir.path("undo.json"));
  REQUIRE(undo);
  Routing routing(**undo, "home");
  Log log = Log::to_stderr(LogLevel::error);
  LinkPolicy policy;
  policy.only = {"e*"};
  Links links({.routing = &routing, .log = &log, .policy = policy});
  links.set_endpoints({*SocketAddress::parse("203.0.113.7:443")});

  const std::vector<Interface> interfaces = *list_interfaces();
  links.set_interfaces(interfaces);
  CHECK_FALSE(links.incomplete());
  const std::string installed = routing_state();
  // It is called otherwise by the time that we act.
  std::vector<Interface> renamed = interfaces;
  for (Interface& i : renamed) {
    if (i.name == "e1") i.name = "e9";
  }
  links.set_interfaces(renamed);
  CHECK(links.incomplete());
  links.try_again();
  CHECK(links.incomplete());
  links.set_interfaces(interfaces);
  CHECK_FALSE(links.incomplete());
  CHECK(routing_state() == installed);
  REQUIRE((*undo)->undo_all());
}
