// Hashes against published values and against values of an independent implementation (Python's hashlib and hmac).
#include "common/crypto/hash.h"

#include "tests/unit/crypto/support.h"

using namespace hawser;
using namespace hawser::test;

TEST_CASE("BLAKE2b-512 of abc (RFC 7693, appendix A), whole and in parts") {
  const char* expected =
      "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925"
      "ab92386edd4009923";
  std::array<uint8_t, 64> out;
  blake2b(out, {text_bytes("abc")});
  CHECK(to_hex(out) == expected);
  blake2b(out, {text_bytes("a"), {}, text_bytes("bc")});
  CHECK(to_hex(out) == expected);
}

TEST_CASE("HMAC-BLAKE2b with keys shorter than, as long as and longer than the block") {
  struct Case {
    size_t key_length;
    const char* expected;
  };
  const Case cases[] = {
      {0,
       "fbd935846061b4e81d21f2057c033e4ee3cbec334b44392beb8eb0fbaae60d34db661c7a2af86fb7c54e832f3c5b1a4ede6145e825c80"
       "5ab1c0136e21166f907"},
      {64,
       "ff080ad21928f0d879cee18afdd9f474379a94b5f10dfa1ef7baa51e8d8bbabea40ef654ad364e4d9b61c469f9d1ac58b6f619c7f4b89"
       "c6dc8b8af4ba72cee65"},
      {128,
       "6aee03aa572a4c65c775fe742f14719c742c8a5ec12acfe29ef0e037e8b8401e373956d6447b0794d5becbe5c478f2f19bb9c8be93a47"
       "135db32c9d55f439e22"},
      {129,
       "61cfce8cce089361d495214011a22475f153553278a917563d091981f549a5d2d4ac13ddd60ed36d9863a243d6750d64c13b16c8d53a8"
       "fef10ed10e4edb711de"},
      {200,
       "99e9a30134b65cfd400ba61f1152d461dbd2ecd2949b975691654aff678f370c59254f4b45f461489d0bd29eeacf7e316490aaea114d3"
       "291d4e10b4bccc49f3d"},
  };
  const auto key = counting<200>();
  for (const Case& c : cases) {
    INFO("key of " << c.key_length << " bytes");
    std::array<uint8_t, 64> out;
    hmac_blake2b(out, ByteSpan(key).first(c.key_length), {text_bytes("Sample "), text_bytes("message")});
    CHECK(to_hex(out) == c.expected);
  }
}

TEST_CASE("HKDF with two and three outputs, and over its own chaining key") {
  const char* first =
      "854ff4e7e6074bfe92f1a96cf706260641f9ba6fca788196587193a2664aed71dba5f8f8c078f3eedf196c3af46e417d0a8c8c43f79ead8"
      "1c8714d03e501eded";
  const char* second =
      "ce5595eb115a20218998812f1f84dad889b56b766edaad0fd39d8268762d3e9f56b6507ac77dc73ca13b4c2f0e4b704ef3c3c40d98920e6"
      "3df5c70239610d8ab";
  const char* third =
      "beb822d32dd50dffe84d52733d99602527506d06113800adb0420f3a909756ef18c4ce35880d93af067921ceeca8fe90a2a6f9dcd32d831"
      "d5b69467105193f19";
  auto ck = counting<64>();
  std::array<uint8_t, 64> a, b, c;
  hkdf3(ck, text_bytes("input"), a, b, c);
  CHECK(to_hex(a) == first);
  CHECK(to_hex(b) == second);
  CHECK(to_hex(c) == third);
  hkdf2(ck, text_bytes("input"), ck, b);
  CHECK(to_hex(ck) == first);
  CHECK(to_hex(b) == second);
}

TEST_CASE("the protocol's derivations") {
  const auto token = counting<16>();
  const auto public_key = counting<32>(32);
  CHECK(to_hex(token_id(token)) == "3eb1715932743c6a45b7448e7ba223bc");
  const SecretKey verifier = token_verifier(token);
  CHECK(to_hex(verifier.bytes()) == "dc1b5c5708f61ae9f53fbc6d1574133e018613d53627a4bbf650e8571dba647b");
  CHECK(to_hex(token_psk(token).bytes()) == "14d35e42d41aa44581ecec5c58ff58ff6b55c85717b4fc5ec380fc7b50077101");
  CHECK(to_hex(enrolment_proof(verifier, counting<64>())) == "5d4a86368a2918b657a95a5a2b4c83e3");
  CHECK(to_hex(mac1_key(public_key)) == "07a1b163f082c069b8557fc9e7e4ff79556969047b1a5f5e782c33a870bb7b03");
  CHECK(to_hex(cookie_reply_key(public_key)) == "2c342b863c1b26d05045ac191b3ecb6118d857b13f4e4ccf5052cb657b98f4dd");
  CHECK(to_hex(mac16(public_key, text_bytes("message"))) == "8465dda45af29ef846fb9fee236c1bdd");
  const DataKey data = derive_data_key(SecretKey(public_key));
  CHECK(to_hex(data.key.bytes()) == "0b38bacbf428fd2ff2a6f21eaf3e86d732be52448c8535cf4d5dc11b4b62a8d6");
  CHECK(to_hex(data.iv) == "c2245377d6a6f7a24d7c961b");
}

TEST_CASE("an enrolment proof holds for its token and its handshake only") {
  const SecretKey verifier = token_verifier(counting<16>());
  const HandshakeHash binding = counting<64>();
  const Bytes16 proof = enrolment_proof(verifier, binding);
  CHECK(enrolment_proof_is_valid(proof, verifier, binding));
  CHECK_FALSE(enrolment_proof_is_valid(proof, token_verifier(counting<16>(1)), binding));
  for (size_t bit = 0; bit < 128; ++bit) {
    Bytes16 wrong = proof;
    wrong[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    CHECK_FALSE(enrolment_proof_is_valid(wrong, verifier, binding));
  }
  for (size_t bit = 0; bit < 512; ++bit) {
    HandshakeHash other = binding;
    other[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    CHECK_FALSE(enrolment_proof_is_valid(proof, verifier, other));
  }
}
