// Data ciphers: published vectors, in place and apart, every bit of every input bound; nonces; limits; the choice.
#include "common/crypto/cipher_backend.h"

#include <set>

#include "tests/unit/crypto/support.h"

using namespace hawser;
using namespace hawser::test;
using wire::kCipherAegis256;
using wire::kCipherAes256Gcm;
using wire::kCipherChaCha20;

namespace {

struct Vector {
  const char* name;
  uint8_t cipher;
  const char *key, *nonce, *ad, *plain, *sealed;
};

const Vector kVectors[] = {
    {"RFC 8439, section 2.8.2", kCipherChaCha20, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666"
     "657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069"
     "742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b29"
     "05d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b"
     "61161ae10b594f09e26a7e902ecbd0600691"},
    {"GCM specification, test case 13", kCipherAes256Gcm,
     "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"GCM specification, test case 16", kCipherAes256Gcm,
     "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
     "ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
     "bcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
};

Nonce nonce_from(ByteSpan raw) {
  Nonce n{};
  std::copy_n(raw.begin(), n.size(), n.begin());
  return n;
}

// Every cipher there is here, the simulator's too.
struct Named {
  std::string name;
  std::unique_ptr<PacketCipher> (*make)(uint8_t, const SecretKey&);
  uint8_t bit;
};
std::vector<Named> all_ciphers() {
  std::vector<Named> out{{"null", make_null_cipher, kCipherChaCha20}};
  for (const uint8_t bit : {kCipherChaCha20, kCipherAes256Gcm}) {
    if ((supported_ciphers() & bit) == 0) continue;
    const std::string name = bit == kCipherChaCha20 ? "chacha20" : "aes256gcm";
    out.push_back({name + " of libsodium", make_sodium_cipher, bit});
    if (make_openssl_cipher(bit, SecretKey{})) out.push_back({name + " of libcrypto", make_openssl_cipher, bit});
  }
  return out;
}

}  // namespace

TEST_CASE("published AEAD vectors") {
  for (const Vector& v : kVectors) {
    if ((v.cipher & supported_ciphers()) == 0) {
      WARN("SKIPPED " << v.name << ": this processor has no AES");
      continue;
    }
    INFO(v.name);
    for (const auto& make : {make_cipher, make_sodium_cipher, make_openssl_cipher}) {
      const auto cipher = make(v.cipher, secret_from_hex(v.key));
      if (make == make_openssl_cipher && !cipher) continue;
      REQUIRE(cipher);
      const Bytes plain = from_hex(v.plain), ad = from_hex(v.ad);
      Bytes sealed(plain.size() + kAeadTagSize);
      REQUIRE(cipher->seal(sealed, plain, ad, nonce_from(from_hex(v.nonce))));
      CHECK(to_hex(sealed) == v.sealed);
      REQUIRE(cipher->open(sealed, ad, nonce_from(from_hex(v.nonce))));
      CHECK(Bytes(sealed.begin(), sealed.end() - kAeadTagSize) == plain);
    }
  }
}

TEST_CASE("sealing in place equals sealing apart, at every length") {
  PRINT_SEED();
  SeededRng rng(seed());
  for (const Named& c : all_ciphers()) {
    const SecretKey key = generate_secret_key(rng);
    const auto cipher = c.make(c.bit, key);
    REQUIRE(cipher);
    for (size_t length = 0; length <= 1600; ++length) {
      INFO(c.name << ", " << length << " bytes");
      Bytes plain(length), apart(length + kAeadTagSize);
      rng.fill(plain);
      std::array<uint8_t, 9> ad;
      rng.fill(ad);
      Nonce nonce;
      rng.fill(nonce);
      Bytes in_place = plain;
      in_place.resize(length + kAeadTagSize);
      REQUIRE(cipher->seal(apart, plain, ad, nonce));
      REQUIRE(cipher->seal(in_place, ByteSpan(in_place).first(length), ad, nonce));
      REQUIRE(in_place == apart);
      REQUIRE(cipher->open(in_place, ad, nonce));
      REQUIRE(std::equal(plain.begin(), plain.end(), in_place.begin()));
    }
  }
}

TEST_CASE("both libraries seal to the same bytes, whatever the lengths") {
  PRINT_SEED();
  SeededRng rng(seed());
  for (const uint8_t bit : {kCipherChaCha20, kCipherAes256Gcm}) {
    if ((supported_ciphers() & bit) == 0) continue;
    const SecretKey key = generate_secret_key(rng);
    const auto sodium = make_sodium_cipher(bit, key), openssl = make_openssl_cipher(bit, key);
    if (!openssl) {
      WARN("SKIPPED: built without libcrypto");
      return;
    }
    for (size_t length = 0; length <= 1600; ++length) {
      INFO("cipher " << int{bit} << ", " << length << " bytes");
      Bytes plain(length), ad(length % 20), one(length + kAeadTagSize), other(length + kAeadTagSize);
      Nonce nonce;
      for (MutableByteSpan bytes : {MutableByteSpan(plain), MutableByteSpan(ad), MutableByteSpan(nonce)}) rng.fill(bytes);
      REQUIRE(sodium->seal(one, plain, ad, nonce));
      REQUIRE(openssl->seal(other, plain, ad, nonce));
      REQUIRE(one == other);
      REQUIRE(sodium->open(other, ad, nonce));
      REQUIRE(openssl->open(one, ad, nonce));
      REQUIRE(one == other);
    }
  }
}

TEST_CASE("a change of any bit of text, tag, associated data, nonce or key is noticed") {
  SeededRng rng(3);
  for (const Named& c : all_ciphers()) {
    INFO(c.name);
    SecretKey key = generate_secret_key(rng);
    const auto cipher = c.make(c.bit, key);
    auto ad = counting<9>();
    Nonce nonce = counting<12>();
    Bytes sealed(100 + kAeadTagSize);
    REQUIRE(cipher->seal(sealed, Bytes(100, 0x42), ad, nonce));

    const auto opens = [&](PacketCipher& with) {
      Bytes copy = sealed;
      return with.open(copy, ad, nonce);
    };
    REQUIRE(opens(*cipher));
    const auto each_bit = [&](const char* what, MutableByteSpan bytes) {
      for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        INFO(what << ", bit " << bit);
        const auto mask = static_cast<uint8_t>(1 << bit % 8);
        bytes[bit / 8] ^= mask;
        CHECK_FALSE(opens(*cipher));
        bytes[bit / 8] ^= mask;
      }
    };
    each_bit("text and tag", sealed);
    each_bit("associated data", ad);
    each_bit("nonce", nonce);
    key.bytes()[0] ^= 1;
    CHECK_FALSE(opens(*c.make(c.bit, key)));

    for (size_t length = 0; length < sealed.size(); ++length) {
      Bytes cut(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(length));
      CHECK_FALSE(cipher->open(cut, ad, nonce));
    }
    Bytes wrong_size(100);
    CHECK_FALSE(cipher->seal(wrong_size, Bytes(100), ad, nonce));
    CHECK(wrong_size == Bytes(100));
  }
}

