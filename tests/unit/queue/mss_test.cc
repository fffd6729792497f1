// The MSS option of SYNs: what is lowered, what is left alone, and that the checksum comes out as if computed anew.
#include <catch2/catch.hpp>

#include "common/queue/mss.h"
#include "common/super_packet.h"
#include "tests/unit/base/offload_support.h"

namespace hawser {
namespace {

using testing::Bytes;
using testing::PacketSpec;

constexpr uint8_t kSyn = 0x02, kSynAck = 0x12;

PacketSpec syn(bool v6, Bytes options, uint8_t flags = kSyn) {
  PacketSpec s;
  s.v6 = v6;
  s.flags = flags;
  s.options = std::move(options);
  s.payload = 0;
  return s;
}

size_t options_of(bool v6) { return (v6 ? 40u : 20u) + 20; }

TEST_CASE("MSS: lowered wherever it stands, in both families, with the right checksum") {
  struct Case {
    const char* name;
    Bytes options;
    size_t at;  // of the value
  };
  const Case cases[] = {
      {"alone", {2, 4, 0x05, 0xb4}, 2},
      {"as Linux sends it", {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}, 2},
      {"last", {8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 4, 2, 1, 3, 3, 7, 2, 4, 0x05, 0xb4}, 18},
      {"at an odd offset", {1, 2, 4, 0x05, 0xb4, 1, 1, 0}, 3},
      {"at an odd offset behind another", {3, 3, 7, 2, 4, 0xff, 0xff, 0}, 5},
      {"behind one of an unknown kind", {254, 4, 9, 9, 2, 4, 0x05, 0xb4}, 6},
      {"the largest there is", {2, 4, 0xff, 0xff}, 2},
  };
  for (const Case& c : cases) {
    for (const bool v6 : {false, true}) {
      for (const uint8_t flags : {kSyn, kSynAck}) {
        INFO(c.name << (v6 ? " v6" : " v4"));
        Bytes packet = testing::make_packet(syn(v6, c.options, flags));
        Bytes wanted_options = c.options;
        testing::put16(wanted_options, c.at, v6 ? 1240 : 1260);
        CHECK(clamp_mss(packet, 1300));
        CHECK(packet == testing::make_packet(syn(v6, wanted_options, flags)));
        CHECK_FALSE(clamp_mss(packet, 1300));
      }
    }
  }
}

TEST_CASE("MSS: a checksum of RFC 1624's awkward kind, zero and all ones, is repaired as it would be computed") {
  for (uint32_t source = 0; source < 0x10000; source += 7) {
    PacketSpec s = syn(false, {2, 4, 0x05, 0xb4});
    s.source_port = static_cast<uint16_t>(source);
    Bytes packet = testing::make_packet(s);
    REQUIRE(clamp_mss(packet, 1300));
    s.options = {2, 4, 0x04, 0xec};
    const Bytes wanted = testing::make_packet(s);
    // 0 and 0xffff are the same sum; RFC 1624's form never makes 0xffff of what is computed as 0.
    REQUIRE(packet == wanted);
  }
}

TEST_CASE("MSS: left alone when it fits, is no SYN's, or there is none") {
  struct Case {
    const char* name;
    PacketSpec spec;
  };
  PacketSpec udp;
  udp.udp = true;
  const Case cases[] = {
      {"small enough", syn(false, {2, 4, 0x04, 0xec})},
      {"smaller", syn(true, {2, 4, 0x02, 0x00})},
      {"no SYN", syn(false, {2, 4, 0x05, 0xb4}, 0x10)},
      {"a reset", syn(false, {2, 4, 0x05, 0xb4}, 0x04)},
      {"no options", syn(false, {})},
      {"behind the end of options", syn(false, {1, 0, 2, 4, 0x05, 0xb4, 0, 0})},
      {"UDP", udp},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    Bytes packet = testing::make_packet(c.spec);
    const Bytes before = packet;
    CHECK_FALSE(clamp_mss(packet, 1300));
    CHECK(packet == before);
  }
}

TEST_CASE("MSS: malformed options and headers are harmless") {
  const Bytes options[] = {
      {2, 0, 0x05, 0xb4},              // length 0 would never end
      {2, 1, 0x05, 0xb4},              // shorter than itself
      {2, 3, 0x05, 0xb4},              // not an MSS option's length
      {2, 40, 0x05, 0xb4},             // beyond the header
      {1, 1, 1, 2},                    // cut after its kind
      {1, 1, 2, 4},                    // cut after its length
      {1, 2, 4, 0x05},                 // cut in its value
      {254, 0, 0, 0, 2, 4, 0x05, 0xb4},  // another's length 0
      {8, 255, 0, 0, 2, 4, 0x05, 0xb4},
  };
  for (const Bytes& o : options) {
    for (const bool v6 : {false, true}) {
      Bytes packet = testing::make_packet(syn(v6, o));
      const Bytes before = packet;
      CHECK_FALSE(clamp_mss(packet, 1300));
      CHECK(packet == before);
    }
  }
  // Every truncation, every header length, every IHL: nothing outside is read (a sanitizer's word), nothing loops.
  const Bytes whole = testing::make_packet(syn(false, {2, 4, 0x05, 0xb4}));
  for (size_t size = 0; size <= whole.size(); ++size) {
    Bytes cut(whole.begin(), whole.begin() + static_cast<long>(size));
    CHECK(clamp_mss(cut, 1300) == (size == whole.size()));
  }
  for (unsigned v = 0; v < 256; ++v) {
    Bytes packet = whole;
    packet[32] = static_cast<uint8_t>(v);
    CHECK(clamp_mss(packet, 1300) == (v >> 4 == 6));  // 24 bytes, as it is
    packet = whole;
    packet[0] = static_cast<uint8_t>(v);
    (void)clamp_mss(packet, 1300);
  }
}

TEST_CASE("MSS: a later fragment has no TCP header to look at") {
  Bytes packet = testing::make_packet(syn(false, {2, 4, 0x05, 0xb4}));
  packet[7] = 1;
  CHECK_FALSE(clamp_mss(packet, 1300));
  packet[6] = 0x20;  // the first of several
  packet[7] = 0;
  CHECK(clamp_mss(packet, 1300));
}

TEST_CASE("MSS: found behind IPv4 options and IPv6 extension headers") {
  const Bytes plain = testing::make_packet(syn(true, {2, 4, 0x05, 0xb4}));
  Bytes packet(plain.begin(), plain.begin() + 40);
  packet[6] = 60;  // destination options, then TCP
  for (const uint8_t b : {6, 0, 1, 4, 0, 0, 0, 0}) packet.push_back(b);
  packet.insert(packet.end(), plain.begin() + 40, plain.end());
  REQUIRE(clamp_mss(packet, 1300));
  CHECK((packet[48 + 22] << 8 | packet[48 + 23]) == 1240);
  Bytes transport(plain.begin(), plain.begin() + 40);
  transport.insert(transport.end(), packet.begin() + 48, packet.end());
  CHECK(testing::transport_checksum_right(transport));

  const Bytes v4 = testing::make_packet(syn(false, {2, 4, 0x05, 0xb4}));
  Bytes longer(v4.begin(), v4.begin() + 20);
  longer[0] = 0x46;
  for (const uint8_t b : {1, 1, 1, 0}) longer.push_back(b);
  longer.insert(longer.end(), v4.begin() + 20, v4.end());
  REQUIRE(clamp_mss(longer, 1300));
  CHECK((longer[44 + 2] << 8 | longer[44 + 3]) == 1260);
}

TEST_CASE("MSS: a wrong checksum stays wrong") {
  Bytes packet = testing::make_packet(syn(false, {2, 4, 0x05, 0xb4}));
  packet[36] ^= 0x55;
  REQUIRE(clamp_mss(packet, 1300));
  CHECK_FALSE(testing::transport_checksum_right(packet));
}

// A SYN of this machine comes with a partial checksum; the reader completes it before anybody looks inside.
TEST_CASE("MSS: right with a partial checksum, as the device hands over this machine's own SYNs") {
  for (const bool v6 : {false, true}) {
    Bytes packet = testing::make_packet(syn(v6, {2, 4, 0x05, 0xb4}));
    const size_t t = v6 ? 40 : 20;
    testing::put16(packet, t + 16, pseudo_header_sum(packet, 6, packet.size() - t));
    PacketOffload offload;
    offload.partial_checksum = true;
    offload.checksum_start = static_cast<uint16_t>(t);
    offload.checksum_offset = 16;
    Segmenter segmenter;
    REQUIRE(segmenter.begin(packet, offload));
    Bytes out(segmenter.next_size());
    segmenter.next(out);
    REQUIRE(clamp_mss(out, 1300));
    CHECK(testing::transport_checksum_right(out));
    CHECK((out[options_of(v6) + 2] << 8 | out[options_of(v6) + 3]) == (v6 ? 1240 : 1260));
  }
}

}  // namespace
}  // namespace hawser
