// The two Noise payloads: a fixed head, then items {type 1, length 2, value}. Unknown items are passed over, so that a
// later minor version can add some; a known item of a wrong length, repeated, or one too many makes the payload
// malformed.
#include "common/wire/handshake_payload.h"

#include "common/wire/cursor.h"
#include "common/wire/datagram.h"

namespace hawser::wire {
namespace {

enum class InitiationItem : uint8_t { end = 0, enrolment = 1 };
enum class ResponseKind : uint8_t { accept = 1, refused = 2 };
enum class AcceptItem : uint8_t {
  end = 0,
  inner_v4 = 1,
  inner_v6 = 2,
  server_v4 = 3,
  server_v6 = 4,
  observed = 5,
  endpoint = 6,
  route = 7,
  dns = 8,
};

constexpr uint8_t kKnownCiphers = kCipherChaCha20 | kCipherAes256Gcm | kCipherAegis256;
// RFC 791: every host takes packets of 576 bytes; no tunnel is narrower.
constexpr uint16_t kMinTunnelMtu = 576;

bool is_one_cipher(uint8_t c) {
  return c != 0 && (c & (c - 1)) == 0 && (c & ~kKnownCiphers) == 0;
}

// A whole address: its item is exactly `octets` long, and it comes once.
void parse_only(ByteReader& value, IpAddress& out, IpAddress::Family family) {
  const bool v4 = family == IpAddress::Family::v4;
  const ByteSpan octets = value.bytes(v4 ? 4 : 16);
  if (out.is_set()) value.fail();
  if (value.ok()) out = v4 ? IpAddress::v4(octets) : IpAddress::v6(octets);
}

void parse_route(ByteReader& value, std::vector<IpPrefix>& out) {
  IpPrefix p;
  p.length = value.u8();
  p.address = value.ip();
  const unsigned full = p.address.is_v4() ? 32 : 128;
  if (!value.ok() || p.length > full || p.masked() != p.address || out.size() >= kMaxAnnouncedRoutes)
    return value.fail();
  out.push_back(p);
}

void parse_item(AcceptItem type, ByteReader& value, AcceptPayload& p) {
  using Family = IpAddress::Family;
  switch (type) {
    case AcceptItem::inner_v4:
      return parse_only(value, p.inner_v4, Family::v4);
    case AcceptItem::inner_v6:
      return parse_only(value, p.inner_v6, Family::v6);
    case AcceptItem::server_v4:
      return parse_only(value, p.server_v4, Family::v4);
    case AcceptItem::server_v6:
      return parse_only(value, p.server_v6, Family::v6);
    case AcceptItem::observed:
      if (p.observed.is_set()) value.fail();
      p.observed = value.address();
      return;
    case AcceptItem::endpoint: {
      const SocketAddress a = value.address();
      if (!value.ok() || p.endpoints.size() >= kMaxAnnouncedEndpoints) return value.fail();
      p.endpoints.push_back(a);
      return;
    }
    case AcceptItem::route:
      return parse_route(value, p.routes);
    case AcceptItem::dns: {
      const IpAddress a = value.ip();
      if (!value.ok() || p.dns.size() >= kMaxAnnouncedDns) return value.fail();
      p.dns.push_back(a);
      return;
    }
    case AcceptItem::end:
      break;
  }
  // Of a later minor version: passed over whole.
  value.bytes(value.rest().size());
}

// Appends one item; `fill` writes its value. The length is patched in behind.
template <typename Fill>
void put_item(std::vector<uint8_t>& out, AcceptItem type, Fill fill) {
  std::array<uint8_t, 32> value;
  ByteWriter v{MutableByteSpan(value)};
  fill(v);
  if (!v.ok()) return;  // an address that is not set is an item that is not there
  const std::array<uint8_t, 3> head{static_cast<uint8_t>(type), 0, static_cast<uint8_t>(v.size())};
  out.insert(out.end(), head.begin(), head.end());
  out.insert(out.end(), value.begin(), value.begin() + static_cast<std::ptrdiff_t>(v.size()));
}

void put_octets(std::vector<uint8_t>& out, AcceptItem type, const IpAddress& a, IpAddress::Family family) {
  if (a.family == family) put_item(out, type, [&](ByteWriter& v) { v.bytes(a.octets()); });
}

std::vector<uint8_t> encode_accept(const AcceptPayload& p) {
  using Family = IpAddress::Family;
  std::vector<uint8_t> out(13);
  ByteWriter w{MutableByteSpan(out)};
  w.enumerator(ResponseKind::accept);
  w.u8(p.minor_version);
  w.u64(p.session_nonce);
  w.u8(p.cipher);
  w.u16(p.mtu);
  put_octets(out, AcceptItem::inner_v4, p.inner_v4, Family::v4);
  put_octets(out, AcceptItem::inner_v6, p.inner_v6, Family::v6);
  put_octets(out, AcceptItem::server_v4, p.server_v4, Family::v4);
  put_octets(out, AcceptItem::server_v6, p.server_v6, Family::v6);
  if (p.observed.is_set()) put_item(out, AcceptItem::observed, [&](ByteWriter& v) { v.address(p.observed); });
  for (size_t i = 0; i < std::min(p.endpoints.size(), kMaxAnnouncedEndpoints); ++i) {
    put_item(out, AcceptItem::endpoint, [&](ByteWriter& v) { v.address(p.endpoints[i]); });
  }
  for (size_t i = 0; i < std::min(p.routes.size(), kMaxAnnouncedRoutes); ++i) {
    put_item(out, AcceptItem::route, [&](ByteWriter& v) {
      v.u8(p.routes[i].length);
      v.ip(p.routes[i].masked());
    });
  }
  for (size_t i = 0; i < std::min(p.dns.size(), kMaxAnnouncedDns); ++i) {
    put_item(out, AcceptItem::dns, [&](ByteWriter& v) { v.ip(p.dns[i]); });
  }
  return out;
}

std::optional<ResponsePayload> decode_accept(ByteReader in) {
  AcceptPayload p;
  p.minor_version = in.u8();
  p.session_nonce = in.u64();
  p.cipher = in.u8();
  p.mtu = in.u16();
  if (!in.ok() || !is_one_cipher(p.cipher) || p.mtu < kMinTunnelMtu) return std::nullopt;
  while (!in.rest().empty()) {
    const auto type = static_cast<AcceptItem>(in.u8());
    if (type == AcceptItem::end) break;
    ByteReader value(in.bytes(in.u16()));
    if (!in.ok()) return std::nullopt;
    parse_item(type, value, p);
    if (!value.ok() || !value.rest().empty()) return std::nullopt;
  }
  return p;
}

}  // namespace

// The full accept payload: head, five single addresses, and each list at its bound.
static_assert(13 + 2 * (7 + 19) + 22 + kMaxAnnouncedEndpoints * 22 + kMaxAnnouncedRoutes * 21 + kMaxAnnouncedDns * 20 <=
                  kMaxResponsePayload,
              "an accept payload always fits: no response is longer than the initiation");

bool encode(const InitiationPayload& p, MutableByteSpan out) {
  ByteWriter w(out);
  w.u8(p.minor_version);
  w.u64(p.session_nonce);
  w.u8(p.ciphers);
  if (p.enrolment) {
    w.enumerator(InitiationItem::enrolment);
    w.u16(p.enrolment->token_id.size() + p.enrolment->proof.size());
    w.bytes(p.enrolment->token_id);
    w.bytes(p.enrolment->proof);
  }
  if (!w.ok()) return false;
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(w.size()), out.end(), uint8_t{0});
  return true;
}

