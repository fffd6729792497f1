// Checksums and the cutting of super-packets.
#include "common/super_packet.h"

#include <catch2/catch.hpp>

#include <functional>

#include "offload_support.h"

namespace hawser {
namespace {

using testing::Bytes;
using testing::make_packet;
using testing::PacketSpec;
using Kind = PacketOffload::Kind;

PacketOffload offload_of(const PacketSpec& s, uint16_t segment) {
  PacketOffload o;
  o.kind = s.udp ? Kind::udp : s.v6 ? Kind::tcp6 : Kind::tcp4;
  o.partial_checksum = true;
  o.segment_size = segment;
  o.checksum_start = static_cast<uint16_t>(testing::transport_of(s));
  o.checksum_offset = s.udp ? 6 : 16;
  return o;
}

std::vector<Bytes> cut(Bytes super, const PacketOffload& offload) {
  std::vector<Bytes> out;
  Segmenter s;
  if (!s.begin(super, offload)) return out;
  while (!s.done()) {
    Bytes b(s.next_size());
    s.next(b);
    out.push_back(b);
  }
  return out;
}

TEST_CASE("the sum is RFC 1071's, whatever the length and alignment") {
  // RFC 1071, section 3.
  const Bytes example{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  CHECK(ones_sum(example) == 0xddf2);
  Bytes bytes(300);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37 + 250);
  for (size_t from = 0; from < 9; ++from) {
    for (size_t size = 0; from + size <= bytes.size(); ++size) {
      uint32_t sum = 0;
      for (size_t i = 0; i < size; ++i) sum += i % 2 ? bytes[from + i] : uint32_t{bytes[from + i]} << 8;
      while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
      REQUIRE(ones_sum(ByteSpan(bytes).subspan(from, size)) == sum);
    }
  }
}

TEST_CASE("a super-packet is cut into what the sender would have sent") {
  const Bytes timestamps{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};
  for (const bool v6 : {false, true}) {
    for (const bool udp : {false, true}) {
      PacketSpec whole{
          .v6 = v6, .udp = udp, .tos = 2, .flags = 0x18, .options = udp ? Bytes{} : timestamps, .payload = 2950};
      const auto parts = cut(make_packet(whole), offload_of(whole, 1000));
      CAPTURE(v6, udp);
      REQUIRE(parts.size() == 3);
      const Bytes super = make_packet(whole);
      const size_t header = super.size() - 2950;
      for (size_t i = 0; i < 3; ++i) {
        PacketSpec one = whole;
        one.id = static_cast<uint16_t>(whole.id + i);
        one.sequence = static_cast<uint32_t>(whole.sequence + 1000 * i);
        one.flags = i == 2 ? 0x18 : 0x10;  // PSH on the last only
        one.payload = i == 2 ? 950 : 1000;
        Bytes expected = make_packet(one);
        std::copy_n(super.begin() + static_cast<long>(header + 1000 * i), one.payload,
                    expected.begin() + static_cast<long>(header));
        testing::complete(expected, one);
        CHECK(parts[i] == expected);
      }
    }
  }
}

TEST_CASE("CWR is told once, FIN at the end") {
  const PacketSpec whole{.flags = 0x91, .payload = 250};
  const auto parts = cut(make_packet(whole), offload_of(whole, 100));
  REQUIRE(parts.size() == 3);
  CHECK(parts[0][33] == 0x90);
  CHECK(parts[1][33] == 0x10);
  CHECK(parts[2][33] == 0x11);
}

TEST_CASE("a packet with a partial checksum gets a whole one") {
  for (const bool udp : {false, true}) {
    const PacketSpec spec{.udp = udp, .payload = 77};
    const Bytes right = make_packet(spec);
    Bytes partial = right;
    testing::put16(partial, udp ? 26 : 36, pseudo_header_sum(partial, udp ? 17 : 6, partial.size() - 20));
    PacketOffload o = offload_of(spec, 0);
    o.kind = Kind::none;
    const auto parts = cut(partial, o);
    REQUIRE(parts.size() == 1);
    CHECK(parts[0] == right);
  }
}

TEST_CASE("a UDP checksum that comes out as zero is sent as ones") {
  PacketSpec spec{.udp = true, .payload = 2};
  Bytes p = make_packet(spec);
  // The payload takes up what is missing to the full sum, so that the complement is zero.
  p[28] = p[29] = 0;
  testing::complete(p, spec);
  const size_t checksum = static_cast<size_t>(p[26] << 8 | p[27]);
  testing::put16(p, 28, checksum);
  const auto parts = cut(p, offload_of(spec, 100));
  REQUIRE(parts.size() == 1);
  CHECK(parts[0][26] == 0xff);
  CHECK(parts[0][27] == 0xff);
  CHECK(testing::transport_checksum_right(parts[0]));
}

TEST_CASE("what is not what its header says is refused") {
  const PacketSpec tcp{.payload = 500}, udp{.udp = true, .payload = 500}, tcp6{.v6 = true, .payload = 500};
  struct Case {
    const char* name;
    PacketSpec spec;
    std::function<void(Bytes&, PacketOffload&)> spoil;
  };
  const std::vector<Case> cases = {
      {"no segment size", tcp, [](Bytes&, PacketOffload& o) { o.segment_size = 0; }},
      {"another family", tcp, [](Bytes&, PacketOffload& o) { o.kind = Kind::tcp6; }},
      {"another family (v6)", tcp6, [](Bytes&, PacketOffload& o) { o.kind = Kind::tcp4; }},
      {"neither family", tcp6, [](Bytes& b, PacketOffload&) { b[0] = 0x20; }},
      {"transport elsewhere", tcp, [](Bytes&, PacketOffload& o) { o.checksum_start = 24; }},
      {"transport inside the IPv6 header", tcp6, [](Bytes&, PacketOffload& o) { o.checksum_start = 20; }},
      {"transport beyond the end", udp,
       [](Bytes& b, PacketOffload& o) {
         b.resize(24);
         o.checksum_start = 20;
       }},
      {"TCP header too short", tcp, [](Bytes& b, PacketOffload&) { b[32] = 0x40; }},
      {"TCP header beyond the end", tcp,
       [](Bytes& b, PacketOffload&) {
         b[32] = 0xf0;
         b.resize(60);
       }},
      {"nothing to cut", udp, [](Bytes& b, PacketOffload&) { b.resize(28); }},
      {"IPv4 header too short", tcp,
       [](Bytes& b, PacketOffload& o) {
         b[0] = 0x44;
         o.checksum_start = 16;
       }},
      {"no packet", tcp, [](Bytes& b, PacketOffload&) { b.resize(8); }},
      {"checksum field beyond the end", udp,
       [](Bytes&, PacketOffload& o) {
         o.kind = Kind::none;
         o.checksum_offset = 600;
       }},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    Bytes b = make_packet(c.spec);
    PacketOffload o = offload_of(c.spec, 100);
    c.spoil(b, o);
    Segmenter s;
    CHECK_FALSE(s.begin(b, o));
    if (o.kind != Kind::none) CHECK(s.done());
  }
}

}  // namespace
}  // namespace hawser
