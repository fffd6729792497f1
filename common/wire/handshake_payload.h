// What the two Noise payloads carry, encoded and decoded. Decoding never allocates beyond the bounds named here.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/net.h"
#include "common/types.h"
#include "common/wire/frame.h"

namespace hawser::wire {

// Bits of InitiationPayload::ciphers.
enum CipherBit : uint8_t { kCipherChaCha20 = 1, kCipherAes256Gcm = 2, kCipherAegis256 = 4 };

struct EnrolmentProof {
  std::array<uint8_t, 16> token_id{};
  std::array<uint8_t, 16> proof{};  // keyed hash of the handshake hash after `ss`, under the token's verifier
};

// Message 1. Not forward secret: nothing here may be worth stealing.
struct InitiationPayload {
  uint8_t minor_version = 0;
  uint64_t session_nonce = 0;  // drawn when the client's session began; equal in its rekeys
  uint8_t ciphers = kCipherChaCha20;
  std::optional<EnrolmentProof> enrolment;
};

inline constexpr size_t kMaxAnnouncedEndpoints = 8;
inline constexpr size_t kMaxAnnouncedRoutes = 16;
inline constexpr size_t kMaxAnnouncedDns = 4;

// Message 2 of an accepted user.
struct AcceptPayload {
  uint8_t minor_version = 0;
  uint64_t session_nonce = 0;  // drawn when the server's session began
  uint8_t cipher = kCipherChaCha20;  // exactly one CipherBit
  uint16_t mtu = 0;                  // the server's tunnel MTU, bytes
  IpAddress inner_v4, inner_v6;      // the user's addresses; unset when the server has none of the family
  IpAddress server_v4, server_v6;    // the server's own inner addresses: they answer the first round trip
  SocketAddress observed;            // where the initiation came from, as the server saw it
  std::vector<SocketAddress> endpoints;
  std::vector<IpPrefix> routes;      // what is reachable behind the server
  std::vector<IpAddress> dns;
};

// Message 2 for a key or token that the registry knows as no longer welcome.
enum class RefusalReason : uint8_t { removed = 1, disabled = 2, token_used = 3, token_expired = 4, full = 5 };
struct RefusedPayload {
  RefusalReason reason = RefusalReason::removed;
};

using ResponsePayload = std::variant<AcceptPayload, RefusedPayload>;

// Fills exactly out.size() bytes (zero padded); false when it does not fit.
bool encode(const InitiationPayload& p, MutableByteSpan out);
std::optional<InitiationPayload> decode_initiation_payload(ByteSpan in);

// The encoded payload, at most kMaxResponsePayload bytes; surplus endpoints, routes and resolvers are left out from the end.
std::vector<uint8_t> encode(const ResponsePayload& p);
std::optional<ResponsePayload> decode_response_payload(ByteSpan in);

}  // namespace hawser::wire
