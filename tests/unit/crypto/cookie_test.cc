// Cookies: rotation, the address they are bound to, and replies that only the asker can open.
#include "common/crypto/cookie.h"

#include "common/crypto/handshake.h"
#include "tests/unit/crypto/support.h"

using namespace hawser;
using namespace hawser::test;

namespace {

constexpr Time kStart{Duration::seconds(1000).ns};

SocketAddress address(uint8_t last, uint16_t port) {
  return {IpAddress::v4(203, 0, 113, last), port, 0};
}

struct Fixture {
  SeededRng rng{11};
  StaticKeyPair client = StaticKeyPair::generate(rng), server = StaticKeyPair::generate(rng);
  CookieIssuer issuer{server.public_key(), rng, kStart};
  SocketAddress source = address(7, 40000);
  Initiator initiator = [this] {
    InitiatorParams p;
    p.local = &client;
    p.responder = server.public_key();
    p.own_index = SessionIndex{0x01020304};
    return std::move(*Initiator::begin(p, rng));
  }();

  Bytes reply_at(Time now) {
    const auto r = issuer.reply(*wire::parse_initiation(initiator.datagram()), source, now);
    return Bytes(r.begin(), r.end());
  }
  Bytes with_mac2(const Cookie& cookie) {
    Bytes d(initiator.datagram().begin(), initiator.datagram().end());
    set_mac2(d, cookie);
    return d;
  }
  bool verify(const Bytes& datagram, const SocketAddress& from, Time now) {
    return issuer.verify_mac2(*wire::parse_initiation(datagram), from, now);
  }
};

}  // namespace

TEST_CASE("a cookie from reply to mac2") {
  Fixture f;
  const Bytes reply = f.reply_at(kStart);
  CHECK(reply.size() == 64);
  CHECK(reply.size() < f.initiator.datagram().size());  // nothing to amplify
  const auto cookie = f.initiator.open_cookie(reply);
  REQUIRE(cookie);
  const Bytes shown = f.with_mac2(*cookie);
  CHECK(f.verify(shown, f.source, kStart));

  CHECK_FALSE(f.verify(Bytes(f.initiator.datagram().begin(), f.initiator.datagram().end()), f.source, kStart));
  CHECK_FALSE(f.verify(shown, address(8, 40000), kStart));
  CHECK_FALSE(f.verify(shown, address(7, 40001), kStart));
  SocketAddress v6 = f.source;
  v6.ip.family = IpAddress::Family::v6;
  CHECK_FALSE(f.verify(shown, v6, kStart));
  const Responder responder(f.server);
  CHECK(responder.check_mac1(shown));  // mac2 leaves mac1 as it was
}

TEST_CASE("each bit of an initiation counts for mac2") {
  Fixture f;
  const Bytes shown = f.with_mac2(*f.initiator.open_cookie(f.reply_at(kStart)));
  for (size_t bit = 32; bit < shown.size() * 8; ++bit) {  // the first 32 bits are type, version and zeros
    Bytes bad = shown;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    INFO("bit " << bit);
    REQUIRE_FALSE(f.verify(bad, f.source, kStart));
  }
}

TEST_CASE("a cookie lives for the rest of its secret's time and one time more") {
  const Duration life = kCookieSecretLifetime;
  const struct {
    const char* name;
    Duration drawn, shown;
    bool accepted;
  } cases[] = {
      {"at once", {0}, {0}, true},
      {"late in the same lifetime", {0}, life - Duration{1}, true},
      {"one lifetime on", {0}, life, true},
      {"at the end of the next", {0}, life * 2 - Duration{1}, true},
      {"after the next", {0}, life * 2, false},
      {"drawn late, shown in the next", life - Duration{1}, life * 2 - Duration{1}, true},
      {"drawn late, two later", life - Duration{1}, life * 2, false},
      {"after a long silence", {0}, life * 100, false},
      {"drawn after a long silence", life * 100, life * 100 + kCookieLifetime, true},
  };
  for (const auto& c : cases) {
    INFO(c.name);
    Fixture f;
    const Bytes shown = f.with_mac2(*f.initiator.open_cookie(f.reply_at(kStart + c.drawn)));
    CHECK(f.verify(shown, f.source, kStart + c.shown) == c.accepted);
  }
  SECTION("secrets turn by their own clock: asking late does not prolong a cookie") {
    Fixture f;
    const Time late = kStart + life + life / 2;
    const Bytes shown = f.with_mac2(*f.initiator.open_cookie(f.reply_at(late)));
    CHECK(f.verify(shown, f.source, kStart + life * 3 - Duration{1}));
    CHECK_FALSE(f.verify(shown, f.source, kStart + life * 3));
  }
}

TEST_CASE("a cookie reply opens for the initiation that it answers only") {
  Fixture f;
  const Bytes reply = f.reply_at(kStart);
  for (size_t bit = 0; bit < reply.size() * 8; ++bit) {
    Bytes bad = reply;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    INFO("bit " << bit);
    REQUIRE_FALSE(f.initiator.open_cookie(bad));
  }
  for (size_t n = 0; n < reply.size(); ++n) REQUIRE_FALSE(f.initiator.open_cookie(ByteSpan(reply).first(n)));

  InitiatorParams p;
  p.local = &f.client;
  p.responder = f.server.public_key();
  p.own_index = f.initiator.own_index();
  const auto other = Initiator::begin(p, f.rng);  // same index, another mac1
  REQUIRE(other);
  CHECK_FALSE(other->open_cookie(reply));
  p.responder = f.client.public_key();
  CHECK_FALSE(Initiator::begin(p, f.rng)->open_cookie(reply));
  CHECK(f.initiator.open_cookie(reply));
}

TEST_CASE("each path has its own cookie over the same initiation") {
  Fixture f;
  const auto view = *wire::parse_initiation(f.initiator.datagram());
  const SocketAddress wifi = address(1, 1000), cellular = address(2, 2000);
  const auto a = f.initiator.open_cookie(f.issuer.reply(view, wifi, kStart));
  const auto b = f.initiator.open_cookie(f.issuer.reply(view, cellular, kStart));
  REQUIRE(a);
  REQUIRE(b);
  CHECK(*a != *b);
  CHECK(f.verify(f.with_mac2(*a), wifi, kStart));
  CHECK_FALSE(f.verify(f.with_mac2(*a), cellular, kStart));
  CHECK(f.verify(f.with_mac2(*b), cellular, kStart));
}
