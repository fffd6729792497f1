// Outer forms: layouts are checked here to the byte, so that whoever gets a view can trust its spans.
#include "common/wire/datagram.h"

#include "common/wire/cursor.h"

namespace hawser::wire {
namespace {

static_assert(kDataHeaderSize + 6 + kTagSize == kFullDatagramOverhead, "DESIGN.md section 3: 31 bytes over UDP");
static_assert(kCookieReplySize < kInitiationSize, "no answer is longer than what caused it");

constexpr size_t kNonceSize = 24;

// Checks type and the two zero bytes, and gives the version.
std::optional<uint8_t> parse_prefix(ByteReader& in, DatagramType type) {
  const uint8_t first = in.u8();
  const uint8_t version = in.u8();
  const uint16_t zeros = in.u16();
  if (!in.ok() || first != static_cast<uint8_t>(type) || zeros != 0) return std::nullopt;
  return version;
}

void write_prefix(ByteWriter& out, DatagramType type) {
  out.enumerator(type);
  out.u8(kProtocolVersion);
  out.u16(0);
}

}  // namespace

std::optional<DatagramType> datagram_type(ByteSpan datagram) {
  if (datagram.empty() || datagram[0] < 1 || datagram[0] > 4) return std::nullopt;
  return static_cast<DatagramType>(datagram[0]);
}

std::optional<DataHeader> parse_data_header(ByteSpan datagram) {
  if (datagram.size() < kMinDataDatagram || datagram_type(datagram) != DatagramType::data) return std::nullopt;
  ByteReader in(datagram.subspan(1));
  DataHeader h;
  h.receiver.value = in.u32();
  h.path_low8 = in.u8();
  h.packet_number_low24 = in.u24();
  return h;
}

void write_data_header(const DataHeader& h, MutableByteSpan out) {
  ByteWriter w(out);
  w.enumerator(DatagramType::data);
  w.u32(h.receiver.value);
  w.u8(h.path_low8);
  w.u24(h.packet_number_low24);
}

uint64_t widen24(uint32_t low24, uint64_t expected) {
  constexpr uint64_t kWindow = uint64_t{1} << 24;
  constexpr uint64_t kHalf = kWindow / 2;
  // Beyond 2^62 nothing can be sent; an expectation there would wrap the sums below.
  expected = std::min(expected, kMaxVarint);
  const uint64_t candidate = (expected & ~(kWindow - 1)) | (low24 & (kWindow - 1));
  if (candidate + kHalf <= expected && candidate + kWindow <= kMaxVarint) return candidate + kWindow;
  if (candidate > expected + kHalf && candidate >= kWindow) return candidate - kWindow;
  return candidate;
}

PacketNumber widen_packet_number(uint32_t low24, PacketNumber expected) {
  return PacketNumber{widen24(low24, expected.value)};
}

std::optional<InitiationView> parse_initiation(ByteSpan datagram) {
  if (datagram.size() != kInitiationSize) return std::nullopt;
  ByteReader in(datagram);
  const auto version = parse_prefix(in, DatagramType::initiation);
  if (!version) return std::nullopt;
  InitiationView v;
  v.version = *version;
  v.sender.value = in.u32();
  v.noise = in.bytes(kInitiationSize - kHandshakePrefix - 2 * kMacSize);
  v.mac1 = in.bytes(kMacSize);
  v.mac2 = in.bytes(kMacSize);
  v.mac1_input = datagram.first(kInitiationSize - 2 * kMacSize);
  v.mac2_input = datagram.first(kInitiationSize - kMacSize);
  return v;
}

std::optional<ResponseView> parse_response(ByteSpan datagram) {
  if (datagram.size() < kResponseOverhead || datagram.size() > kInitiationSize) return std::nullopt;
  ByteReader in(datagram);
  const auto version = parse_prefix(in, DatagramType::response);
  if (!version) return std::nullopt;
  ResponseView v;
  v.version = *version;
  v.sender.value = in.u32();
  v.receiver.value = in.u32();
  v.noise = in.bytes(in.rest().size() - 2 * kMacSize);
  v.mac1 = in.bytes(kMacSize);
  v.mac2 = in.bytes(kMacSize);
  v.mac1_input = datagram.first(datagram.size() - 2 * kMacSize);
  v.mac2_input = datagram.first(datagram.size() - kMacSize);
  return v;
}

std::optional<CookieReplyView> parse_cookie_reply(ByteSpan datagram) {
  if (datagram.size() != kCookieReplySize) return std::nullopt;
  ByteReader in(datagram);
  const auto version = parse_prefix(in, DatagramType::cookie_reply);
  if (!version) return std::nullopt;
  CookieReplyView v;
  v.version = *version;
  v.receiver.value = in.u32();
  v.nonce = in.bytes(kNonceSize);
  v.sealed = in.rest();
  return v;
}

void write_initiation_prefix(SessionIndex sender, MutableByteSpan out) {
  ByteWriter w(out);
  write_prefix(w, DatagramType::initiation);
  w.u32(sender.value);
}

void write_response_prefix(SessionIndex sender, SessionIndex receiver, MutableByteSpan out) {
  ByteWriter w(out);
  write_prefix(w, DatagramType::response);
  w.u32(sender.value);
  w.u32(receiver.value);
}

void write_cookie_reply_prefix(SessionIndex receiver, MutableByteSpan out) {
  ByteWriter w(out);
  write_prefix(w, DatagramType::cookie_reply);
  w.u32(receiver.value);
}

}  // namespace hawser::wire
