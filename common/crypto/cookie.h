// The answer to a flood of initiations: a cookie that only the owner of the source address can receive, to be shown in
// mac2. A responder under load does no curve operation before mac2 is right.
#pragma once

#include <array>
#include <optional>

#include "common/crypto/hash.h"
#include "common/crypto/key.h"
#include "common/crypto/secret.h"
#include "common/net.h"
#include "common/rng.h"
#include "common/wire/datagram.h"

namespace hawser {

using Cookie = Bytes16;

inline constexpr Duration kCookieSecretLifetime = Duration::seconds(120);
// How long an initiator may use a cookie: the secret's lifetime less the time on the way.
inline constexpr Duration kCookieLifetime = kCookieSecretLifetime - Duration::seconds(5);

// The responder's side. Holds no state per asker.
class CookieIssuer {
 public:
  // `rng` must outlive the object.
  CookieIssuer(const PublicKey& own, Rng& rng, Time now);

  // The 64-byte cookie reply, shorter than what caused it; sealed with mac1 as associated data, so that only who sent
  // (or saw) this very initiation can use it. Check mac1 first.
  std::array<uint8_t, wire::kCookieReplySize> reply(const wire::InitiationView& to, const SocketAddress& source,
                                                    Time now);
  // Whether mac2 is right for this source under the present or the previous secret. Constant time.
  bool verify_mac2(const wire::InitiationView& v, const SocketAddress& source, Time now);

 private:
  void rotate(Time now);
  Cookie cookie_for(const SecretKey& secret, const SocketAddress& source) const;

  Rng& rng_;
  Bytes32 reply_key_;
  SecretKey current_, previous_;
  Time drawn_;
};

// Writes mac2 into a copy of the initiation: each path has its own cookie. The datagram must have kInitiationSize
// bytes.
void set_mac2(MutableByteSpan initiation, const Cookie& cookie);

// Opens a cookie reply to the initiation that `own` and `mac1` belong to; nothing when it is not authentic.
std::optional<Cookie> open_cookie_reply(ByteSpan datagram, const PublicKey& responder, SessionIndex own, ByteSpan mac1);

}  // namespace hawser
