// The Noise handshake: cacophony's vector byte for byte, tampering, wrong keys, and forgeries with low-order points.
#include "common/crypto/noise.h"

#include <sodium.h>

#include "tests/unit/crypto/low_order_points.h"
#include "tests/unit/crypto/support.h"

using namespace hawser;
using namespace hawser::test;

namespace {

const char* const kPsk = "54686973206973206d7920417573747269616e20706572737065637469766521";
const char* const kInitiatorStatic = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
const char* const kInitiatorEphemeral = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
const char* const kResponderStatic = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
const char* const kResponderEphemeral = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";
const char* const kMessage1 =
    "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944b6fe0240b839afac809de1630eaf99d8f9b941394f0512c055"
    "4633bbb021d15176135c0a20e7fdb9a9ed066f22f054b47625b1d5061cb27d6a17f053273db7c25216a5addc506ee321bc0618feb5849d";
const char* const kMessage2 =
    "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088438f627e69fc120006f746b9d420bf4056cf8481ab32d9e904ff"
    "aeeaa56a5290";

Bytes prologue() {
  return from_hex("4a6f686e2047616c74");
}

// Both sides of the vector, with its ephemeral keys.
struct Vector {
  StaticKeyPair initiator_key = pair_from_hex(kInitiatorStatic);
  StaticKeyPair responder_key = pair_from_hex(kResponderStatic);
  SecretKey psk = secret_from_hex(kPsk);
  NoiseInitiator initiator{prologue(), initiator_key, responder_key.public_key()};
  NoiseResponder responder{prologue(), responder_key.public_key()};

  Bytes write1(ByteSpan payload) {
    ScriptedRng rng(from_hex(kInitiatorEphemeral));
    Bytes out(kNoiseMessage1Keys + payload.size() + kNoiseTag);
    REQUIRE(initiator.write_message1_keys(rng, MutableByteSpan(out).first(kNoiseMessage1Keys)));
    initiator.write_message1_payload(payload, MutableByteSpan(out).subspan(kNoiseMessage1Keys));
    return out;
  }
  bool read1(ByteSpan message, Bytes& payload) {
    payload.resize(message.size() - kNoiseMessage1Keys - kNoiseTag);
    return responder.read_message1(responder_key, message, payload);
  }
  Bytes write2(ByteSpan payload) {
    ScriptedRng rng(from_hex(kResponderEphemeral));
    Bytes out(kNoiseMessage2Keys + payload.size() + kNoiseTag);
    REQUIRE(responder.write_message2(rng, psk, payload, out));
    return out;
  }
  bool read2(ByteSpan message, const SecretKey& with, Bytes& payload) {
    payload.resize(message.size() - kNoiseMessage2Keys - kNoiseTag);
    return initiator.read_message2(message, with, payload);
  }
};

std::string transport(const SecretKey& key, uint8_t n, const char* plain_hex) {
  const Bytes plain = from_hex(plain_hex);
  Bytes sealed(plain.size() + kNoiseTag);
  const std::array<uint8_t, 12> nonce{0, 0, 0, 0, n};
  crypto_aead_chacha20poly1305_ietf_encrypt(sealed.data(), nullptr, plain.data(), plain.size(), nullptr, 0, nullptr,
                                            nonce.data(), key.bytes().data());
  return to_hex(sealed);
}

}  // namespace

TEST_CASE("cacophony's vector for Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b") {
  Vector v;
  CHECK(to_hex(v.responder_key.public_key().bytes) ==
        "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62");

  const Bytes payload1 = from_hex("4c756477696720766f6e204d69736573");
  const Bytes message1 = v.write1(payload1);
  CHECK(to_hex(message1) == kMessage1);
  Bytes got;
  REQUIRE(v.read1(message1, got));
  CHECK(got == payload1);
  CHECK(v.responder.initiator() == v.initiator_key.public_key());

  const Bytes payload2 = from_hex("4d757272617920526f746862617264");
  const Bytes message2 = v.write2(payload2);
  CHECK(to_hex(message2) == kMessage2);
  REQUIRE(v.read2(message2, v.psk, got));
  CHECK(got == payload2);

  const char* hash =
      "ed837c9084f2f0333a7ec60b9bcacd9921394858de8ced118b5966d1147ba390084dab42326c565a309c29317a6079be30aa1d790d25a517"
      "b4"
      "3287426cb1d36a";
  CHECK(to_hex(v.initiator.hash()) == hash);
  CHECK(to_hex(v.responder.hash()) == hash);

  for (const NoiseSplit& s : {v.initiator.split(), v.responder.split()}) {
    CHECK(transport(s.to_responder, 0, "462e20412e20486179656b") ==
          "07fc0034398a5f1010322be193d62f94bebf2948a20b3e15d681fe");
    CHECK(transport(s.to_initiator, 0, "4361726c204d656e676572") ==
          "2ea5400f5b8a16971c8b67bde75aeb7987d454b1c0beeb2566932d");
    CHECK(transport(s.to_responder, 1, "4a65616e2d426170746973746520536179") ==
          "96eef918ef51639fc0e156da1823c4f71b33fac5af983f5da9384f7da20d86ed91");
    CHECK(transport(s.to_initiator, 1, "457567656e2042f6686d20766f6e2042617765726b") ==
          "f02766a56496e1fbf32e05274baebf6d693c8f3e4c6e0dc7ebdc5ac170f15dae433b92f469");
  }
}

