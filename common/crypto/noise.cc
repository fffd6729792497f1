// The Noise handshake on libsodium. Function by function as in the specification, sections 5 and 9; the tokens are
// named at the lines that process them.
#include "common/crypto/noise.h"

#include <sodium.h>

#include <array>
#include <cstring>
#include <string_view>

namespace hawser {
namespace {

constexpr std::string_view kName = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b";

// Noise section 12.4: 32 zero bits, then the counter, little-endian.
std::array<uint8_t, 12> noise_nonce(uint64_t n) {
  std::array<uint8_t, 12> nonce{};
  for (size_t i = 0; i < 8; ++i) nonce[4 + i] = static_cast<uint8_t>(n >> (8 * i));
  return nonce;
}

}  // namespace

NoiseSymmetricState::NoiseSymmetricState(ByteSpan prologue) {
  // The name is shorter than a hash, so it is padded with zeros and not hashed (section 5.2).
  static_assert(kName.size() <= std::tuple_size_v<HandshakeHash>);
  h_.fill(0);
  std::memcpy(h_.data(), kName.data(), kName.size());
  std::memcpy(ck().data(), h_.data(), h_.size());
  mix_hash(prologue);
}

NoiseSymmetricState NoiseSymmetricState::clone() const {
  return NoiseSymmetricState(h_, n_, keys_.clone());
}

void NoiseSymmetricState::mix_hash(ByteSpan data) {
  blake2b(h_, {h_, data});
}

void NoiseSymmetricState::mix_key(ByteSpan input) {
  Scratch<64> temp;
  hkdf2(ck(), input, ck(), temp.bytes);
  std::memcpy(k().data(), temp.bytes.data(), 32);
  n_ = 0;
}

void NoiseSymmetricState::mix_key_and_hash(ByteSpan input) {
  Scratch<64> temp_h, temp_k;
  hkdf3(ck(), input, ck(), temp_h.bytes, temp_k.bytes);
  mix_hash(temp_h.bytes);
  std::memcpy(k().data(), temp_k.bytes.data(), 32);
  n_ = 0;
}

void NoiseSymmetricState::encrypt_and_hash(MutableByteSpan out, ByteSpan plaintext) {
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(), plaintext.size(), h_.data(),
                                            h_.size(), nullptr, noise_nonce(n_).data(), k().data());
  ++n_;
  mix_hash(out);
}

bool NoiseSymmetricState::decrypt_and_hash(MutableByteSpan out, ByteSpan sealed) {
  if (sealed.size() != out.size() + kNoiseTag) return false;
  // The hash of everything said so far is the associated data: a message spliced from two handshakes does not open.
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, sealed.data(), sealed.size(), h_.data(),
                                                h_.size(), noise_nonce(n_).data(), k().data()) != 0) {
    return false;
  }
  ++n_;
  mix_hash(sealed);
  return true;
}

bool NoiseSymmetricState::mix_dh(const SecretKey& secret, ByteSpan public_key) {
  SecretKey shared;
  if (!diffie_hellman(secret, public_key, shared)) return false;
  mix_key(shared.bytes());
  return true;
}

void NoiseSymmetricState::mix_ephemeral(ByteSpan public_key) {
  mix_hash(public_key);
  mix_key(public_key);  // section 9.2: with a psk in the pattern, an `e` is mixed into the key too
}

NoiseSplit NoiseSymmetricState::split() const {
  Scratch<64> first, second;
  hkdf2(keys_.bytes().first<64>(), {}, first.bytes, second.bytes);
  NoiseSplit out;
  std::memcpy(out.to_responder.bytes().data(), first.bytes.data(), 32);
  std::memcpy(out.to_initiator.bytes().data(), second.bytes.data(), 32);
  return out;
}

NoiseInitiator::NoiseInitiator(ByteSpan prologue, const StaticKeyPair& local, const PublicKey& responder)
    : local_(&local), remote_(responder), state_(prologue) {
  state_.mix_hash(remote_.bytes);  // the pre-message `<- s`
}

