// BLAKE2b in the forms that the protocol uses: plain, keyed, HMAC and HKDF as Noise defines them, and the named
// derivations. Each derivation has a label of its own, so that no output can serve in the place of another.
#pragma once

#include <array>
#include <initializer_list>

#include "common/crypto/secret.h"
#include "common/types.h"

namespace hawser {

using Bytes16 = std::array<uint8_t, 16>;
using Bytes32 = std::array<uint8_t, 32>;
// Noise's h: it names everything both sides have said so far. Not secret.
using HandshakeHash = std::array<uint8_t, 64>;
using Iv = std::array<uint8_t, 12>;

// BLAKE2b (RFC 7693) of the parts one after the other; out is 16..64 bytes, key (may be empty) 16..64 bytes.
void blake2b(MutableByteSpan out, std::initializer_list<ByteSpan> parts, ByteSpan key = {});

// HMAC (RFC 2104) over unkeyed BLAKE2b-512 with its block of 128 bytes: Noise section 4.3. This is not BLAKE2b's own
// keyed mode.
void hmac_blake2b(std::span<uint8_t, 64> out, ByteSpan key, std::initializer_list<ByteSpan> parts);

// Noise section 4.3, HKDF with two or three outputs of 64 bytes. `input` may be empty. Outputs may alias
// `chaining_key`.
void hkdf2(ByteSpan chaining_key, ByteSpan input, std::span<uint8_t, 64> out1, std::span<uint8_t, 64> out2);
void hkdf3(ByteSpan chaining_key, ByteSpan input, std::span<uint8_t, 64> out1, std::span<uint8_t, 64> out2,
           std::span<uint8_t, 64> out3);

// What an invite token gives. The registry stores id, verifier and psk, never the token.
Bytes16 token_id(ByteSpan token);
SecretKey token_verifier(ByteSpan token);
SecretKey token_psk(ByteSpan token);
// Proves knowledge of the token in one handshake: keyed by the verifier over the handshake hash after `ss`, hence
// worthless in any other handshake.
Bytes16 enrolment_proof(const SecretKey& verifier, const HandshakeHash& binding);
// Compares in constant time.
bool enrolment_proof_is_valid(const Bytes16& proof, const SecretKey& verifier, const HandshakeHash& binding);

// The key of mac1 in datagrams sent to the owner of `public_key`, and of cookie replies sent by him. Whoever knows the
// public key knows them: they keep out those who do not.
Bytes32 mac1_key(ByteSpan public_key);
Bytes32 cookie_reply_key(ByteSpan public_key);
// BLAKE2b-128 keyed: mac1, mac2.
Bytes16 mac16(ByteSpan key, ByteSpan message);

// One direction's data key and IV.
struct DataKey {
  SecretKey key;
  Iv iv{};
};
// From one output of Noise's Split.
DataKey derive_data_key(const SecretKey& split_output);

}  // namespace hawser
