// An invite's bytes, big-endian, before base64url without padding:
//   expiry 8 (Unix seconds) | server public key 32 | token 16 | count 1 | endpoints | checksum 8
//   endpoint: kind 1 (4, 6 or 1 for a name) | 4 or 16 address bytes, or length 1 and the name | port 2
// The checksum is BLAKE2b over prefix and body: it catches slips of copying, not attackers (the handshake does that).
#include "common/config/invite.h"

#include <sodium.h>

#include <algorithm>

#include "common/config/names.h"
#include "common/crypto/hash.h"

namespace hawser {
namespace {

constexpr std::string_view kPrefix = "hawser1:";
constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
constexpr size_t kChecksumSize = 8;
constexpr size_t kFixedSize = 8 + 32 + 16 + 1 + kChecksumSize;
constexpr size_t kMaxHostName = 253;
constexpr uint8_t kKindName = 1, kKindV4 = 4, kKindV6 = 6;

Error bad(std::string_view what) {
  return Error{ExitCode::configuration, "the invite " + std::string(what)};
}
constexpr std::string_view kCopyAgain = "; copy the whole line that `vpn-server invite` printed, or ask for a new one";

// The bytes hold the token: wiped on every way out.
struct SecretBytes {
  std::vector<uint8_t> v;
  ~SecretBytes() { sodium_memzero(v.data(), v.size()); }
};

std::array<uint8_t, kChecksumSize> checksum(ByteSpan body) {
  Bytes16 hash;
  blake2b(hash, {ByteSpan{reinterpret_cast<const uint8_t*>(kPrefix.data()), kPrefix.size()}, body});
  std::array<uint8_t, kChecksumSize> out;
  std::copy_n(hash.begin(), out.size(), out.begin());
  return out;
}

// Reads from the front of a span; after the first read beyond its end everything is zero and `ok` is false.
struct Cursor {
  ByteSpan rest;
  bool ok = true;

