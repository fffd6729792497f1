// Keys: the curve against RFC 7748, the text form and its every refusal, low-order points.
#include "common/crypto/key.h"

#include <map>
#include <unordered_set>

#include "tests/unit/crypto/low_order_points.h"
#include "tests/unit/crypto/support.h"

using namespace hawser;
using namespace hawser::test;

TEST_CASE("X25519 (RFC 7748, section 6.1)") {
  const StaticKeyPair alice = pair_from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const StaticKeyPair bob = pair_from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  CHECK(to_hex(alice.public_key().bytes) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  CHECK(to_hex(bob.public_key().bytes) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  SecretKey ab, ba;
  REQUIRE(diffie_hellman(alice.secret(), bob.public_key().bytes, ab));
  REQUIRE(diffie_hellman(bob.secret(), alice.public_key().bytes, ba));
  CHECK(to_hex(ab.bytes()) == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  CHECK(ab.equals(ba));
}

TEST_CASE("a low-order point agrees on nothing") {
  SeededRng rng(1);
  const StaticKeyPair us = StaticKeyPair::generate(rng);
  for (const char* hex : kLowOrderPoints) {
    for (uint8_t top_bit : {0x00, 0x80}) {
      Bytes point = from_hex(hex);
      point[31] |= top_bit;
      INFO(to_hex(point));
      SecretKey shared;
      CHECK_FALSE(diffie_hellman(us.secret(), point, shared));
    }
  }
  SecretKey shared;
  CHECK_FALSE(diffie_hellman(us.secret(), ByteSpan(us.public_key().bytes).first(31), shared));
}

TEST_CASE("a key pair comes from the injected source and from nothing else") {
  SeededRng one(7), same(7), other(8);
  const StaticKeyPair a = StaticKeyPair::generate(one), b = StaticKeyPair::generate(same);
  CHECK(a.public_key() == b.public_key());
  CHECK(a.secret().equals(b.secret()));
  CHECK(a.public_key() != StaticKeyPair::generate(one).public_key());
  CHECK(a.public_key() != StaticKeyPair::generate(other).public_key());
  CHECK(a.clone().public_key() == a.public_key());
  CHECK(a.clone().secret().equals(a.secret()));
}

TEST_CASE("keys as text and back") {
  const auto known = PublicKey::parse("hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
  REQUIRE(known);
  CHECK(to_hex(known->bytes) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  CHECK(known->to_base64() == "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");

  PRINT_SEED();
  SeededRng rng(seed());
  for (int i = 0; i < 1000; ++i) {
    const SecretKey key = generate_secret_key(rng);
    const std::string text = to_base64(key);
    CHECK(text.size() == 44);
    const auto back = parse_secret_key(text);
    REQUIRE(back);
    CHECK(back->equals(key));
  }
}

TEST_CASE("what is not the one text of a key does not parse") {
  const std::string good = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
  struct Case {
    const char* name;
    std::string text;
  };
  const Case cases[] = {
      {"empty", ""},
      {"without padding", good.substr(0, 43)},
      {"one too many", good + "="},
      {"a line end", good + "\n"},
      {"white space before", " " + good.substr(0, 43)},
      {"white space inside", good.substr(0, 20) + " " + good.substr(21)},
      {"the other alphabet", "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo="},
      {"bits after the end", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmp="},
      {"31 bytes", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="},
      {"33 bytes", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
      {"hexadecimal", std::string(44, 'z') + "a"},
      {"a zero byte", good.substr(0, 43) + std::string(1, '\0')},
  };
  REQUIRE(PublicKey::parse(good));
  for (const Case& c : cases) {
    INFO(c.name);
    CHECK_FALSE(PublicKey::parse(c.text));
    CHECK_FALSE(parse_secret_key(c.text));
  }
}

TEST_CASE("public keys from bytes, compared, ordered, hashed") {
  const auto raw = counting<32>();
  const auto key = PublicKey::from_bytes(raw);
  REQUIRE(key);
  CHECK_FALSE(PublicKey::from_bytes(ByteSpan(raw).first(31)));
  CHECK_FALSE(PublicKey::from_bytes(counting<33>()));
  std::unordered_set<PublicKey> hashed{*key};
  std::map<PublicKey, int> ordered{{*key, 1}};
  for (size_t bit = 0; bit < 256; ++bit) {
    PublicKey other = *key;
    other.bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    CHECK(other != *key);
    CHECK((other < *key) != (*key < other));
    CHECK_FALSE(hashed.contains(other));
    CHECK_FALSE(ordered.contains(other));
  }
  CHECK(hashed.contains(*PublicKey::from_bytes(raw)));
}
