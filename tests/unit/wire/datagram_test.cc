// The outer forms: header, sizes, widening of truncated counters, handshake layouts and their truncations.
#include "common/wire/datagram.h"

#include <catch2/catch.hpp>

#include "tests/unit/wire/support.h"

namespace hawser::wire::test {
namespace {

TEST_CASE("a full data datagram costs 31 bytes over UDP") {
  const Bytes packet(1369, 0x45);
  Bytes datagram(kDataHeaderSize);
  write_data_header({SessionIndex{0x01020304}, 5, 6}, MutableByteSpan(datagram));
  const Bytes frame = encode_frame(DataFrame{LaneId{1}, {}, 2, ByteSpan(packet)});
  datagram.insert(datagram.end(), frame.begin(), frame.end());
  datagram.resize(datagram.size() + kTagSize);
  CHECK(datagram.size() - packet.size() == 31);
  CHECK(kFullDatagramOverhead == 31);
}

TEST_CASE("the data header is nine bytes, big-endian") {
  Bytes datagram(kMinDataDatagram);
  write_data_header({SessionIndex{0xdeadbeef}, 0x07, 0xabcdef}, MutableByteSpan(datagram));
  CHECK(to_hex(ByteSpan(datagram).first(kDataHeaderSize)) == "01deadbeef07abcdef");
  const auto h = parse_data_header(ByteSpan(datagram));
  REQUIRE(h);
  CHECK(h->receiver == SessionIndex{0xdeadbeef});
  CHECK(h->path_low8 == 0x07);
  CHECK(h->packet_number_low24 == 0xabcdef);
  for (size_t length = 0; length < datagram.size(); ++length) {
    const Bytes cut(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(length));
    CHECK_FALSE(parse_data_header(ByteSpan(cut)));
  }
  datagram[0] = 2;
  CHECK_FALSE(parse_data_header(ByteSpan(datagram)));
}

TEST_CASE("only types 1 to 4 exist") {
  CHECK_FALSE(datagram_type({}));
  for (unsigned b = 0; b < 256; ++b) {
    const Bytes datagram{static_cast<uint8_t>(b)};
    CHECK(datagram_type(ByteSpan(datagram)).has_value() == (b >= 1 && b <= 4));
  }
}

TEST_CASE("24 bits widen to the nearest number (RFC 9000, A.3)") {
  struct Case {
    const char* name;
    uint32_t low24;
    uint64_t expected, result;
  };
  constexpr uint64_t kWin = uint64_t{1} << 24, kHalf = kWin / 2, kTop = (uint64_t{1} << 62) - 1;
  const Case cases[] = {
      {"RFC 9000's example, with a byte more", 0x2f9b32, 0xa82f30eb, 0xa82f9b32},
      {"the next one", 0x000001, 1, 1},
      {"the first ever", 0, 0, 0},
      {"near zero nothing lies below", 0xffffff, 0, 0xffffff},
      {"wrap upwards", 0x000000, kWin - 1, kWin},
      {"wrap downwards", 0xffffff, kWin, kWin - 1},
      {"exactly half a window ahead stays", 0x800000, kWin, kWin + kHalf},
      {"one more than half a window ahead lies behind", 0x800001, kWin, kHalf + 1},
      {"exactly half a window behind is taken as ahead", 0x000000, kWin + kHalf, 2 * kWin},
      {"one less than half a window behind stays", 0x000001, kWin + kHalf, kWin + 1},
      {"the last number there is", 0xffffff, kTop, kTop},
      {"nothing above 2^62", 0x000000, kTop, kTop + 1 - kWin},
      {"an expectation that cannot be is bounded", 0xffffff, ~uint64_t{0}, kTop},
      {"bits above 24 are not looked at", 0xff000005, 4, 5},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(widen24(c.low24, c.expected) == c.result);
    CHECK(widen_packet_number(c.low24, PacketNumber{c.expected}) == PacketNumber{c.result});
  }
}

TEST_CASE("whatever is within half a window of the expectation comes back") {
  const uint64_t seed = Dice::seed_from_environment();
  CAPTURE(seed);
  Dice dice(seed);
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t truth = dice.magnitude(62);
    const uint64_t distance = dice.below(uint64_t{1} << 23);
    const uint64_t expected =
        dice.coin() ? std::min(truth + distance, (uint64_t{1} << 62) - 1) : truth - std::min(truth, distance);
    REQUIRE(widen24(static_cast<uint32_t>(truth & 0xffffff), expected) == truth);
  }
}

TEST_CASE("initiation sizes add up") {
  CHECK(kInitiationPayload == 1064);
  CHECK(kHandshakePrefix + 32 + 48 + kInitiationPayload + 16 + 32 == kInitiationSize);
  CHECK(kResponseOverhead == 92);
  CHECK(kMaxResponsePayload + kResponseOverhead == kInitiationSize);
  CHECK(kCookieReplySize == 64);
}

TEST_CASE("an initiation's parts lie where the layout says") {
  Dice dice(3);
  Bytes d = dice.bytes(kInitiationSize);
  write_initiation_prefix(SessionIndex{0x0a0b0c0d}, MutableByteSpan(d));
  CHECK(to_hex(ByteSpan(d).first(8)) == "020100000a0b0c0d");
  const auto v = parse_initiation(ByteSpan(d));
  REQUIRE(v);
  CHECK(v->version == kProtocolVersion);
  CHECK(v->sender == SessionIndex{0x0a0b0c0d});
  CHECK((v->noise.data() == d.data() + 8 && v->noise.size() == 1160));
  CHECK((v->mac1.data() == d.data() + 1168 && v->mac1.size() == 16));
  CHECK((v->mac2.data() == d.data() + 1184 && v->mac2.size() == 16));
  CHECK((v->mac1_input.data() == d.data() && v->mac1_input.size() == 1168));
  CHECK((v->mac2_input.data() == d.data() && v->mac2_input.size() == 1184));

  for (size_t length : {size_t{0}, size_t{1}, size_t{7}, kInitiationSize - 1, kInitiationSize + 1}) {
    Bytes other(length);
    std::copy_n(d.begin(), std::min(length, d.size()), other.begin());
    CHECK_FALSE(parse_initiation(ByteSpan(other)));
  }
  d[1] = 9;  // another version still parses: the caller counts it as such
  CHECK(parse_initiation(ByteSpan(d))->version == 9);
  for (size_t zero : {2, 3}) {
    Bytes bad = d;
    bad[zero] = 1;
    CHECK_FALSE(parse_initiation(ByteSpan(bad)));
  }
  d[0] = 3;
  CHECK_FALSE(parse_initiation(ByteSpan(d)));
}

TEST_CASE("a response's parts lie where the layout says, at every size") {
  Dice dice(4);
  for (size_t payload : {size_t{0}, size_t{1}, size_t{100}, kMaxResponsePayload}) {
    Bytes d = dice.bytes(kResponseOverhead + payload);
    write_response_prefix(SessionIndex{1}, SessionIndex{2}, MutableByteSpan(d));
    CHECK(to_hex(ByteSpan(d).first(12)) == "030100000000000100000002");
    const auto v = parse_response(ByteSpan(d));
    REQUIRE(v);
    CHECK(v->sender == SessionIndex{1});
    CHECK(v->receiver == SessionIndex{2});
    CHECK((v->noise.data() == d.data() + 12 && v->noise.size() == 32 + payload + 16));
    CHECK((v->mac1.data() == d.data() + 12 + v->noise.size() && v->mac1.size() == 16));
    CHECK((v->mac2.data() == v->mac1.data() + 16 && v->mac2.size() == 16));
    CHECK(v->mac1_input.size() == d.size() - 32);
    CHECK(v->mac2_input.size() == d.size() - 16);
  }
  for (size_t length = 0; length < kResponseOverhead; ++length) {
    Bytes d(length);
    if (length >= 12) write_response_prefix(SessionIndex{1}, SessionIndex{2}, MutableByteSpan(d));
    CHECK_FALSE(parse_response(ByteSpan(d)));
  }
  Bytes long_one(kInitiationSize + 1);
  write_response_prefix(SessionIndex{1}, SessionIndex{2}, MutableByteSpan(long_one));
  CHECK_FALSE(parse_response(ByteSpan(long_one)));  // no answer is longer than what caused it
}

TEST_CASE("a cookie reply's parts lie where the layout says") {
  Dice dice(5);
  Bytes d = dice.bytes(kCookieReplySize);
  write_cookie_reply_prefix(SessionIndex{0x01020304}, MutableByteSpan(d));
  CHECK(to_hex(ByteSpan(d).first(8)) == "0401000001020304");
  const auto v = parse_cookie_reply(ByteSpan(d));
  REQUIRE(v);
  CHECK(v->receiver == SessionIndex{0x01020304});
  CHECK((v->nonce.data() == d.data() + 8 && v->nonce.size() == 24));
  CHECK((v->sealed.data() == d.data() + 32 && v->sealed.size() == 32));
  d.pop_back();
  CHECK_FALSE(parse_cookie_reply(ByteSpan(d)));
}

}  // namespace
}  // namespace hawser::wire::test
