// RFC 791, RFC 9293, RFC 2018, RFC 7323. Checksums of TCP are left out: links do not damage bytes.
#include "tests/sim/tcp/segment.h"

#include <algorithm>
#include <cstring>

#include "tests/sim/net/ipv4.h"

namespace hawser::sim {
namespace {

constexpr uint8_t kTcp = 6, kSyn = 0x02, kAck = 0x10;

void put32(uint8_t* p, uint32_t v) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<uint8_t>(v >> (24 - 8 * i));
}
uint32_t get32(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 | static_cast<uint32_t>(p[2]) << 8 | p[3];
}

// Returns the bytes written; a multiple of 4.
size_t put_options(const Segment& s, uint8_t* p) {
  uint8_t* at = p;
  if (s.syn) {
    *at++ = 2, *at++ = 4;
    *at++ = static_cast<uint8_t>(s.mss >> 8), *at++ = static_cast<uint8_t>(s.mss);
    *at++ = 1, *at++ = 3, *at++ = 3, *at++ = kWindowScale;
    *at++ = 1, *at++ = 1, *at++ = 4, *at++ = 2;  // SACK permitted
  }
  *at++ = 1, *at++ = 1, *at++ = 8, *at++ = 10;
  put32(at, s.timestamp), put32(at + 4, s.echo), at += 8;
  if (s.sack_count) {
    *at++ = 1, *at++ = 1, *at++ = 5, *at++ = static_cast<uint8_t>(2 + 8 * s.sack_count);
    for (size_t i = 0; i < s.sack_count; ++i, at += 8) put32(at, s.sack[i].begin), put32(at + 4, s.sack[i].end);
  }
  return static_cast<size_t>(at - p);
}

bool get_options(ByteSpan o, Segment& s) {
  for (size_t i = 0; i < o.size();) {
    const uint8_t kind = o[i];
    if (kind == 1) {
      ++i;
      continue;
    }
    if (i + 1 >= o.size() || o[i + 1] < 2 || i + o[i + 1] > o.size()) return false;
    const uint8_t* body = &o[i] + 2;
    const size_t length = o[i + 1] - size_t{2};
    if (kind == 2 && length == 2) s.mss = static_cast<uint16_t>(body[0] << 8 | body[1]);
    if (kind == 8 && length == 8) s.timestamp = get32(body), s.echo = get32(body + 4);
    if (kind == 5) {
      s.sack_count = std::min(s.sack.size(), length / 8);
      for (size_t b = 0; b < s.sack_count; ++b) s.sack[b] = {get32(body + 8 * b), get32(body + 8 * b + 4)};
    }
    i += o[i + 1];
  }
  return true;
}

}  // namespace

void encode(const Segment& s, std::vector<uint8_t>& out) {
  std::array<uint8_t, 40> options{};
  const size_t option_bytes = put_options(s, options.data());
  const size_t header = 20 + option_bytes;
  out.assign(20 + header + s.payload, 0);
  put_ipv4(out, kTcp, s.source, s.destination, 0);
  uint8_t* t = &out[20];
  t[0] = static_cast<uint8_t>(s.source_port >> 8), t[1] = static_cast<uint8_t>(s.source_port);
  t[2] = static_cast<uint8_t>(s.destination_port >> 8), t[3] = static_cast<uint8_t>(s.destination_port);
  put32(t + 4, s.seq);
  put32(t + 8, s.ack);
  t[12] = static_cast<uint8_t>(header / 4 << 4);
  t[13] = static_cast<uint8_t>((s.syn ? kSyn : 0) | (s.has_ack ? kAck : 0));
  const uint32_t window = std::min<uint32_t>(s.window >> kWindowScale, 65'535);
  t[14] = static_cast<uint8_t>(window >> 8), t[15] = static_cast<uint8_t>(window);
  std::memcpy(t + 20, options.data(), option_bytes);
  if (s.payload >= 8) std::memcpy(t + header, &s.stream_offset, 8);
}

std::optional<Segment> decode(ByteSpan p) {
  if (p.size() < 40 || p[0] != 0x45 || p[9] != kTcp) return std::nullopt;
  const uint8_t* t = &p[20];
  const size_t header = static_cast<size_t>(t[12] >> 4) * 4;
  if (header < 20 || 20 + header > p.size()) return std::nullopt;
  Segment s;
  s.source = IpAddress::v4(p.subspan(12, 4));
  s.destination = IpAddress::v4(p.subspan(16, 4));
  s.source_port = static_cast<uint16_t>(t[0] << 8 | t[1]);
  s.destination_port = static_cast<uint16_t>(t[2] << 8 | t[3]);
  s.seq = get32(t + 4);
  s.ack = get32(t + 8);
  s.syn = t[13] & kSyn;
  s.has_ack = t[13] & kAck;
  s.window = static_cast<uint32_t>(t[14] << 8 | t[15]) << kWindowScale;
  if (!get_options(p.subspan(40, header - 20), s)) return std::nullopt;
  s.payload = p.size() - 20 - header;
  if (s.payload >= 8) std::memcpy(&s.stream_offset, t + header, 8);
  return s;
}

}  // namespace hawser::sim
