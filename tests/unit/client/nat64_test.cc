// Translated addresses: the table of RFC 6052, section 2.4, and prefixes found as RFC 7050 has it.
#include "client/nat64.h"

#include <catch2/catch.hpp>

using namespace hawser;
using namespace hawser::client;

namespace {

IpAddress addr(const char* text) {
  return *IpAddress::parse(text);
}
IpPrefix prefix(const char* text) {
  return *IpPrefix::parse(text);
}

}  // namespace

TEST_CASE("an IPv4 address in each length of prefix, as in RFC 6052") {
  const std::pair<const char*, const char*> cases[] = {
      {"2001:db8::/32", "2001:db8:c000:221::"},
      {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
      {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
      {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
      {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
      {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
      {"64:ff9b::/96", "64:ff9b::c000:221"},
  };
  for (const auto& [p, expected] : cases) {
    INFO(p);
    CHECK(nat64_address(prefix(p), addr("192.0.2.33")) == addr(expected));
    // The same prefix is found again by what a translating resolver answers.
    const IpAddress answer = *nat64_address(prefix(p), addr("192.0.0.171"));
    CHECK(nat64_prefixes(std::vector{addr("192.0.0.170"), answer}) == std::vector{prefix(p)});
  }
  CHECK_FALSE(nat64_address(prefix("2001:db8::/72"), addr("192.0.2.33")));
  CHECK_FALSE(nat64_address(prefix("64:ff9b::/96"), addr("2001:db8::1")));
}

TEST_CASE("answers that name no translator give no prefix") {
  CHECK(nat64_prefixes(std::vector{addr("192.0.0.170"), addr("192.0.0.171")}).empty());
  CHECK(nat64_prefixes(std::vector{addr("2001:db8::1"), addr("64:ff9b::c000:221")}).empty());
  // The reserved byte is not zero.
  CHECK(nat64_prefixes(std::vector{addr("2001:db8:122:344:1c0:0:aa00::")}).empty());
  const std::vector both{addr("64:ff9b::c000:aa"), addr("64:ff9b::c000:ab"), addr("2001:db8:64::c000:aa")};
  CHECK(nat64_prefixes(both) == std::vector{prefix("64:ff9b::/96"), prefix("2001:db8:64::/96")});
}
