// The data ciphers on libsodium, the choice among them, and their nonce.
#include "common/crypto/cipher.h"

#include <sodium.h>

#include "common/big_endian.h"
#include "common/crypto/cipher_backend.h"

namespace hawser {
namespace {

using wire::kCipherAegis256;
using wire::kCipherAes256Gcm;
using wire::kCipherChaCha20;

// RFC 8439.
class ChaCha20Poly1305 final : public PacketCipher {
 public:
  explicit ChaCha20Poly1305(const SecretKey& key) : key_(key.clone()) {}

  bool seal(MutableByteSpan out, ByteSpan plaintext, ByteSpan ad, const Nonce& nonce) override {
    if (out.size() != plaintext.size() + kAeadTagSize) return false;
    return crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(), plaintext.size(), ad.data(),
                                                     ad.size(), nullptr, nonce.data(), key_.bytes().data()) == 0;
  }

  bool open(MutableByteSpan sealed, ByteSpan ad, const Nonce& nonce) override {
    if (sealed.size() < kAeadTagSize) return false;
    return crypto_aead_chacha20poly1305_ietf_decrypt(sealed.data(), nullptr, nullptr, sealed.data(), sealed.size(),
                                                     ad.data(), ad.size(), nonce.data(), key_.bytes().data()) == 0;
  }

 private:
  SecretKey key_;
};

// NIST SP 800-38D. Only where the processor has AES and carry-less multiplication: tables in software leak the key
// through the cache.
class Aes256Gcm final : public PacketCipher {
 public:
  explicit Aes256Gcm(const SecretKey& key) { crypto_aead_aes256gcm_beforenm(state(), key.bytes().data()); }

  bool seal(MutableByteSpan out, ByteSpan plaintext, ByteSpan ad, const Nonce& nonce) override {
    if (out.size() != plaintext.size() + kAeadTagSize) return false;
    return crypto_aead_aes256gcm_encrypt_afternm(out.data(), nullptr, plaintext.data(), plaintext.size(), ad.data(),
                                                 ad.size(), nullptr, nonce.data(), state()) == 0;
  }

  bool open(MutableByteSpan sealed, ByteSpan ad, const Nonce& nonce) override {
    if (sealed.size() < kAeadTagSize) return false;
    return crypto_aead_aes256gcm_decrypt_afternm(sealed.data(), nullptr, nullptr, sealed.data(), sealed.size(),
                                                 ad.data(), ad.size(), nonce.data(), state()) == 0;
  }

 private:
  using State = crypto_aead_aes256gcm_state;
  State* state() { return reinterpret_cast<State*>(round_keys_.bytes().data()); }

  Secret<sizeof(State)> round_keys_;  // as secret as the key; a slab's slots are aligned well enough
  static_assert(alignof(State) <= 64);
};

bool is_one_bit(uint8_t mask) {
  return mask != 0 && (mask & (mask - 1)) == 0;
}

}  // namespace

std::unique_ptr<PacketCipher> make_cipher(uint8_t cipher_bit, const SecretKey& key) {
  // There is no "none": whatever is not one of these gives no cipher, and so no session (tinc, CVE-2018-16758).
  if (!is_one_bit(cipher_bit) || (cipher_bit & supported_ciphers()) == 0) return nullptr;
  if (auto cipher = make_openssl_cipher(cipher_bit, key)) return cipher;
  return make_sodium_cipher(cipher_bit, key);
}

std::unique_ptr<PacketCipher> make_sodium_cipher(uint8_t cipher_bit, const SecretKey& key) {
  if (cipher_bit == kCipherAes256Gcm) return std::make_unique<Aes256Gcm>(key);
  return std::make_unique<ChaCha20Poly1305>(key);
}

uint8_t supported_ciphers() {
  // AEGIS is not among them: libsodium's has a tag of 32 bytes, and the datagram has room for 16.
  const bool have_aes = init() && crypto_aead_aes256gcm_is_available() != 0;
  return static_cast<uint8_t>(kCipherChaCha20 | (have_aes ? kCipherAes256Gcm : 0));
}

uint8_t choose_cipher(uint8_t client_mask, uint8_t server_mask) {
  const uint8_t both = client_mask & server_mask;
  if (both & kCipherAegis256) return kCipherAegis256;
  if (both & kCipherAes256Gcm) return kCipherAes256Gcm;
  return kCipherChaCha20;
}

std::optional<Nonce> make_nonce(const Iv& iv, PathId path, PacketNumber number) {
  // Refused, never wrapped: a second packet under one nonce gives away both texts and the authentication key.
  if (number.value > kMaxPacketNumber) return std::nullopt;
  Nonce nonce;
  store_big_endian<4>(load_big_endian<4>(iv.data()) ^ path.value, nonce.data());
  store_big_endian<8>(load_big_endian<8>(iv.data() + 4) ^ number.value, nonce.data() + 4);
  return nonce;
}

KeyLimits key_limits(uint8_t cipher_bit) {
  // AES-GCM: after 2^27 full datagrams an attacker's advantage in telling texts apart nears 2^-38 (RFC 9001, appendix
  // B.1, with 2^7 blocks a packet). The others have no such bound in reach; 2^60 keeps packet numbers in their 62 bits.
  constexpr KeyLimits kGcm{uint64_t{1} << 26, uint64_t{1} << 27};
  constexpr KeyLimits kOthers{uint64_t{1} << 60, uint64_t{1} << 60};
  return cipher_bit == kCipherAes256Gcm ? kGcm : kOthers;
}

}  // namespace hawser
