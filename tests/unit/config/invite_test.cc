// Invites: both ways, every damaged character refused, bounds, and words that say what to do.
#include "common/config/invite.h"

#include "tests/unit/config/support.h"

using namespace hawser;
using namespace hawser::test;

namespace {

Invite sample() {
  Invite invite;
  invite.endpoints = {must(HostPort::parse("203.0.113.7:443")), must(HostPort::parse("[2a03:b0c0:1::7]:8443")),
                      must(HostPort::parse("vpn.example.org:443"))};
  invite.server_public_key = *PublicKey::parse(kKey);
  for (size_t i = 0; i < invite.token.size(); ++i) invite.token[i] = static_cast<uint8_t>(17 * i + 3);
  invite.expires = UnixTime{1795348083};
  return invite;
}

bool same(const Invite& a, const Invite& b) {
  return a.endpoints == b.endpoints && a.server_public_key == b.server_public_key && a.token == b.token &&
         a.expires == b.expires;
}

std::string error_of(std::string_view text) {
  const auto decoded = decode_invite(text);
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().code == ExitCode::configuration);
  return decoded.error().message;
}

}  // namespace

TEST_CASE("an invite comes back as it went") {
  const Invite invite = sample();
  const std::string text = must(encode_invite(invite));
  CHECK(text.starts_with("hawser1:"));
  CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:") ==
        std::string::npos);
  CHECK(same(must(decode_invite(text)), invite));
  CHECK(same(must(decode_invite("  \t" + text + "\r\n")), invite));
  CHECK(same(must(decode_invite(text.substr(0, 40) + "\n  " + text.substr(40))), invite));  // wrapped by a mail program
  CHECK_FALSE(invite.expired(UnixTime{1795348082}));
  CHECK(invite.expired(UnixTime{1795348083}));
}

TEST_CASE("the format stays what it is") {
  // An invite printed by this version must be readable by every later one; the bytes were made by a program apart.
  Invite invite = sample();
  invite.endpoints.resize(1);
  CHECK(must(encode_invite(invite)) ==
        "hawser1:AAAAAGsC1nNWreRHRjPWZCfyxPa5XjBfrJnRoHZwPh4XqAfyInSQswMUJTZHWGl6i5ytvs_g8QIBBMsAcQcBuyIootTERw7Z");
}

TEST_CASE("every flipped character is refused") {
  const std::string text = must(encode_invite(sample()));
  const std::string alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  for (size_t i = 0; i < text.size(); ++i) {
    for (char c : alphabet + " \"=:/+.\n") {
      if (c == text[i]) continue;
      std::string damaged = text;
      damaged[i] = c;
      INFO("character " << i << " became '" << c << "'");
      REQUIRE_FALSE(decode_invite(damaged));
    }
  }
}

TEST_CASE("every truncation and every extension is refused") {
  const std::string text = must(encode_invite(sample()));
  for (size_t n = 0; n < text.size(); ++n) REQUIRE_FALSE(decode_invite(text.substr(0, n)));
  for (const char* more : {"A", "AA", "AAAA", "=", "x y"}) REQUIRE_FALSE(decode_invite(text + more));
  REQUIRE_FALSE(decode_invite(text + text));
}

TEST_CASE("a refused invite says why and what to do") {
  const std::string text = must(encode_invite(sample()));
  const std::string again = "; copy the whole line that `vpn-server invite` printed, or ask for a new one";
  CHECK(error_of("") == "the invite is empty; paste the line that `vpn-server invite` printed");
  CHECK(error_of("  \n") == "the invite is empty; paste the line that `vpn-server invite` printed");
  CHECK(error_of("hello") == "the invite does not begin with \"hawser1:\"" + again);
  CHECK(error_of("hawser2:AAAA") == "the invite is of version 2, which this program does not know; update Hawser");
  CHECK(error_of("hawser1:") == "the invite is truncated" + again);
  CHECK(error_of("hawser1:AAAA") == "the invite is truncated" + again);
  CHECK(error_of(text.substr(0, text.size() - 1)) == "the invite is damaged or truncated" + again);
  CHECK(error_of(text.substr(0, text.size() - 4)) == "the invite is damaged or truncated" + again);
  CHECK(error_of(text + "$") == "the invite has characters that do not belong in it" + again);
  CHECK(error_of(std::string(5000, 'A')) == "the invite is too long to be one" + again);
}

TEST_CASE("what cannot be an invite is not made") {
  Invite invite = sample();
  invite.endpoints.clear();
  CHECK_FALSE(encode_invite(invite));
  invite.endpoints.assign(kMaxInviteEndpoints + 1, HostPort{"203.0.113.7", 443});
  CHECK_FALSE(encode_invite(invite));
  invite.endpoints.assign(kMaxInviteEndpoints, HostPort{std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                                                            std::string(63, 'c') + "." + std::string(61, 'd'),
                                                        443});
  const std::string longest = must(encode_invite(invite));
  CHECK(longest.size() <= kMaxInviteText);
  CHECK(same(must(decode_invite(longest)), invite));
  for (const HostPort& bad :
       {HostPort{"a b", 443}, HostPort{"", 443}, HostPort{"vpn.example.org", 0}, HostPort{"$(id)", 443}}) {
    invite.endpoints = {bad};
    CHECK_FALSE(encode_invite(invite));
  }
  invite = sample();
  invite.expires = UnixTime{};
  CHECK_FALSE(encode_invite(invite));
}

TEST_CASE("random text never makes an invite") {
  const uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const std::string valid = must(encode_invite(sample()));
  for (int i = 0; i < 20'000; ++i) {
    std::string text = random() % 2 == 0 ? valid : "hawser1:";
    for (auto n = random() % 6 + 1; n > 0; --n)
      text.insert(random() % (text.size() + 1), 1, static_cast<char>(random() % 96 + 33));
    if (decode_invite(text)) FAIL("accepted: " << text);
  }
}
