// BLAKE2b, HMAC, HKDF and the protocol's derivations, on libsodium's crypto_generichash.
#include "common/crypto/hash.h"

#include <sodium.h>

#include <cstring>
#include <string_view>

namespace hawser {
namespace {

constexpr size_t kBlock = 128;  // BLAKE2b's block; with 64, as for BLAKE2s, Noise's vectors do not match

ByteSpan label(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

SecretKey labelled_hash(std::string_view name, ByteSpan secret) {
  SecretKey out;
  blake2b(out.bytes(), {label(name), secret});
  return out;
}

}  // namespace

void blake2b(MutableByteSpan out, std::initializer_list<ByteSpan> parts, ByteSpan key) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, key.data(), key.size(), out.size());
  for (ByteSpan part : parts) crypto_generichash_update(&state, part.data(), part.size());
  crypto_generichash_final(&state, out.data(), out.size());
  sodium_memzero(&state, sizeof state);  // it held the key, or secret input
}

void hmac_blake2b(std::span<uint8_t, 64> out, ByteSpan key, std::initializer_list<ByteSpan> parts) {
  Scratch<kBlock> pad;
  Scratch<64> inner;
  const auto keyed = [&](uint8_t mask) {
    pad.bytes.fill(0);
    if (key.size() > kBlock) {
      blake2b(std::span(pad.bytes).first<64>(), {key});
    } else if (!key.empty()) {
      std::memcpy(pad.bytes.data(), key.data(), key.size());
    }
    for (uint8_t& b : pad.bytes) b ^= mask;
  };

  keyed(0x36);
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, inner.bytes.size());
  crypto_generichash_update(&state, pad.bytes.data(), pad.bytes.size());
  for (ByteSpan part : parts) crypto_generichash_update(&state, part.data(), part.size());
  crypto_generichash_final(&state, inner.bytes.data(), inner.bytes.size());
  sodium_memzero(&state, sizeof state);

  keyed(0x5c);
  blake2b(out, {pad.bytes, inner.bytes});
}

void hkdf2(ByteSpan chaining_key, ByteSpan input, std::span<uint8_t, 64> out1, std::span<uint8_t, 64> out2) {
  static constexpr uint8_t kOne[] = {1}, kTwo[] = {2};
  Scratch<64> temp;
  hmac_blake2b(temp.bytes, chaining_key, {input});
  hmac_blake2b(out1, temp.bytes, {kOne});
  hmac_blake2b(out2, temp.bytes, {out1, kTwo});
}

void hkdf3(ByteSpan chaining_key, ByteSpan input, std::span<uint8_t, 64> out1, std::span<uint8_t, 64> out2,
           std::span<uint8_t, 64> out3) {
  static constexpr uint8_t kOne[] = {1}, kTwo[] = {2}, kThree[] = {3};
  Scratch<64> temp;
  hmac_blake2b(temp.bytes, chaining_key, {input});
  hmac_blake2b(out1, temp.bytes, {kOne});
  hmac_blake2b(out2, temp.bytes, {out1, kTwo});
  hmac_blake2b(out3, temp.bytes, {out2, kThree});
}

Bytes16 token_id(ByteSpan token) {
  Bytes16 out;
  blake2b(out, {label("hawser token id"), token});
  return out;
}

SecretKey token_verifier(ByteSpan token) {
  return labelled_hash("hawser token verifier", token);
}

SecretKey token_psk(ByteSpan token) {
  return labelled_hash("hawser token psk", token);
}

Bytes16 enrolment_proof(const SecretKey& verifier, const HandshakeHash& binding) {
  return mac16(verifier.bytes(), binding);
}

bool enrolment_proof_is_valid(const Bytes16& proof, const SecretKey& verifier, const HandshakeHash& binding) {
  const Bytes16 expected = enrolment_proof(verifier, binding);
  return equal_secrets(proof, expected);
}

Bytes32 mac1_key(ByteSpan public_key) {
  Bytes32 out;
  blake2b(out, {label("hawser mac1"), public_key});
  return out;
}

Bytes32 cookie_reply_key(ByteSpan public_key) {
  Bytes32 out;
  blake2b(out, {label("hawser cookie"), public_key});
  return out;
}

Bytes16 mac16(ByteSpan key, ByteSpan message) {
  Bytes16 out;
  blake2b(out, {message}, key);
  return out;
}

DataKey derive_data_key(const SecretKey& split_output) {
  Scratch<32 + 12> block;
  blake2b(block.bytes, {label("hawser data")}, split_output.bytes());
  DataKey out;
  std::memcpy(out.key.bytes().data(), block.bytes.data(), 32);
  std::memcpy(out.iv.data(), block.bytes.data() + 32, out.iv.size());
  return out;
}

}  // namespace hawser
