// What is read of a datagram before anything is authenticated: type, data header, handshake layouts.
#include "common/wire/datagram.h"

#include <vector>

#include "tests/fuzz/check.h"

using namespace hawser;
using namespace hawser::wire;

namespace {

void check_data(ByteSpan bytes) {
  const auto h = parse_data_header(bytes);
  FUZZ_CHECK(h.has_value() == (!bytes.empty() && bytes[0] == 1 && bytes.size() >= kMinDataDatagram));
  if (!h) return;
  std::array<uint8_t, kDataHeaderSize> again;
  write_data_header(*h, MutableByteSpan(again));
  FUZZ_CHECK(std::equal(again.begin(), again.end(), bytes.begin()));
  // Whatever we expect, the widened number has these low bits and is one that may be sent.
  const uint64_t expected = uint64_t{h->receiver.value} << 31 | h->packet_number_low24;
  const PacketNumber pn = widen_packet_number(h->packet_number_low24, PacketNumber{expected});
  FUZZ_CHECK((pn.value & 0xffffff) == h->packet_number_low24);
  FUZZ_CHECK(pn.value < uint64_t{1} << 62);
}

template <typename View>
void check_macs(const View& v, ByteSpan bytes) {
  FUZZ_CHECK(fuzz::inside(v.noise, bytes));
  FUZZ_CHECK(v.mac1.size() == kMacSize && v.mac2.size() == kMacSize);
  FUZZ_CHECK(v.mac1_input.data() == bytes.data() && v.mac1_input.size() + 2 * kMacSize == bytes.size());
  FUZZ_CHECK(v.mac2_input.data() == bytes.data() && v.mac2_input.size() + kMacSize == bytes.size());
  FUZZ_CHECK(v.mac1.data() == bytes.data() + v.mac1_input.size());
  FUZZ_CHECK(v.mac2.data() == bytes.data() + v.mac2_input.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteSpan bytes(data, size);
  const auto type = datagram_type(bytes);
  check_data(bytes);
  if (const auto v = parse_initiation(bytes)) {
    FUZZ_CHECK(type == DatagramType::initiation && size == kInitiationSize);
    check_macs(*v, bytes);
  }
  if (const auto v = parse_response(bytes)) {
    FUZZ_CHECK(type == DatagramType::response && size <= kInitiationSize);
    check_macs(*v, bytes);
  }
  if (const auto v = parse_cookie_reply(bytes)) {
    FUZZ_CHECK(type == DatagramType::cookie_reply);
    FUZZ_CHECK(v->nonce.size() == 24 && v->sealed.size() == 32);
    FUZZ_CHECK(fuzz::inside(v->nonce, bytes) && fuzz::inside(v->sealed, bytes));
  }
  return 0;
}
