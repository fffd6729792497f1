// The bridge's word on who has a session.
#include "server/bridge.h"

#include <catch2/catch.hpp>

#include "common/crypto/secret.h"
#include "server/installation.h"

namespace hawser::server {
namespace {

PublicKey key(uint8_t n) {
  PublicKey k;
  k.bytes.fill(n);
  return k;
}

TEST_CASE("who must go: a user who was removed or disabled, and a device that was replaced") {
  init();
  const UnixTime now = wall_clock();
  auto registry = Registry::open(":memory:", {IpPrefix::parse("10.9.0.0/16"), {}});
  REQUIRE(registry);
  Log log = Log::to_stderr(LogLevel::error);
  Bridge bridge({}, *registry, log);
  const auto user = registry->allow_key("phone", key(1), now);
  REQUIRE(user);
  CHECK(bridge.must_go(user->id, key(1)) == std::nullopt);

  const std::array<uint8_t, 16> secret{7};
  const TokenMaterial token = TokenMaterial::of(secret);
  REQUIRE(registry->create_invite("phone", token, UnixTime{now.seconds + 600}, now));
  CHECK(bridge.must_go(user->id, key(1)) == std::nullopt);
  REQUIRE(registry->commit_enrolment(token.id, key(2), now));
  CHECK(bridge.must_go(user->id, key(1)) == wire::CloseReason::replaced);
  CHECK(bridge.must_go(user->id, key(2)) == std::nullopt);

  REQUIRE(registry->disable("phone", now));
  CHECK(bridge.must_go(user->id, key(2)) == wire::CloseReason::disabled);
  REQUIRE(registry->remove("phone", now));
  CHECK(bridge.must_go(user->id, key(2)) == wire::CloseReason::removed);
}

}  // namespace
}  // namespace hawser::server
