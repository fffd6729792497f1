// What is done to packets inside the tunnel. Input: two bytes, of MTU and of the timestamp that is asked for, then a packet of
// anybody's making. Clamping changes nothing but MSS options and the checksum, which stays right if it was, and once is enough; so
// does raising a timestamp; the message about a packet that is too large is well formed, quotes it, and is itself never answered.
#include <vector>

#include "common/checksum.h"
#include "common/queue/classify.h"
#include "common/queue/mss.h"
#include "common/queue/tcp_timestamp.h"
#include "common/queue/too_big.h"
#include "tests/fuzz/check.h"

using namespace hawser;

namespace {

using Bytes = std::vector<uint8_t>;

uint16_t tcp_sum(const Bytes& p, size_t at) {
  return ones_add(pseudo_header_sum(p, 6, p.size() - at), ones_sum(ByteSpan(p).subspan(at)));
}

// Of the TCP segment nothing but its options and its checksum, which is as right as it was.
void check_options_only(const Bytes& before, const Bytes& after) {
  const auto t = find_transport(before);
  FUZZ_CHECK(t && t->protocol == 6 && t->is_first);
  const size_t options = t->offset + 20, end = t->offset + (before[t->offset + 12] >> 4) * size_t{4};
  for (size_t i = 0; i < before.size(); ++i) {
    const bool checksum = i == t->offset + 16 || i == t->offset + 17;
    FUZZ_CHECK(after[i] == before[i] || checksum || (i >= options && i < end));
  }
  // 0 and 0xffff are one sum.
  FUZZ_CHECK(tcp_sum(before, t->offset) % 0xffff == tcp_sum(after, t->offset) % 0xffff);
}

void clamp(const Bytes& before, uint16_t mtu) {
  Bytes after = before;
  const bool changed = clamp_mss(after, mtu);
  FUZZ_CHECK(changed || after == before);
  if (!changed) return;
  check_options_only(before, after);
  FUZZ_CHECK((before[find_transport(before)->offset + 13] & 2) != 0);
  FUZZ_CHECK(!clamp_mss(after, mtu));
}

void stamp(const Bytes& before, uint32_t least) {
  Bytes after = before;
  const TcpTimestamp was = timestamp_of(before);
  const bool changed = raise_timestamp(after, least);
  FUZZ_CHECK(changed == (was.present && !was.sealed && is_earlier(was.value, least)));
  FUZZ_CHECK(changed || after == before);
  if (!changed) return;
  check_options_only(before, after);
  FUZZ_CHECK(timestamp_of(after).value == least);
}

void tell(const Bytes& packet, uint16_t mtu) {
  static PacketPool pool(2048, 1u << 20);
  const bool v4 = !packet.empty() && packet[0] >> 4 == 4;
  if (!parse_packet(packet, 1)) return;
  const IpAddress from = *IpAddress::parse(v4 ? "10.9.0.1" : "fd00::1");
  const Packet message = too_big_message(packet, from, mtu, pool);
  if (!message) return;
  const ByteSpan m = message.bytes();
  const size_t at = v4 ? 20 : 40, quote = at + 8;
  const auto headers = parse_packet(m, 1);
  FUZZ_CHECK(headers && headers->source == from && headers->protocol == (v4 ? 1 : 58));
  FUZZ_CHECK(m.size() <= (v4 ? 576u : 1280u) && m.size() >= quote + 8 && m.size() - quote <= packet.size());
  FUZZ_CHECK(std::equal(m.begin() + static_cast<ptrdiff_t>(quote), m.end(), packet.begin()));
  const uint16_t pseudo = v4 ? uint16_t{0} : pseudo_header_sum(m, 58, m.size() - at);
  FUZZ_CHECK(ones_add(pseudo, ones_sum(m.subspan(at))) == 0xffff);
  FUZZ_CHECK(!v4 || ones_sum(m.first(20)) == 0xffff);
  FUZZ_CHECK(!too_big_message(m, from, mtu, pool));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const auto mtu = static_cast<uint16_t>(data[0] << 8 | data[1]);
  const Bytes packet(data + 2, data + std::min<size_t>(size, 2 + 2048));
  clamp(packet, mtu);
  stamp(packet, mtu * 0x10001u);
  tell(packet, mtu);
  return 0;
}
