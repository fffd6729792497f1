// Coalescing and cutting of packets. Input: a byte, then packets, each behind two bytes of length whose top bit asks
// for its checksums to be made right. Even first byte: a batch of the peer's packets is put together and cut again, and
// each packet comes out as it was, once. Odd: the first packet is cut as nine bytes in front of it say, which are as
// hostile.
#include "common/coalesce.h"

#include <vector>

#include "common/checksum.h"
#include "tests/fuzz/check.h"

using namespace hawser;

namespace {

using Bytes = std::vector<uint8_t>;

void put16(Bytes& b, size_t at, uint16_t v) {
  b[at] = static_cast<uint8_t>(v >> 8);
  b[at + 1] = static_cast<uint8_t>(v);
}

// Makes what the packet calls its checksums right, as far as it has any.
void complete(Bytes& b) {
  const bool v4 = b.size() >= 20 && b[0] == 0x45, v6 = b.size() >= 40 && b[0] >> 4 == 6;
  if (!v4 && !v6) return;
  if (v4) {
    put16(b, 2, static_cast<uint16_t>(b.size()));
    put16(b, 10, 0);
    put16(b, 10, static_cast<uint16_t>(~ones_sum(ByteSpan(b).first(20))));
  } else {
    put16(b, 4, static_cast<uint16_t>(b.size() - 40));
  }
  const size_t t = v4 ? 20 : 40;
  const uint8_t protocol = v4 ? b[9] : b[6];
  const size_t at = t + (protocol == 6 ? 16 : 6);
  if ((protocol != 6 && protocol != 17) || at + 2 > b.size()) return;
  if (protocol == 17) put16(b, t + 4, static_cast<uint16_t>(b.size() - t));
  put16(b, at, 0);
  put16(
      b, at,
      static_cast<uint16_t>(~ones_add(pseudo_header_sum(b, protocol, b.size() - t), ones_sum(ByteSpan(b).subspan(t)))));
}

// The number of an atomic IPv4 datagram has no meaning, and a device numbers anew.
void forget_number(Bytes& b) {
  if (b[0] >> 4 == 4 && (b[6] & 0x40) != 0) b[4] = b[5] = b[10] = b[11] = 0;
}

std::vector<Bytes> cut(Bytes& whole, const PacketOffload& offload, bool must_be_valid) {
  std::vector<Bytes> parts;
  Segmenter s;
  const bool valid = s.begin(whole, offload);
  FUZZ_CHECK(valid || !must_be_valid);
  if (!valid) return parts;
  while (!s.done()) {
    Bytes part(s.next_size());
    FUZZ_CHECK(part.size() <= whole.size());
    s.next(part);
    parts.push_back(part);
    FUZZ_CHECK(parts.size() <= 65'536);
  }
  return parts;
}

void together_and_apart(const std::vector<Bytes>& packets) {
  const std::vector<ByteSpan> views(packets.begin(), packets.end());
  static Coalescer coalescer;  // as in a device: what one batch leaves must not reach the next
  std::vector<bool> seen(packets.size());
  for (const Coalescer::Output& out : coalescer.run(views, {true, true})) {
    Bytes whole(out.header.begin(), out.header.end());
    for (const ByteSpan piece : out.pieces) whole.insert(whole.end(), piece.begin(), piece.end());
    FUZZ_CHECK(whole.size() == out.size && !out.members.empty());
    FUZZ_CHECK(out.members.size() == 1 || whole.size() <= 65'535);
    auto parts = cut(whole, out.offload, true);
    FUZZ_CHECK(parts.size() == out.members.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      Bytes was = packets[out.members[i]];
      FUZZ_CHECK(!seen[out.members[i]]);
      seen[out.members[i]] = true;
      if (parts.size() > 1) {
        forget_number(was);
        forget_number(parts[i]);
      }
      FUZZ_CHECK(parts[i] == was);
    }
  }
  for (const bool s : seen) FUZZ_CHECK(s);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 10) return 0;
  ByteSpan rest(data + 1, size - 1);
  if (data[0] & 1) {
    PacketOffload o;
    o.kind = static_cast<PacketOffload::Kind>(rest[0] & 3);
    o.partial_checksum = (rest[0] & 4) != 0;
    o.segment_size = static_cast<uint16_t>(rest[1] << 8 | rest[2]);
    o.checksum_start = static_cast<uint16_t>(rest[3] << 8 | rest[4]);
    o.checksum_offset = static_cast<uint16_t>(rest[5] << 8 | rest[6]);
    Bytes whole(rest.begin() + 9, rest.end());
    if (!whole.empty()) cut(whole, o, false);
    return 0;
  }
  std::vector<Bytes> packets;
  while (rest.size() > 2 && packets.size() < 128) {
    const size_t head = static_cast<size_t>(rest[0] << 8 | rest[1]);
    rest = rest.subspan(2);
    const size_t length = std::min<size_t>(std::max<size_t>(head & 0x7ff, 1), rest.size());
    packets.emplace_back(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(length));
    rest = rest.subspan(length);
    if (head & 0x8000) complete(packets.back());
  }
  if (!packets.empty()) together_and_apart(packets);
  return 0;
}