TEST_CASE("both sides bind the enrolment proof to one hash, which differs in every handshake") {
  SeededRng rng(5);
  const StaticKeyPair client = StaticKeyPair::generate(rng), server = StaticKeyPair::generate(rng);
  std::vector<HandshakeHash> seen;
  for (int i = 0; i < 3; ++i) {
    NoiseInitiator initiator(prologue(), client, server.public_key());
    NoiseResponder responder(prologue(), server.public_key());
    Bytes message(kNoiseMessage1Keys + 4 + kNoiseTag), payload(4);
    REQUIRE(initiator.write_message1_keys(rng, MutableByteSpan(message).first(kNoiseMessage1Keys)));
    const HandshakeHash binding = initiator.hash();
    initiator.write_message1_payload(Bytes(4), MutableByteSpan(message).subspan(kNoiseMessage1Keys));
    CHECK(initiator.hash() != binding);
    REQUIRE(responder.read_message1(server, message, payload));
    CHECK(responder.binding() == binding);
    CHECK(std::find(seen.begin(), seen.end(), binding) == seen.end());
    seen.push_back(binding);
  }
}

TEST_CASE("each bit of each message counts") {
  Bytes payload;
  const Bytes message1 = from_hex(kMessage1), message2 = from_hex(kMessage2);
  for (size_t bit = 0; bit < message1.size() * 8; ++bit) {
    INFO("message 1, bit " << bit);
    Bytes bad = message1;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    Vector v;
    REQUIRE_FALSE(v.read1(bad, payload));
  }
  // One initiator for all: no forgery costs it the true answer.
  Vector v;
  v.write1(from_hex("4c756477696720766f6e204d69736573"));
  const HandshakeHash before = v.initiator.hash();
  for (size_t bit = 0; bit < message2.size() * 8; ++bit) {
    INFO("message 2, bit " << bit);
    Bytes bad = message2;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    REQUIRE_FALSE(v.read2(bad, v.psk, payload));
    REQUIRE(v.initiator.hash() == before);
  }
  CHECK(v.read2(message2, v.psk, payload));
}

TEST_CASE("wrong keys, psk, prologue, length") {
  Bytes payload;
  const Bytes message1 = from_hex(kMessage1), message2 = from_hex(kMessage2);
  const Bytes payload1 = from_hex("4c756477696720766f6e204d69736573");

  SECTION("another responder") {
    Vector v;
    v.responder_key = pair_from_hex(kInitiatorEphemeral);
    v.responder = NoiseResponder(prologue(), v.responder_key.public_key());
    CHECK_FALSE(v.read1(message1, payload));
  }
  SECTION("another prologue") {
    Vector v;
    v.responder = NoiseResponder(text_bytes("hawser/2"), v.responder_key.public_key());
    CHECK_FALSE(v.read1(message1, payload));
  }
  SECTION("a claim to another's static key") {
    // What is encrypted after `s` is keyed by ss: an impostor who sends the victim's public key cannot compute it.
    Vector v;
    SeededRng rng(1);
    const StaticKeyPair victim = pair_from_hex(kInitiatorStatic), e = StaticKeyPair::generate(rng);
    const StaticKeyPair impostor = StaticKeyPair::generate(rng);
    const ByteSpan server = v.responder_key.public_key().bytes;
    NoiseSymmetricState s(prologue());
    Bytes message(kNoiseMessage1Keys + kNoiseTag);
    const MutableByteSpan out = message;
    s.mix_hash(server);
    std::copy_n(e.public_key().bytes.begin(), 32, message.begin());
    s.mix_ephemeral(e.public_key().bytes);
    REQUIRE(s.mix_dh(e.secret(), server));
    s.encrypt_and_hash(out.subspan(32, 48), victim.public_key().bytes);
    REQUIRE(s.mix_dh(impostor.secret(), server));
    s.encrypt_and_hash(out.subspan(kNoiseMessage1Keys), {});
    CHECK_FALSE(v.read1(message, payload));
  }
  SECTION("another psk") {
    Vector v;
    v.write1(payload1);
    SecretKey wrong = v.psk.clone();
    wrong.bytes()[31] ^= 0x80;
    CHECK_FALSE(v.read2(message2, wrong, payload));
    CHECK_FALSE(v.read2(message2, SecretKey(), payload));
    CHECK(v.read2(message2, v.psk, payload));
  }
  SECTION("an answer to another initiation") {
    Vector v;
    ScriptedRng rng(from_hex(kResponderEphemeral));
    Bytes keys(kNoiseMessage1Keys), sealed(kNoiseTag);
    REQUIRE(v.initiator.write_message1_keys(rng, keys));
    v.initiator.write_message1_payload({}, sealed);
    CHECK_FALSE(v.read2(message2, v.psk, payload));
  }
  SECTION("lengths") {
    Vector v;
    for (size_t n = 0; n < message1.size(); ++n) {
      Bytes out(16);
      REQUIRE_FALSE(v.responder.read_message1(v.responder_key, ByteSpan(message1).first(n), out));
    }
    v.write1(payload1);
    for (size_t n = 0; n < message2.size(); ++n) {
      Bytes out(15);
      REQUIRE_FALSE(v.initiator.read_message2(ByteSpan(message2).first(n), v.psk, out));
    }
  }
}