  ByteSpan bytes(size_t n) {
    static constexpr uint8_t kZeros[256] = {};
    if (rest.size() < n) {
      ok = false;
      return {kZeros, n};
    }
    const ByteSpan out = rest.first(n);
    rest = rest.subspan(n);
    return out;
  }
  uint64_t number(size_t n) {
    uint64_t v = 0;
    for (uint8_t b : bytes(n)) v = v << 8 | b;
    return v;
  }
};

void put(std::vector<uint8_t>& out, uint64_t value, size_t n) {
  while (n-- > 0) out.push_back(static_cast<uint8_t>(value >> (8 * n)));
}

void put_endpoint(std::vector<uint8_t>& out, const HostPort& endpoint) {
  if (const auto literal = endpoint.literal()) {
    out.push_back(literal->ip.is_v4() ? kKindV4 : kKindV6);
    const ByteSpan octets = literal->ip.octets();
    out.insert(out.end(), octets.begin(), octets.end());
  } else {
    out.push_back(kKindName);
    out.push_back(static_cast<uint8_t>(endpoint.host.size()));
    out.insert(out.end(), endpoint.host.begin(), endpoint.host.end());
  }
  put(out, endpoint.port, 2);
}

// Nothing when the endpoint is malformed: an unknown kind, a name that is none, port 0.
std::optional<HostPort> take_endpoint(Cursor& in) {
  HostPort endpoint;
  const auto kind = static_cast<uint8_t>(in.number(1));
  if (kind == kKindV4) {
    endpoint.host = IpAddress::v4(in.bytes(4)).to_string();
  } else if (kind == kKindV6) {
    endpoint.host = IpAddress::v6(in.bytes(16)).to_string();
  } else if (kind == kKindName) {
    const ByteSpan name = in.bytes(in.number(1));
    endpoint.host.assign(name.begin(), name.end());
    if (!is_host_name(endpoint.host)) return std::nullopt;
  } else {
    return std::nullopt;
  }
  endpoint.port = static_cast<uint16_t>(in.number(2));
  return in.ok && endpoint.port != 0 ? std::optional{endpoint} : std::nullopt;
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

Result<Invite> decode_body(ByteSpan body) {
  Cursor in{body};
  Invite invite;
  invite.expires = UnixTime{static_cast<int64_t>(in.number(8))};
  const ByteSpan key = in.bytes(32), token = in.bytes(16);
  std::copy(key.begin(), key.end(), invite.server_public_key.bytes.begin());
  std::copy(token.begin(), token.end(), invite.token.begin());
  const uint64_t count = in.number(1);
  if (!in.ok || count < 1 || count > kMaxInviteEndpoints || invite.expires.seconds <= 0)
    return bad("is malformed" + std::string(kCopyAgain));
  for (uint64_t i = 0; i < count; ++i) {
    const auto endpoint = take_endpoint(in);
    if (!endpoint) return bad("names a server endpoint that cannot be read" + std::string(kCopyAgain));
    invite.endpoints.push_back(*endpoint);
  }
  if (!in.rest.empty()) return bad("is malformed" + std::string(kCopyAgain));
  return invite;
}

}  // namespace

Invite::~Invite() {
  sodium_memzero(token.data(), token.size());
}

Result<std::string> encode_invite(const Invite& invite) {
  if (invite.endpoints.empty())
    return bad("needs a server endpoint; set `endpoints` in server.toml, or pass --endpoint to `vpn-server init`");
  if (invite.endpoints.size() > kMaxInviteEndpoints)
    return bad("has room for 8 server endpoints; shorten `endpoints` in server.toml");
  if (invite.expires.seconds <= 0) return bad("needs a date of expiry");
  SecretBytes bytes;
  bytes.v.reserve(kFixedSize +
                  kMaxInviteEndpoints * (kMaxHostName + 4));  // never moves: no copy of the token is left behind
  put(bytes.v, static_cast<uint64_t>(invite.expires.seconds), 8);
  bytes.v.insert(bytes.v.end(), invite.server_public_key.bytes.begin(), invite.server_public_key.bytes.end());
  bytes.v.insert(bytes.v.end(), invite.token.begin(), invite.token.end());
  bytes.v.push_back(static_cast<uint8_t>(invite.endpoints.size()));
  for (const HostPort& endpoint : invite.endpoints) {
    if ((!endpoint.literal() && (!is_host_name(endpoint.host) || endpoint.host.size() > kMaxHostName)) ||
        endpoint.port == 0) {
      return bad("cannot hold the server endpoint \"" + printable(endpoint.to_string()) +
                 "\"; correct `endpoints` in server.toml");
    }
    put_endpoint(bytes.v, endpoint);
  }
  const auto sum = checksum(bytes.v);
  bytes.v.insert(bytes.v.end(), sum.begin(), sum.end());
  std::string text(sodium_base64_encoded_len(bytes.v.size(), kVariant), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.v.data(), bytes.v.size(), kVariant);
  text.pop_back();  // the terminating zero
  return std::string(kPrefix) + text;
}

Result<Invite> decode_invite(std::string_view text) {
  if (text.size() > kMaxInviteText) return bad("is too long to be one" + std::string(kCopyAgain));
  std::string compact;
  compact.reserve(kMaxInviteText);  // as above: one place to wipe
  std::copy_if(text.begin(), text.end(), std::back_inserter(compact), [](char c) { return !is_space(c); });
  struct Wiper {
    std::string& s;
    ~Wiper() { sodium_memzero(s.data(), s.size()); }
  } wiper{compact};

  if (compact.empty()) return bad("is empty; paste the line that `vpn-server invite` printed");
  const size_t colon = compact.find(':');
  if (!compact.starts_with(kPrefix)) {
    const std::string_view head = std::string_view(compact).substr(0, colon == std::string::npos ? 0 : colon);
    const bool other_version = head.starts_with("hawser") && head.size() > 6 &&
                               std::all_of(head.begin() + 6, head.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (other_version) {
      return bad("is of version " + std::string(head.substr(6)) + ", which this program does not know; update Hawser");
    }
    return bad("does not begin with \"" + std::string(kPrefix) + "\"" + std::string(kCopyAgain));
  }
  SecretBytes bytes;
  bytes.v.resize(kMaxInviteText);
  size_t size = 0;
  const char* end = nullptr;
  const std::string_view body = std::string_view(compact).substr(kPrefix.size());
  if (sodium_base642bin(bytes.v.data(), bytes.v.size(), body.data(), body.size(), nullptr, &size, &end, kVariant) !=
          0 ||
      end != body.data() + body.size()) {
    // A length that base64 cannot have, or a last character with surplus bits, comes from a cut as much as from a slip.
    const bool alphabet = std::all_of(body.begin(), body.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    return bad((alphabet ? "is damaged or truncated" : "has characters that do not belong in it") +
               std::string(kCopyAgain));
  }
  if (size < kFixedSize) return bad("is truncated" + std::string(kCopyAgain));
  const ByteSpan all = ByteSpan{bytes.v}.first(size);
  const ByteSpan signed_part = all.first(size - kChecksumSize), sum = all.last(kChecksumSize);
  const auto expected = checksum(signed_part);
  if (!std::equal(sum.begin(), sum.end(), expected.begin()))
    return bad("is damaged or truncated" + std::string(kCopyAgain));
  return decode_body(signed_part);
}

}  // namespace hawser