std::optional<InitiationPayload> decode_initiation_payload(ByteSpan bytes) {
  ByteReader in(bytes);
  InitiationPayload p;
  p.minor_version = in.u8();
  p.session_nonce = in.u64();
  p.ciphers = in.u8();
  // Bits of ciphers that we do not know are a later version's; none at all is nonsense.
  if (!in.ok() || p.ciphers == 0) return std::nullopt;
  while (!in.rest().empty()) {
    const auto type = static_cast<InitiationItem>(in.u8());
    if (type == InitiationItem::end) break;
    ByteReader value(in.bytes(in.u16()));
    if (!in.ok()) return std::nullopt;
    if (type != InitiationItem::enrolment) continue;
    EnrolmentProof e;
    const ByteSpan id = value.bytes(e.token_id.size());
    const ByteSpan proof = value.bytes(e.proof.size());
    if (p.enrolment || !value.ok() || !value.rest().empty()) return std::nullopt;
    std::copy(id.begin(), id.end(), e.token_id.begin());
    std::copy(proof.begin(), proof.end(), e.proof.begin());
    p.enrolment = e;
  }
  return p;
}

std::vector<uint8_t> encode(const ResponsePayload& p) {
  if (const auto* refused = std::get_if<RefusedPayload>(&p)) {
    return {static_cast<uint8_t>(ResponseKind::refused), static_cast<uint8_t>(refused->reason)};
  }
  return encode_accept(std::get<AcceptPayload>(p));
}

std::optional<ResponsePayload> decode_response_payload(ByteSpan bytes) {
  ByteReader in(bytes);
  const auto kind = static_cast<ResponseKind>(in.u8());
  if (!in.ok()) return std::nullopt;
  if (kind == ResponseKind::accept) return decode_accept(in);
  if (kind != ResponseKind::refused) return std::nullopt;
  const auto reason = static_cast<RefusalReason>(in.u8());
  if (!in.ok() || reason < RefusalReason::removed || reason > RefusalReason::full) return std::nullopt;
  return RefusedPayload{reason};
}

}  // namespace hawser::wire
