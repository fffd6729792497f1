// Keys as text and as points of Curve25519.
#include "common/crypto/key.h"

#include <sodium.h>

namespace hawser {
namespace {

constexpr size_t kTextLength = 44;

// libsodium's decoder takes constant time, and refuses what is not canonical: one key has one text.
bool decode(std::string_view text, std::span<uint8_t, 32> out) {
  size_t length = 0;
  return text.size() == kTextLength &&
         sodium_base642bin(out.data(), out.size(), text.data(), text.size(), nullptr, &length, nullptr,
                           sodium_base64_VARIANT_ORIGINAL) == 0 &&
         length == out.size();
}

std::string encode(std::span<const uint8_t, 32> raw) {
  std::string text(kTextLength + 1, '\0');
  sodium_bin2base64(text.data(), text.size(), raw.data(), raw.size(), sodium_base64_VARIANT_ORIGINAL);
  text.resize(kTextLength);
  return text;
}

}  // namespace

std::optional<PublicKey> PublicKey::parse(std::string_view text) {
  PublicKey key;
  if (!decode(text, key.bytes)) return std::nullopt;
  return key;
}

std::optional<PublicKey> PublicKey::from_bytes(ByteSpan raw) {
  PublicKey key;
  if (raw.size() != key.bytes.size()) return std::nullopt;
  std::copy(raw.begin(), raw.end(), key.bytes.begin());
  return key;
}

std::string PublicKey::to_base64() const {
  return encode(bytes);
}

std::optional<SecretKey> parse_secret_key(std::string_view text) {
  SecretKey key;
  if (!decode(text, key.bytes())) return std::nullopt;
  return key;
}

std::string to_base64(const SecretKey& key) {
  return encode(key.bytes());
}

bool diffie_hellman(const SecretKey& secret, ByteSpan public_key, SecretKey& out) {
  // A low-order point gives zero whatever the secret is: a handshake with it would authenticate nobody.
  return public_key.size() == crypto_scalarmult_BYTES &&
         crypto_scalarmult(out.bytes().data(), secret.bytes().data(), public_key.data()) == 0;
}

StaticKeyPair StaticKeyPair::generate(Rng& rng) {
  return from_secret(generate_secret_key(rng));
}

StaticKeyPair StaticKeyPair::from_secret(SecretKey secret) {
  PublicKey pub;
  crypto_scalarmult_base(pub.bytes.data(), secret.bytes().data());  // clamps by itself (RFC 7748, section 5)
  return StaticKeyPair(std::move(secret), pub);
}

StaticKeyPair StaticKeyPair::clone() const {
  return StaticKeyPair(secret_.clone(), public_);
}

SecretKey generate_secret_key(Rng& rng) {
  SecretKey key;
  rng.fill(key.bytes());  // straight into locked memory
  return key;
}

}  // namespace hawser
