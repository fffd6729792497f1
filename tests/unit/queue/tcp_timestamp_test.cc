// TCP's timestamps: what is raised, what is left alone, and that the checksum comes out as if computed anew.
#include <catch2/catch.hpp>

#include "common/queue/tcp_timestamp.h"
#include "tests/unit/base/offload_support.h"

namespace hawser {
namespace {

using testing::Bytes;
using testing::PacketSpec;

Bytes stamps(uint32_t value) {
  Bytes o = {1, 1, 8, 10};
  for (int shift : {24, 16, 8, 0}) o.push_back(static_cast<uint8_t>(value >> shift));
  o.insert(o.end(), {9, 8, 7, 6});
  return o;
}

PacketSpec segment(uint32_t sequence, Bytes options, bool v6 = false) {
  return {.v6 = v6, .sequence = sequence, .options = std::move(options)};
}

}  // namespace

TEST_CASE("timestamps: raised, in both families, at even and odd places, across the clock's end") {
  struct Case {
    const char* name;
    Bytes before, behind;  // options around it
  };
  const Case cases[] = {{"as Linux sends it", {1, 1}, {}}, {"at an odd place", {1}, {0}}, {"behind another", {254, 4, 9, 9}, {1, 1}}};
  for (const Case& c : cases) {
    for (const bool v6 : {false, true}) {
      for (const uint32_t least : {5u, 0x12345678u, 0xffffffffu}) {
        INFO(c.name << (v6 ? " v6 " : " v4 ") << least);
        const auto with = [&](uint32_t value) {
          Bytes options = c.before;
          const Bytes stamp = stamps(value);
          options.insert(options.end(), stamp.begin() + 2, stamp.end());
          options.insert(options.end(), c.behind.begin(), c.behind.end());
          return testing::make_packet(segment(1, options, v6));
        };
        Bytes packet = with(least - 10);
        CHECK(timestamp_of(packet).value == least - 10);
        CHECK(raise_timestamp(packet, least));
        CHECK(packet == with(least));
        CHECK_FALSE(raise_timestamp(packet, least));
        CHECK_FALSE(raise_timestamp(packet, least - 1));
      }
    }
  }
}

TEST_CASE("timestamps: what has none, is signed, cut or no TCP stays as it is") {
  PacketSpec udp = segment(1, stamps(5));
  udp.udp = true;
  Bytes signed_md5 = stamps(5), signed_ao = stamps(5);
  signed_md5.insert(signed_md5.end(), {19, 4, 1, 2});
  signed_ao.insert(signed_ao.begin(), {29, 4, 1, 2});
  for (const PacketSpec& spec : {segment(1, {}), segment(1, {8, 6, 0, 0, 0, 5, 1, 1}), segment(1, signed_md5), segment(1, signed_ao), udp}) {
    Bytes packet = testing::make_packet(spec);
    const Bytes before = packet;
    CHECK_FALSE(raise_timestamp(packet, 1000));
    CHECK(packet == before);
  }
  CHECK(timestamp_of(testing::make_packet(segment(1, signed_md5))).sealed);
  CHECK(timestamp_of(testing::make_packet(segment(1, signed_ao))).sealed);
  const Bytes whole = testing::make_packet(segment(1, stamps(5)));
  for (size_t size = 0; size < 52; ++size) {
    Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    CHECK_FALSE(raise_timestamp(cut, 1000));
  }
}

}  // namespace hawser