// With a low-order point the other side computes zero, so a forger who knows no private key could go on with it. Each
// of these forgeries succeeds when the zero is not refused.
TEST_CASE("forgeries with low-order points") {
  const Bytes zero(32);
  for (const char* hex : kLowOrderPoints) {
    INFO(hex);
    const Bytes point = from_hex(hex);
    Bytes payload;

    {  // the initiator's ephemeral: es would be zero
      Vector v;
      NoiseSymmetricState s(prologue());
      Bytes message(kNoiseMessage1Keys + kNoiseTag);
      const MutableByteSpan out = message;
      s.mix_hash(v.responder_key.public_key().bytes);
      std::copy(point.begin(), point.end(), message.begin());
      s.mix_ephemeral(point);
      s.mix_key(zero);
      s.encrypt_and_hash(out.subspan(32, 48), v.initiator_key.public_key().bytes);
      REQUIRE(s.mix_dh(v.initiator_key.secret(), v.responder_key.public_key().bytes));
      s.encrypt_and_hash(out.subspan(kNoiseMessage1Keys), {});
      CHECK_FALSE(v.read1(message, payload));
    }
    {  // the initiator's static key: ss would be zero
      Vector v;
      SeededRng rng(1);
      const StaticKeyPair e = StaticKeyPair::generate(rng);
      NoiseSymmetricState s(prologue());
      Bytes message(kNoiseMessage1Keys + kNoiseTag);
      const MutableByteSpan out = message;
      s.mix_hash(v.responder_key.public_key().bytes);
      std::copy_n(e.public_key().bytes.begin(), 32, message.begin());
      s.mix_ephemeral(e.public_key().bytes);
      REQUIRE(s.mix_dh(e.secret(), v.responder_key.public_key().bytes));
      s.encrypt_and_hash(out.subspan(32, 48), point);
      s.mix_key(zero);
      s.encrypt_and_hash(out.subspan(kNoiseMessage1Keys), {});
      CHECK_FALSE(v.read1(message, payload));
    }
    {  // the responder's ephemeral: ee and se would be zero
      Vector v;
      const Bytes payload1 = from_hex("4c756477696720766f6e204d69736573");
      const Bytes message1 = v.write1(payload1);
      const StaticKeyPair e = pair_from_hex(kInitiatorEphemeral);
      NoiseSymmetricState s(prologue());  // as far as message 1, which this test may know
      Bytes scratch(48), sealed(payload1.size() + kNoiseTag);
      s.mix_hash(v.responder_key.public_key().bytes);
      s.mix_ephemeral(e.public_key().bytes);
      REQUIRE(s.mix_dh(e.secret(), v.responder_key.public_key().bytes));
      s.encrypt_and_hash(scratch, v.initiator_key.public_key().bytes);
      REQUIRE(s.mix_dh(v.initiator_key.secret(), v.responder_key.public_key().bytes));
      s.encrypt_and_hash(sealed, payload1);
      REQUIRE(s.hash() == v.initiator.hash());
      Bytes message2(kNoiseMessage2Keys + kNoiseTag);
      std::copy(point.begin(), point.end(), message2.begin());
      s.mix_ephemeral(point);
      s.mix_key(zero);
      s.mix_key(zero);
      s.mix_key_and_hash(v.psk.bytes());
      s.encrypt_and_hash(MutableByteSpan(message2).subspan(kNoiseMessage2Keys), {});
      CHECK_FALSE(v.read2(message2, v.psk, payload));
    }
    {  // the responder's static key, as a client's profile may name it
      SeededRng rng(1);
      const StaticKeyPair us = StaticKeyPair::generate(rng);
      NoiseInitiator initiator(prologue(), us, *PublicKey::from_bytes(point));
      Bytes out(kNoiseMessage1Keys);
      CHECK_FALSE(initiator.write_message1_keys(rng, out));
    }
  }
}

TEST_CASE("handshakes leave no secret behind") {
  const size_t before32 = SecretSlab::shared(32).in_use(), before128 = SecretSlab::shared(128).in_use();
  {
    Vector v;
    Bytes payload;
    REQUIRE(v.read1(v.write1(Bytes(3)), payload));
    REQUIRE(v.read2(v.write2(Bytes(3)), v.psk, payload));
    const NoiseSplit split = v.initiator.split();
    CHECK(SecretSlab::shared(32).in_use() > before32);
  }
  CHECK(SecretSlab::shared(32).in_use() == before32);
  CHECK(SecretSlab::shared(128).in_use() == before128);
}