TEST_CASE("there is no cipher for what is not exactly one supported bit") {
  const SecretKey key;
  for (int mask = 0; mask < 256; ++mask) {
    INFO("mask " << mask);
    const bool one_supported = (mask & (mask - 1)) == 0 && (mask & supported_ciphers()) != 0;
    CHECK((make_cipher(static_cast<uint8_t>(mask), key) != nullptr) == one_supported);
  }
  CHECK((supported_ciphers() & kCipherChaCha20) != 0);
  CHECK_FALSE(make_null_cipher(0, key));
  CHECK_FALSE(make_null_cipher(3, key));
}

TEST_CASE("the best cipher of both sides") {
  for (int client = 0; client < 256; ++client) {
    for (int server = 0; server < 256; ++server) {
      const uint8_t c = choose_cipher(static_cast<uint8_t>(client), static_cast<uint8_t>(server));
      const int both = client & server;
      CHECK(c == ((both & 4) != 0 ? kCipherAegis256 : (both & 2) != 0 ? kCipherAes256Gcm : kCipherChaCha20));
    }
  }
}

TEST_CASE("nonces of RFC 10069 and its drafts") {
  const Iv iv = nonce_from(from_hex("6b26114b9cba2b63a9e8dd4f"));
  CHECK(to_hex(make_nonce(iv, PathId{3}, PacketNumber{0xaead}).value()) == "6b2611489cba2b63a9e873e2");
  CHECK(to_hex(make_nonce(iv, PathId{3}, PacketNumber{54321}).value()) == "6b2611489cba2b63a9e8097e");
}

TEST_CASE("no two packets have one nonce, and a number that would wrap has none") {
  const Iv iv = counting<12>();
  const uint64_t numbers[] = {
      0, 1, 2, 255, 256, 65535, 1ull << 32, (1ull << 32) + 1, kMaxPacketNumber - 1, kMaxPacketNumber};
  const uint32_t paths[] = {0, 1, 2, 255, 256, 0x80000000, 0xffffffff};
  std::set<Nonce> seen;
  for (uint32_t path : paths) {
    for (uint64_t number : numbers)
      CHECK(seen.insert(make_nonce(iv, PathId{path}, PacketNumber{number}).value()).second);
    CHECK_FALSE(make_nonce(iv, PathId{path}, PacketNumber{kMaxPacketNumber + 1}));
    CHECK_FALSE(make_nonce(iv, PathId{path}, PacketNumber{~0ull}));
  }
}

TEST_CASE("limits on packets under one key") {
  CHECK(key_limits(kCipherAes256Gcm).rekey_after == 67'108'864);
  CHECK(key_limits(kCipherAes256Gcm).refuse_after == 134'217'728);
  for (uint8_t c : {kCipherChaCha20, kCipherAegis256}) {
    CHECK(key_limits(c).rekey_after == 1ull << 60);
    CHECK(key_limits(c).refuse_after == 1ull << 60);
    CHECK(key_limits(c).refuse_after <= kMaxPacketNumber);
  }
}
