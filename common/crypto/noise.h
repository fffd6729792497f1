// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b (Noise revision 34), as two state objects:
//   <- s ...  -> e, es, s, ss, payload   <- e, ee, se, psk, payload
// Both can be held between the steps: the enrolment proof is bound to hash() after `ss`, and the responder's psk comes
// from the registry after message 1 was read.
#pragma once

#include <optional>
#include <span>

#include "common/crypto/hash.h"
#include "common/crypto/key.h"
#include "common/crypto/secret.h"
#include "common/rng.h"
#include "common/types.h"

namespace hawser {

inline constexpr size_t kNoiseTag = 16;
inline constexpr size_t kNoiseMessage1Keys = 32 + 32 + kNoiseTag;  // e, encrypted s
inline constexpr size_t kNoiseMessage2Keys = 32;                   // e

// The data keys' seeds, as Split gives them.
struct NoiseSplit {
  SecretKey to_responder, to_initiator;
};

// Noise section 5.2: chaining key, hash, cipher key and its counter.
class NoiseSymmetricState {
 public:
  explicit NoiseSymmetricState(ByteSpan prologue);
  NoiseSymmetricState clone() const;

  void mix_hash(ByteSpan data);
  void mix_key(ByteSpan input);
  void mix_key_and_hash(ByteSpan input);
  // out.size() = plaintext.size() + kNoiseTag.
  void encrypt_and_hash(MutableByteSpan out, ByteSpan plaintext);
  // out.size() = sealed.size() - kNoiseTag. False leaves the state unusable: throw the handshake (or its clone) away.
  bool decrypt_and_hash(MutableByteSpan out, ByteSpan sealed);
  // The token `e`: hash and, because the pattern has a psk, key. Hence there is a key before anything is encrypted.
  void mix_ephemeral(ByteSpan public_key);
  // The tokens ee, es, se, ss. False on an all-zero result: abort.
  [[nodiscard]] bool mix_dh(const SecretKey& secret, ByteSpan public_key);
  NoiseSplit split() const;
  const HandshakeHash& hash() const { return h_; }

 private:
  NoiseSymmetricState(const HandshakeHash& h, uint64_t n, Secret<128> keys) : h_(h), n_(n), keys_(std::move(keys)) {}
  std::span<uint8_t, 64> ck() { return keys_.bytes().first<64>(); }
  std::span<uint8_t, 32> k() { return keys_.bytes().subspan<64, 32>(); }

  HandshakeHash h_;
  uint64_t n_ = 0;
  Secret<128> keys_;  // ck 64, k 32
};

class NoiseInitiator {
 public:
  // `local` must outlive the object.
  NoiseInitiator(ByteSpan prologue, const StaticKeyPair& local, const PublicKey& responder);
  NoiseInitiator clone() const;

  // e, es, s, ss into out (kNoiseMessage1Keys bytes). False when the responder's key is a low-order point.
  [[nodiscard]] bool write_message1_keys(Rng& rng, MutableByteSpan out);
  // Then the payload; out.size() = payload.size() + kNoiseTag.
  void write_message1_payload(ByteSpan payload, MutableByteSpan out);
  // e, ee, se, psk, payload; payload_out.size() = in.size() - kNoiseMessage2Keys - kNoiseTag. On false nothing has
  // changed, so that a forged answer does not cost the handshake that awaits the true one.
  [[nodiscard]] bool read_message2(ByteSpan in, const SecretKey& psk, MutableByteSpan payload_out);

  // After write_message1_keys: what the enrolment proof is bound to. After read_message2: the final hash.
  const HandshakeHash& hash() const { return state_.hash(); }
  // After read_message2 only.
  NoiseSplit split() const { return state_.split(); }

 private:
  NoiseInitiator(const StaticKeyPair* local, const PublicKey& remote, NoiseSymmetricState state, SecretKey ephemeral)
      : local_(local), remote_(remote), state_(std::move(state)), ephemeral_(std::move(ephemeral)) {}

  const StaticKeyPair* local_;
  PublicKey remote_;
  NoiseSymmetricState state_;
  SecretKey ephemeral_;
};

class NoiseResponder {
 public:
  // `local` is used during read_message1 only.
  explicit NoiseResponder(ByteSpan prologue, const PublicKey& local);

  // e, es, s, ss, payload; payload_out.size() = in.size() - kNoiseMessage1Keys - kNoiseTag. On false the object is of
  // no more use.
  [[nodiscard]] bool read_message1(const StaticKeyPair& local, ByteSpan in, MutableByteSpan payload_out);
  // After read_message1: who asks, and the hash after `ss` to which the enrolment proof is bound.
  const PublicKey& initiator() const { return remote_; }
  const HandshakeHash& binding() const { return binding_; }

  // e, ee, se, psk, payload; out.size() = payload.size() + kNoiseMessage2Keys + kNoiseTag. Once only.
  [[nodiscard]] bool write_message2(Rng& rng, const SecretKey& psk, ByteSpan payload, MutableByteSpan out);

  const HandshakeHash& hash() const { return state_.hash(); }
  // After write_message2 only.
  NoiseSplit split() const { return state_.split(); }

 private:
  NoiseSymmetricState state_;
  PublicKey remote_;
  std::array<uint8_t, 32> remote_ephemeral_{};
  HandshakeHash binding_{};
};

}  // namespace hawser
