// Cookies: a keyed hash of the source address under a secret that changes, so that nothing is stored per asker.
#include "common/crypto/cookie.h"

#include <sodium.h>

#include <algorithm>

namespace hawser {
namespace {

constexpr size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
static_assert(wire::kCookieReplySize == wire::kHandshakePrefix + kNonce + sizeof(Cookie) + wire::kTagSize);

}  // namespace

CookieIssuer::CookieIssuer(const PublicKey& own, Rng& rng, Time now)
    : rng_(rng),
      reply_key_(cookie_reply_key(own.bytes)),
      current_(generate_secret_key(rng)),
      previous_(generate_secret_key(rng)),
      drawn_(now) {}

void CookieIssuer::rotate(Time now) {
  const Duration age = now - drawn_;
  if (age < kCookieSecretLifetime) return;
  if (age < kCookieSecretLifetime * 2) {
    previous_ = std::move(current_);
    // By the clock of the secrets, not of the askers: no cookie outlives two lifetimes.
    drawn_ += kCookieSecretLifetime;
  } else {
    previous_ = generate_secret_key(rng_);
    drawn_ = now;
  }
  current_ = generate_secret_key(rng_);
}

Cookie CookieIssuer::cookie_for(const SecretKey& secret, const SocketAddress& source) const {
  // Address and port: who shares an address behind a NAT does not share its cookie.
  std::array<uint8_t, 1 + 16 + 2> input{};
  input[0] = static_cast<uint8_t>(source.ip.family);
  std::copy(source.ip.bytes.begin(), source.ip.bytes.end(), input.begin() + 1);
  input[17] = static_cast<uint8_t>(source.port >> 8);
  input[18] = static_cast<uint8_t>(source.port);
  return mac16(secret.bytes(), input);
}

std::array<uint8_t, wire::kCookieReplySize> CookieIssuer::reply(const wire::InitiationView& to,
                                                                const SocketAddress& source, Time now) {
  rotate(now);
  const Cookie cookie = cookie_for(current_, source);
  std::array<uint8_t, wire::kCookieReplySize> out{};
  wire::write_cookie_reply_prefix(to.sender, out);
  const auto nonce = std::span(out).subspan<wire::kHandshakePrefix, kNonce>();
  rng_.fill(nonce);
  // mac1 as associated data ties the reply to this initiation: one sent to another, or made up beforehand, does not
  // open.
  crypto_aead_xchacha20poly1305_ietf_encrypt(nonce.data() + kNonce, nullptr, cookie.data(), cookie.size(),
                                             to.mac1.data(), to.mac1.size(), nullptr, nonce.data(), reply_key_.data());
  return out;
}

bool CookieIssuer::verify_mac2(const wire::InitiationView& v, const SocketAddress& source, Time now) {
  rotate(now);
  const Bytes16 under_current = mac16(cookie_for(current_, source), v.mac2_input);
  const Bytes16 under_previous = mac16(cookie_for(previous_, source), v.mac2_input);
  return equal_secrets(v.mac2, under_current) || equal_secrets(v.mac2, under_previous);
}

void set_mac2(MutableByteSpan initiation, const Cookie& cookie) {
  if (initiation.size() != wire::kInitiationSize) return;
  const MutableByteSpan mac2 = initiation.last(wire::kMacSize);
  const Bytes16 mac = mac16(cookie, initiation.first(initiation.size() - wire::kMacSize));
  std::copy(mac.begin(), mac.end(), mac2.begin());
}

std::optional<Cookie> open_cookie_reply(ByteSpan datagram, const PublicKey& responder, SessionIndex own,
                                        ByteSpan mac1) {
  const auto view = wire::parse_cookie_reply(datagram);
  if (!view || view->version != wire::kProtocolVersion || view->receiver != own) return std::nullopt;
  const Bytes32 key = cookie_reply_key(responder.bytes);
  Cookie cookie;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie.data(), nullptr, nullptr, view->sealed.data(),
                                                 view->sealed.size(), mac1.data(), mac1.size(), view->nonce.data(),
                                                 key.data()) != 0) {
    return std::nullopt;
  }
  return cookie;
}

}  // namespace hawser
