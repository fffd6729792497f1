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

// A network answers what it likes, and each prefix would be sockets and handshakes for each address of the server.
TEST_CASE("an answer with many prefixes gives two") {
  std::vector<IpAddress> answers;
  for (uint32_t n = 0; n < 2000; ++n) {
    IpAddress a = addr("2001:db8:64::c000:aa");
    a.bytes[6] = static_cast<uint8_t>(n >> 8);
    a.bytes[7] = static_cast<uint8_t>(n);
    answers.push_back(a);
  }
  CHECK(nat64_prefixes(answers) == std::vector{prefix("2001:db8:64::/96"), prefix("2001:db8:64:1::/96")});
}

TEST_CASE("translated endpoints follow the real ones, all by the first prefix first, up to a bound") {
  const auto at = [](const char* text) { return *SocketAddress::parse(text); };
  const std::vector endpoints{at("192.0.2.33:443"), at("[2001:db8::1]:443"), at("192.0.2.34:4430")};
  const std::vector prefixes{prefix("2001:db8:64::/96"), prefix("64:ff9b::/96")};
  std::vector all = endpoints;
  all.insert(all.end(), {at("[2001:db8:64::c000:221]:443"), at("[2001:db8:64::c000:222]:4430"), at("[64:ff9b::c000:221]:443"),
                         at("[64:ff9b::c000:222]:4430")});
  CHECK(with_translated(endpoints, prefixes, 16) == all);
  all.resize(6);
  CHECK(with_translated(endpoints, prefixes, 6) == all);
  CHECK(with_translated(endpoints, prefixes, 3) == endpoints);
  CHECK(with_translated(endpoints, {}, 16) == endpoints);
}
