// The data AEAD: one object per key and direction, chosen in the handshake, and the nonce that it is used with.
// The limits
// on packets under one key are here; those on its age are in common/constants.h.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>

#include "common/crypto/hash.h"
#include "common/crypto/secret.h"
#include "common/types.h"
#include "common/wire/handshake_payload.h"

namespace hawser {

inline constexpr size_t kAeadTagSize = 16;
using Nonce = std::array<uint8_t, 12>;

// One key in one direction. Not for two threads at once.
class PacketCipher {
 public:
  virtual ~PacketCipher() = default;

  // Writes ciphertext and tag; out.size() must be plaintext.size() + kAeadTagSize, else false and nothing is written.
  // `out` may begin at the plaintext (in place) or be apart from it; no other overlap.
  [[nodiscard]] virtual bool seal(MutableByteSpan out, ByteSpan plaintext, ByteSpan ad, const Nonce& nonce) = 0;
  // Opens in place: on true the plaintext is sealed.first(sealed.size() - kAeadTagSize). On false (too short, or not
  // authentic) the content of `sealed` is unspecified and must not be used.
  [[nodiscard]] virtual bool open(MutableByteSpan sealed, ByteSpan ad, const Nonce& nonce) = 0;
};

// Makes the cipher of exactly one wire::CipherBit; null when this machine does not have it.
using CipherFactory = std::function<std::unique_ptr<PacketCipher>(uint8_t cipher_bit, const SecretKey& key)>;

// The real ciphers.
std::unique_ptr<PacketCipher> make_cipher(uint8_t cipher_bit, const SecretKey& key);
// No encryption, for the simulator only: same sizes, tag = checksum over key, nonce, associated data and text, so that
// tampering and wrong keys are still noticed. Takes any single cipher bit.
std::unique_ptr<PacketCipher> make_null_cipher(uint8_t cipher_bit, const SecretKey& key);

// Bit mask of wire::CipherBit that make_cipher has on this machine; ChaCha20 always.
uint8_t supported_ciphers();
// The best cipher of both: AEGIS, else AES-256-GCM, else ChaCha20. Always one bit: a mask without ChaCha20 is wrong
// anyway, and there is no "none" to be talked down to.
uint8_t choose_cipher(uint8_t client_mask, uint8_t server_mask);

inline constexpr uint64_t kMaxPacketNumber = (uint64_t{1} << 62) - 1;
// RFC 10069: IV xor (path id, 32 bits; two zero bits; packet number, 62 bits). The only place where a nonce is made;
// nothing when the packet number does not fit, because a wrapped number would repeat a nonce.
std::optional<Nonce> make_nonce(const Iv& iv, PathId path, PacketNumber number);

// Packets under one key, counted over all paths of one direction.
struct KeyLimits {
  uint64_t rekey_after;   // begin a new handshake
  uint64_t refuse_after;  // neither seal nor open any more
};
KeyLimits key_limits(uint8_t cipher_bit);

}  // namespace hawser
