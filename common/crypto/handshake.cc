// Handshake datagrams, in the order in which they travel: initiation built, checked, opened; response built, consumed.
#include "common/crypto/handshake.h"

#include <algorithm>

namespace hawser {
namespace {

using wire::kInitiationSize;
using wire::kMacSize;

ByteSpan prologue() {
  return {reinterpret_cast<const uint8_t*>(kPrologue.data()), kPrologue.size()};
}

// mac1 over everything before it; mac2 stays zero.
void set_mac1(MutableByteSpan datagram, const PublicKey& receiver) {
  const size_t covered = datagram.size() - 2 * kMacSize;
  const Bytes16 mac = mac16(mac1_key(receiver.bytes), datagram.first(covered));
  std::copy(mac.begin(), mac.end(), datagram.begin() + static_cast<std::ptrdiff_t>(covered));
}

// Our ciphers from the two halves of Split; nothing when the factory does not have this cipher.
std::optional<SessionKeys> make_keys(uint8_t cipher, const SecretKey& send, const SecretKey& receive,
                                     const CipherFactory& ciphers) {
  const DataKey out = derive_data_key(send), in = derive_data_key(receive);
  SessionKeys keys{ciphers(cipher, out.key), ciphers(cipher, in.key), out.iv, in.iv, cipher};
  if (keys.send == nullptr || keys.receive == nullptr) return std::nullopt;
  return keys;
}

// Exactly one bit, and one that the initiator named in its authenticated payload: nobody on the way can talk both down.
bool cipher_was_offered(uint8_t cipher, uint8_t offered) {
  return cipher != 0 && (cipher & (cipher - 1)) == 0 && (cipher & offered) != 0;
}

}  // namespace

const char* to_string(HandshakeReject r) {
  switch (r) {
    case HandshakeReject::none:
      return "none";
    case HandshakeReject::malformed:
      return "malformed";
    case HandshakeReject::version:
      return "version";
    case HandshakeReject::mac1:
      return "mac1";
    case HandshakeReject::index:
      return "index";
    case HandshakeReject::not_authentic:
      return "not_authentic";
    case HandshakeReject::payload:
      return "payload";
    case HandshakeReject::cipher:
      return "cipher";
  }
  return "unknown";
}

Initiator::Initiator(const InitiatorParams& params, SecretKey psk)
    : own_public_(params.local->public_key()),
      responder_(params.responder),
      own_index_(params.own_index),
      offered_(params.payload.ciphers),
      psk_(std::move(psk)),
      noise_(prologue(), *params.local, params.responder),
      datagram_(kInitiationSize, uint8_t{0}) {}

std::optional<Initiator> Initiator::begin(const InitiatorParams& params, Rng& rng) {
  SecretKey psk;
  if (!params.token.empty()) {
    psk = token_psk(params.token);
  } else if (params.psk != nullptr) {
    psk = params.psk->clone();
  }
  Initiator self(params, std::move(psk));

  const MutableByteSpan out = self.datagram_;
  wire::write_initiation_prefix(params.own_index, out);
  const MutableByteSpan keys = out.subspan(wire::kHandshakePrefix, kNoiseMessage1Keys);
  if (!self.noise_.write_message1_keys(rng, keys)) return std::nullopt;

  wire::InitiationPayload payload = params.payload;
  payload.enrolment.reset();
  if (!params.token.empty()) {
    // Over the hash after `ss`: a server that is shown this proof cannot show it to another, for the hash names its
    // key.
    payload.enrolment =
        wire::EnrolmentProof{token_id(params.token), enrolment_proof(token_verifier(params.token), self.noise_.hash())};
  }
  std::array<uint8_t, wire::kInitiationPayload> plain;
  if (!wire::encode(payload, plain)) return std::nullopt;
  self.noise_.write_message1_payload(plain,
                                     out.subspan(wire::kHandshakePrefix + keys.size(), plain.size() + kNoiseTag));
  set_mac1(out, params.responder);
  return self;
}

Responder::Responder(const StaticKeyPair& local) : local_(local), mac1_key_(mac1_key(local.public_key().bytes)) {}

Checked<wire::InitiationView> Responder::check_mac1(ByteSpan datagram) const {
  const auto view = wire::parse_initiation(datagram);
  if (!view) return HandshakeReject::malformed;
  if (view->version != wire::kProtocolVersion) return HandshakeReject::version;
  // Who does not know our public key gets silence, and has cost us one hash.
  if (!equal_secrets(view->mac1, mac16(mac1_key_, view->mac1_input))) return HandshakeReject::mac1;
  return *view;
}

Checked<PendingHandshake> Responder::open(const wire::InitiationView& v) const {
  NoiseResponder noise(prologue(), local_.public_key());
  std::array<uint8_t, wire::kInitiationPayload> plain;
  if (!noise.read_message1(local_, v.noise, plain)) return HandshakeReject::not_authentic;
  auto payload = wire::decode_initiation_payload(plain);
  if (!payload) return HandshakeReject::payload;
  return PendingHandshake(std::move(noise), v.sender, std::move(*payload));
}

bool PendingHandshake::proves(const SecretKey& token_verifier) const {
  return payload_.enrolment && enrolment_proof_is_valid(payload_.enrolment->proof, token_verifier, noise_.binding());
}

Checked<PendingHandshake::Response> PendingHandshake::respond(const wire::ResponsePayload& payload,
                                                              const SecretKey& psk, SessionIndex own_index, Rng& rng,
                                                              const CipherFactory& ciphers) {
  // A second answer from one state would be under keys that depend on the first; a fresh one needs a fresh open().
  if (answered_) return HandshakeReject::index;
  const auto* accept = std::get_if<wire::AcceptPayload>(&payload);
  if (accept != nullptr && !cipher_was_offered(accept->cipher, payload_.ciphers)) return HandshakeReject::cipher;

  const std::vector<uint8_t> plain = wire::encode(payload);
  if (plain.size() > wire::kMaxResponsePayload) return HandshakeReject::payload;  // no answer is longer than its cause
  Response response;
  response.datagram.assign(wire::kResponseOverhead + plain.size(), 0);
  const MutableByteSpan out = response.datagram;
  wire::write_response_prefix(own_index, peer_index_, out);
  const MutableByteSpan message =
      out.subspan(wire::kHandshakePrefix + 4, kNoiseMessage2Keys + plain.size() + kNoiseTag);
  answered_ = true;
  if (!noise_.write_message2(rng, psk, plain, message)) return HandshakeReject::not_authentic;
  set_mac1(out, initiator());

  if (accept != nullptr) {
    const NoiseSplit split = noise_.split();
    response.keys = make_keys(accept->cipher, split.to_initiator, split.to_responder, ciphers);
    if (!response.keys) return HandshakeReject::cipher;
  }
  return response;
}

Checked<Initiator::Completed> Initiator::consume_response(ByteSpan datagram, const CipherFactory& ciphers) {
  const auto view = wire::parse_response(datagram);
  if (!view) return HandshakeReject::malformed;
  if (view->version != wire::kProtocolVersion) return HandshakeReject::version;
  // The response comes once per path; all but the first copy are late.
  if (completed_ || view->receiver != own_index_) return HandshakeReject::index;
  const Bytes32 key = mac1_key(own_public_.bytes);
  if (!equal_secrets(view->mac1, mac16(key, view->mac1_input))) return HandshakeReject::mac1;
  // No cookie is ever asked of a responder. mac2 is in no tag: what is not looked at could be changed on the way.
  if (std::any_of(view->mac2.begin(), view->mac2.end(), [](uint8_t b) { return b != 0; })) {
    return HandshakeReject::malformed;
  }

  std::vector<uint8_t> plain(view->noise.size() - kNoiseMessage2Keys - kNoiseTag);
  bool without_psk = false;
  if (!noise_.read_message2(view->noise, psk_, plain)) {
    // Perhaps a refusal by a registry that has wiped the psk. On a copy: the wait for an answer with it goes on.
    const SecretKey zero;
    without_psk = !psk_.equals(zero) && noise_.clone().read_message2(view->noise, zero, plain);
    if (!without_psk) return HandshakeReject::not_authentic;
  }
  auto payload = wire::decode_response_payload(plain);
  if (!payload) return HandshakeReject::payload;
  const auto* accept = std::get_if<wire::AcceptPayload>(&*payload);
  // Without the psk the server's static key alone vouches for the answer: enough to be turned away, not to be let in.
  if (accept != nullptr && without_psk) return HandshakeReject::not_authentic;

  Completed done{{}, view->sender, std::nullopt};
  if (accept != nullptr) {
    if (!cipher_was_offered(accept->cipher, offered_)) return HandshakeReject::cipher;
    const NoiseSplit split = noise_.split();
    done.keys = make_keys(accept->cipher, split.to_responder, split.to_initiator, ciphers);
    if (!done.keys) return HandshakeReject::cipher;
  }
  done.payload = std::move(*payload);
  completed_ = true;
  return done;
}

std::optional<Cookie> Initiator::open_cookie(ByteSpan datagram) const {
  const ByteSpan mac1 = ByteSpan(datagram_).subspan(kInitiationSize - 2 * kMacSize, kMacSize);
  return open_cookie_reply(datagram, responder_, own_index_, mac1);
}

}  // namespace hawser