NoiseInitiator NoiseInitiator::clone() const {
  return NoiseInitiator(local_, remote_, state_.clone(), ephemeral_.clone());
}

bool NoiseInitiator::write_message1_keys(Rng& rng, MutableByteSpan out) {
  if (out.size() != kNoiseMessage1Keys) return false;
  const StaticKeyPair ephemeral = StaticKeyPair::generate(rng);
  ephemeral_ = ephemeral.secret().clone();
  const ByteSpan e = ephemeral.public_key().bytes;
  std::copy(e.begin(), e.end(), out.begin());
  state_.mix_ephemeral(e);                                                     // e
  if (!state_.mix_dh(ephemeral_, remote_.bytes)) return false;                 // es
  state_.encrypt_and_hash(out.subspan(e.size()), local_->public_key().bytes);  // s
  return state_.mix_dh(local_->secret(), remote_.bytes);                       // ss
}

void NoiseInitiator::write_message1_payload(ByteSpan payload, MutableByteSpan out) {
  state_.encrypt_and_hash(out, payload);
}

bool NoiseInitiator::read_message2(ByteSpan in, const SecretKey& psk, MutableByteSpan payload_out) {
  if (in.size() != kNoiseMessage2Keys + payload_out.size() + kNoiseTag) return false;
  const ByteSpan e = in.first(kNoiseMessage2Keys);
  // On a copy: anybody may send something that looks like an answer, and it must not end the wait for the true one.
  NoiseSymmetricState next = state_.clone();
  next.mix_ephemeral(e);                                // e
  if (!next.mix_dh(ephemeral_, e)) return false;        // ee
  if (!next.mix_dh(local_->secret(), e)) return false;  // se
  next.mix_key_and_hash(psk.bytes());                   // psk
  if (!next.decrypt_and_hash(payload_out, in.subspan(kNoiseMessage2Keys))) return false;
  state_ = std::move(next);
  ephemeral_ = SecretKey();  // forward secrecy begins when this is gone
  return true;
}

NoiseResponder::NoiseResponder(ByteSpan prologue, const PublicKey& local) : state_(prologue) {
  state_.mix_hash(local.bytes);  // the pre-message `<- s`
}

bool NoiseResponder::read_message1(const StaticKeyPair& local, ByteSpan in, MutableByteSpan payload_out) {
  if (in.size() != kNoiseMessage1Keys + payload_out.size() + kNoiseTag) return false;
  const ByteSpan e = in.first(32);
  std::copy(e.begin(), e.end(), remote_ephemeral_.begin());
  state_.mix_ephemeral(e);                                                                             // e
  if (!state_.mix_dh(local.secret(), e)) return false;                                                 // es
  if (!state_.decrypt_and_hash(remote_.bytes, in.subspan(32, kNoiseMessage1Keys - 32))) return false;  // s
  if (!state_.mix_dh(local.secret(), remote_.bytes)) return false;                                     // ss
  binding_ = state_.hash();
  // Only now is the initiator known to own the key that he showed: `ss` is in the key of this tag.
  return state_.decrypt_and_hash(payload_out, in.subspan(kNoiseMessage1Keys));
}

bool NoiseResponder::write_message2(Rng& rng, const SecretKey& psk, ByteSpan payload, MutableByteSpan out) {
  if (out.size() != kNoiseMessage2Keys + payload.size() + kNoiseTag) return false;
  const StaticKeyPair ephemeral = StaticKeyPair::generate(rng);
  const ByteSpan e = ephemeral.public_key().bytes;
  std::copy(e.begin(), e.end(), out.begin());
  state_.mix_ephemeral(e);                                                  // e
  if (!state_.mix_dh(ephemeral.secret(), remote_ephemeral_)) return false;  // ee
  if (!state_.mix_dh(ephemeral.secret(), remote_.bytes)) return false;      // se
  state_.mix_key_and_hash(psk.bytes());                                     // psk
  state_.encrypt_and_hash(out.subspan(kNoiseMessage2Keys), payload);
  return true;
}

}  // namespace hawser
