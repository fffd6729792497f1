// What is tried of what several sources say about the server's address.
#include "client/server_addresses.h"

#include <catch2/catch.hpp>

namespace hawser::client {
namespace {

std::vector<SocketAddress> of(std::initializer_list<const char*> texts) {
  std::vector<SocketAddress> all;
  for (const char* t : texts) all.push_back(*SocketAddress::parse(t));
  return all;
}

}  // namespace

TEST_CASE("a source with many addresses does not crowd out the others'") {
  const auto lies = of({"192.0.2.1:443", "192.0.2.2:443", "192.0.2.3:443", "192.0.2.4:443"});
  const auto truth = of({"203.0.113.7:443"}), old = of({"198.51.100.1:443", "203.0.113.7:443"});
  CHECK(in_turn({lies, truth, {}, old}, 4) ==
        of({"192.0.2.1:443", "203.0.113.7:443", "198.51.100.1:443", "192.0.2.2:443"}));
  CHECK(in_turn({lies, truth, old}, 100).size() == 6);
}

TEST_CASE("only what a server can have is tried") {
  auto odd = of({"224.0.0.1:443", "203.0.113.7:0", "203.0.113.7:443"});
  odd.insert(odd.begin(), SocketAddress{});
  CHECK(in_turn({odd}, 8) == of({"203.0.113.7:443"}));
  CHECK(in_turn({}, 8).empty());
}

}  // namespace hawser::client
