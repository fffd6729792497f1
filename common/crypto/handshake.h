// Whole handshake datagrams: Noise messages in their wire layouts, with mac1 and mac2, up to the session's keys.
// Initiator is one attempt of a client; Responder is a server's static key; PendingHandshake one initiation it opened.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/crypto/cipher.h"
#include "common/crypto/cookie.h"
#include "common/crypto/key.h"
#include "common/crypto/noise.h"
#include "common/wire/datagram.h"
#include "common/wire/handshake_payload.h"

namespace hawser {

inline constexpr std::string_view kPrologue = "hawser/1";

// Why a handshake datagram was not taken. To be counted; never told to the peer.
enum class HandshakeReject : uint8_t {
  none,
  malformed,      // not of the layout
  version,        // of another protocol version
  mac1,           // the sender does not know our public key
  index,          // not an answer to this initiation, or it has been answered already
  not_authentic,  // wrong static key, wrong psk, tampered, low-order point
  payload,        // authentic, but it does not decode
  cipher,         // a cipher that was not offered or does not exist here
};
const char* to_string(HandshakeReject r);

// A value, or why there is none.
template <typename T>
class [[nodiscard]] Checked {
 public:
  Checked(T value) : value_(std::move(value)) {}
  Checked(HandshakeReject why) : why_(why) {}
  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  T* operator->() { return &*value_; }
  HandshakeReject why() const { return why_; }

 private:
  std::optional<T> value_;
  HandshakeReject why_ = HandshakeReject::none;
};

// What both sides hold after an accepted handshake; move-only. The ciphers wipe their keys.
struct SessionKeys {
  std::unique_ptr<PacketCipher> send, receive;
  Iv iv_send{}, iv_receive{};
  uint8_t cipher = 0;  // one wire::CipherBit
};

struct InitiatorParams {
  const StaticKeyPair* local = nullptr;  // must outlive the Initiator
  PublicKey responder;
  SessionIndex own_index;           // the index under which we receive with these keys
  wire::InitiationPayload payload;  // its `enrolment` is filled in here, from `token`
  ByteSpan token;                   // invite token of an enrolment, else empty; copied as far as needed
  const SecretKey* psk = nullptr;   // configured preshared key; null: all zeros. With a token the token's psk is used.
};

class Initiator {
 public:
  struct Completed {
    wire::ResponsePayload payload;
    SessionIndex peer_index;          // goes into the header of what we send
    std::optional<SessionKeys> keys;  // set when accepted, not when refused
  };

  // Builds the initiation. Nothing when the responder's key is a low-order point or the payload does not fit.
  static std::optional<Initiator> begin(const InitiatorParams& params, Rng& rng);

  // kInitiationSize bytes with mac2 zero: the same bytes for every path. With a cookie for a path: copy, then set_mac2.
  ByteSpan datagram() const { return datagram_; }
  SessionIndex own_index() const { return own_index_; }

  // Takes a response. After a rejection for a reason before `payload` (anybody can provoke those) the object still
  // awaits the true answer; `payload` and `cipher` are the authentic responder's own mistakes and end the attempt.
  Checked<Completed> consume_response(ByteSpan datagram, const CipherFactory& ciphers);
  // A cookie reply to our initiation; the cookie is good for kCookieLifetime on the path that it came by.
  std::optional<Cookie> open_cookie(ByteSpan datagram) const;

 private:
  Initiator(const InitiatorParams& params, SecretKey psk);

  PublicKey own_public_, responder_;
  SessionIndex own_index_;
  uint8_t offered_;
  SecretKey psk_;
  NoiseInitiator noise_;
  std::vector<uint8_t> datagram_;
  bool completed_ = false;
};

// One opened initiation that awaits the registry's answer (or a slot).
class PendingHandshake {
 public:
  struct Response {
    std::vector<uint8_t> datagram;
    std::optional<SessionKeys>
        keys;  // set when accepted. Not to be sent with before the initiator's first datagram came: key confirmation.
  };

  const PublicKey& initiator() const { return noise_.initiator(); }
  SessionIndex peer_index() const { return peer_index_; }
  const wire::InitiationPayload& payload() const { return payload_; }
  // Whether payload().enrolment proves knowledge of the token of this verifier. False without an enrolment.
  bool proves(const SecretKey& token_verifier) const;

  // Builds the answer, once. `psk` is the user's, the token's while enrolling, or all zeros; a refusal may always be
  // sealed with zeros (Initiator tries both), because the registry wipes a token's psk when it expires.
  // For an AcceptPayload its `cipher` decides. Rejects when that is not one bit the initiator offered.
  Checked<Response> respond(const wire::ResponsePayload& payload, const SecretKey& psk, SessionIndex own_index,
                            Rng& rng, const CipherFactory& ciphers);

 private:
  friend class Responder;
  PendingHandshake(NoiseResponder noise, SessionIndex peer, wire::InitiationPayload payload)
      : noise_(std::move(noise)), peer_index_(peer), payload_(std::move(payload)) {}

  NoiseResponder noise_;
  SessionIndex peer_index_;
  wire::InitiationPayload payload_;
  bool answered_ = false;
};

// Checks in the order of their price: layout and mac1, then (under load) mac2 by CookieIssuer, then the curve.
class Responder {
 public:
  // `local` must outlive the object.
  explicit Responder(const StaticKeyPair& local);

  // No curve operation. The view points into `datagram`.
  Checked<wire::InitiationView> check_mac1(ByteSpan datagram) const;
  // Two curve operations; only for a view that check_mac1 gave.
  Checked<PendingHandshake> open(const wire::InitiationView& v) const;

  const PublicKey& public_key() const { return local_.public_key(); }

 private:
  const StaticKeyPair& local_;
  Bytes32 mac1_key_;
};

}  // namespace hawser
