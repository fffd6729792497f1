// X25519 keys: public keys, static key pairs, and their text form (44 characters of standard base64, as `wg` has it).
#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "common/crypto/secret.h"
#include "common/rng.h"
#include "common/types.h"

namespace hawser {

struct PublicKey {
  std::array<uint8_t, 32> bytes{};

  // Exactly 44 characters of canonical base64 with padding; nothing else, no white space. Low-order points parse: the
  // handshake refuses them.
  static std::optional<PublicKey> parse(std::string_view text);
  // Nothing unless exactly 32 bytes.
  static std::optional<PublicKey> from_bytes(ByteSpan raw);
  std::string to_base64() const;

  // Constant time, so that a lookup does not tell how much of a guess was right.
  friend bool operator==(const PublicKey& a, const PublicKey& b) { return equal_secrets(a.bytes, b.bytes); }
  // For ordered containers.
  friend std::strong_ordering operator<=>(const PublicKey& a, const PublicKey& b) { return a.bytes <=> b.bytes; }
};

// A 32-byte secret (private key or preshared key) as text and back. The text is secret too: wipe() it after use.
std::optional<SecretKey> parse_secret_key(std::string_view text);
std::string to_base64(const SecretKey& key);

// The X25519 function (RFC 7748); false when the result is all zero, which a low-order point gives (Noise: abort then).
bool diffie_hellman(const SecretKey& secret, ByteSpan public_key, SecretKey& out);

class StaticKeyPair {
 public:
  static StaticKeyPair generate(Rng& rng);
  static StaticKeyPair from_secret(SecretKey secret);
  StaticKeyPair clone() const;

  const SecretKey& secret() const { return secret_; }
  const PublicKey& public_key() const { return public_; }

 private:
  StaticKeyPair(SecretKey secret, PublicKey pub) : secret_(std::move(secret)), public_(pub) {}

  SecretKey secret_;
  PublicKey public_;
};

// A preshared key from the random source.
SecretKey generate_secret_key(Rng& rng);

}  // namespace hawser

template <>
struct std::hash<hawser::PublicKey> {
  // X25519 public keys are near uniform, but an attacker may choose his own: the containers that use this hold only
  // keys that the registry knows.
  size_t operator()(const hawser::PublicKey& k) const noexcept {
    size_t h = 0;
    for (size_t i = 0; i < sizeof h; ++i) h = h << 8 | k.bytes[i];
    return h;
  }
};
