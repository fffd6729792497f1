// What is merged, what is not, and that cutting undoes it.
#include "common/coalesce.h"

#include <catch2/catch.hpp>
#include <random>

#include <functional>

#include "offload_support.h"

namespace hawser {
namespace {

using testing::Bytes;
using testing::make_packet;
using testing::PacketSpec;

constexpr Coalescer::Kinds kAll{true, true};

// The packets that a device would see: each output cut again.
std::vector<Bytes> cut_again(std::span<const Coalescer::Output> outputs) {
  std::vector<Bytes> packets;
  for (const Coalescer::Output& out : outputs) {
    Bytes whole(out.header.begin(), out.header.end());
    for (const ByteSpan piece : out.pieces) whole.insert(whole.end(), piece.begin(), piece.end());
    REQUIRE(whole.size() == out.size);
    Segmenter s;
    REQUIRE(s.begin(whole, out.offload));
    while (!s.done()) {
      Bytes b(s.next_size());
      s.next(b);
      packets.push_back(b);
    }
  }
  return packets;
}

std::vector<ByteSpan> views(const std::vector<Bytes>& packets) {
  return {packets.begin(), packets.end()};
}

// How many packets each output stands for.
std::vector<size_t> groups(Coalescer& c, const std::vector<Bytes>& packets, Coalescer::Kinds kinds = kAll) {
  std::vector<size_t> sizes;
  const auto spans = views(packets);
  for (const Coalescer::Output& out : c.run(spans, kinds)) sizes.push_back(out.members.size());
  return sizes;
}

// `count` packets of one flow in sequence, the one at `special` changed by `change` (nobody when it is -1).
std::vector<Bytes> train(PacketSpec spec, int count, int special = -1,
                         const std::function<void(PacketSpec&)>& change = {}) {
  std::vector<Bytes> packets;
  for (int i = 0; i < count; ++i) {
    PacketSpec one = spec;
    if (i == special) change(one);
    packets.push_back(make_packet(one));
    spec.id = static_cast<uint16_t>(spec.id + 1);
    spec.sequence += static_cast<uint32_t>(one.payload);
  }
  return packets;
}

TEST_CASE("a train of one flow becomes one super-packet, and cutting gives it back") {
  for (const bool v6 : {false, true}) {
    for (const bool udp : {false, true}) {
      CAPTURE(v6, udp);
      const auto packets =
          train({.v6 = v6, .udp = udp, .tos = 2, .options = udp ? Bytes{} : Bytes{1, 1, 1, 0}, .payload = 1300}, 20, 19,
                [](PacketSpec& s) { s.payload = 10; });
      Coalescer c;
      const auto spans = views(packets);
      const auto out = c.run(spans, kAll);
      REQUIRE(out.size() == 1);
      CHECK(out[0].members.size() == 20);
      CHECK(out[0].offload.segment_size == 1300);
      CHECK(cut_again(out) == packets);
    }
  }
}

TEST_CASE("fifty users' flows, taking turns packet by packet, become a super-packet each") {
  for (const bool v6 : {false, true}) {
    CAPTURE(v6);
    std::vector<std::vector<Bytes>> flows;
    for (uint16_t f = 0; f < 50; ++f) flows.push_back(train({.v6 = v6, .source_port = static_cast<uint16_t>(1000 + f)}, 6));
    std::vector<Bytes> packets;
    for (size_t i = 0; i < 6; ++i) {
      for (const auto& flow : flows) packets.push_back(flow[i]);
    }
    Coalescer c;
    CHECK(groups(c, packets) == std::vector<size_t>(50, 6));
  }
}

TEST_CASE("TCP: what differs ends the train") {
  using Groups = std::vector<size_t>;
  struct Case {
    const char* name;
    Groups expected;
    std::function<void(PacketSpec&)> change;
  };
  // Five packets, the third (index 2) changed.
  const std::vector<Case> cases = {
      {"nothing", {5}, [](PacketSpec&) {}},
      {"PSH is the last of its train", {3, 2}, [](PacketSpec& s) { s.flags |= 8; }},
      {"a short one is the last of its train", {3, 2}, [](PacketSpec& s) { s.payload = 50; }},
      {"a longer one begins anew, and what is shorter ends that", {2, 2, 1}, [](PacketSpec& s) { s.payload = 150; }},
      {"a gap", {2, 1, 2}, [](PacketSpec& s) { s.sequence += 1; }},
      {"ECN mark", {2, 1, 2}, [](PacketSpec& s) { s.tos = 3; }},
      {"DSCP", {2, 1, 2}, [](PacketSpec& s) { s.tos = 0x20; }},
      {"TTL", {2, 1, 2}, [](PacketSpec& s) { s.ttl = 63; }},
      {"DF", {2, 1, 2}, [](PacketSpec& s) { s.df = false; }},
      {"acknowledgement", {2, 1, 2}, [](PacketSpec& s) { s.ack += 1; }},
      {"window", {2, 1, 2}, [](PacketSpec& s) { s.window += 1; }},
      {"urgent pointer, though not set", {2, 1, 2}, [](PacketSpec& s) { s.urgent = 9; }},
      {"options",
       {2, 1, 2},
       [](PacketSpec& s) {
         s.options = {1, 1, 1, 0};
       }},
      {"ECE", {2, 1, 2}, [](PacketSpec& s) { s.flags |= 0x40; }},
      {"CWR", {2, 1, 2}, [](PacketSpec& s) { s.flags |= 0x80; }},
      {"URG", {2, 1, 2}, [](PacketSpec& s) { s.flags |= 0x20; }},
      {"FIN", {2, 1, 2}, [](PacketSpec& s) { s.flags |= 1; }},
      {"RST", {2, 1, 2}, [](PacketSpec& s) { s.flags |= 4; }},
      {"no ACK", {2, 1, 2}, [](PacketSpec& s) { s.flags = 0; }},
      {"no data", {2, 1, 2}, [](PacketSpec& s) { s.payload = 0; }},
      {"another flow between them does not separate",
       {4, 1},
       [](PacketSpec& s) {
         s.source_port = 9;
         s.sequence = 5;
         s.payload = 0;
       }},
  };
  for (const bool v6 : {false, true}) {
    for (const Case& c : cases) {
      if (v6 && std::string(c.name) == "DF") continue;
      INFO(c.name << (v6 ? " v6" : ""));
      auto packets = train({.v6 = v6, .payload = 100}, 5, 2, c.change);
      Coalescer coalescer;
      CHECK(groups(coalescer, packets) == c.expected);
    }
  }
}

TEST_CASE("without DF the packets must be numbered as a device would") {
  Coalescer c;
  CHECK(groups(c, train({.df = false}, 4)) == std::vector<size_t>{4});
  CHECK(groups(c, train({.df = false}, 4, 2, [](PacketSpec& s) { s.id = 9; })) == std::vector<size_t>{2, 1, 1});
  CHECK(groups(c, train({.df = true}, 4, 2, [](PacketSpec& s) { s.id = 9; })) == std::vector<size_t>{4});
}

TEST_CASE("UDP: equal datagrams of one flow, order kept, checksums wanted") {
  Coalescer c;
  const PacketSpec udp{.udp = true, .payload = 100};
  CHECK(groups(c, train(udp, 70)) == std::vector<size_t>{63, 7});
  CHECK(groups(c, train(udp, 5, 2, [](PacketSpec& s) { s.payload = 60; })) == std::vector<size_t>{3, 2});
  CHECK(groups(c, train(udp, 5, 2, [](PacketSpec& s) { s.tos = 1; })) == std::vector<size_t>{2, 1, 2});
  auto packets = train(udp, 3);
  testing::put16(packets[1], 26, 0);  // no checksum: legal, but nothing to check
  CHECK(groups(c, packets) == std::vector<size_t>{1, 1, 1});
  CHECK(groups(c, train(udp, 3), {true, false}) == std::vector<size_t>{1, 1, 1});
  CHECK(groups(c, train({.payload = 100}, 3), {false, true}) == std::vector<size_t>{1, 1, 1});
}

TEST_CASE("a corrupt packet stays corrupt") {
  for (const bool udp : {false, true}) {
    for (size_t bad = 0; bad < 4; ++bad) {
      for (const size_t at : {size_t{30}, size_t{60}}) {
        CAPTURE(udp, bad, at);
        auto packets = train({.udp = udp, .payload = 100}, 4);
        packets[bad][at == 30 ? (udp ? 30 : 39) : at] ^= 4;
        Coalescer c;
        const auto spans = views(packets);
        const auto after = cut_again(c.run(spans, kAll));
        CHECK(after == packets);
        CHECK_FALSE(testing::transport_checksum_right(packets[bad]));
      }
    }
  }
}

TEST_CASE("what may belong to any flow lets nothing pass it") {
  for (const char* what : {"fragment", "options", "icmp", "short", "extension"}) {
    INFO(what);
    const std::string kind = what;
    auto packets = train({.v6 = kind == "extension", .payload = 100}, 2);
    Bytes& odd = packets[1];
    if (kind == "fragment") odd[6] |= 0x20;
    if (kind == "options") odd[0] = 0x46;
    if (kind == "icmp") odd[9] = 1;
    if (kind == "short") odd.resize(25);
    if (kind == "extension") odd[6] = 0;
    const PacketSpec next{.v6 = kind == "extension", .sequence = 101, .payload = 100};
    packets.push_back(make_packet(next));  // would fit the first
    Coalescer c;
    const auto spans = views(packets);
    const auto out = c.run(spans, kAll);
    REQUIRE(out.size() == 3);
    for (size_t i = 0; i < 3; ++i) CHECK(out[i].members[0] == i);
  }
}

TEST_CASE("whatever comes in comes out, each flow in its order") {
  const auto seed = static_cast<uint32_t>(std::random_device{}());
  CAPTURE(seed);
  std::mt19937 random(seed);
  auto pick = [&](uint32_t n) { return random() % n; };
  Coalescer c;
  for (int round = 0; round < 300; ++round) {
    std::vector<Bytes> packets;
    std::vector<bool> corrupt;  // it may have become another flow's
    std::array<PacketSpec, 12> flows;
    for (size_t f = 0; f < flows.size(); ++f) {
      flows[f] = {.v6 = f % 2 == 1,
                  .udp = f % 3 == 0,
                  .df = pick(2) == 0,
                  .source_port = static_cast<uint16_t>(f),
                  .payload = 40 + pick(3)};
    }
    for (size_t n = pick(100); n-- > 0;) {
      PacketSpec& f = flows[pick(pick(4) ? 3 : 12)];
      PacketSpec one = f;
      if (pick(12) == 0) one.payload = pick(60);
      if (pick(20) == 0) one.tos = 3;
      if (pick(20) == 0) one.flags |= static_cast<uint8_t>(1u << pick(8));
      if (pick(20) == 0) one.sequence += pick(3);
      packets.push_back(make_packet(one));
      corrupt.push_back(pick(20) == 0);
      if (corrupt.back())
        packets.back()[pick(static_cast<uint32_t>(packets.back().size()))] ^= static_cast<uint8_t>(1 + pick(255));
      f.id = static_cast<uint16_t>(f.id + 1);
      f.sequence += static_cast<uint32_t>(one.payload);
    }
    const auto spans = views(packets);
    const auto out = c.run(spans, kAll);
    // Cut in the outputs' order and put back to their places: each is what it was.
    const auto after = cut_again(out);
    REQUIRE(after.size() == packets.size());
    size_t n = 0;
    std::array<int, 12> newest;
    newest.fill(-1);
    for (const Coalescer::Output& o : out) {
      for (const uint32_t m : o.members) {
        Bytes was = packets[m], is = after[n++];
        const bool atomic = was[0] >> 4 == 4 && (was[6] & 0x40);
        if (atomic && o.members.size() > 1) {  // the number of an atomic datagram has no meaning
          for (Bytes* b : {&was, &is}) (*b)[4] = (*b)[5] = (*b)[10] = (*b)[11] = 0;
        }
        REQUIRE(is == was);
        if (corrupt[m]) continue;
        const size_t flow = was[was[0] == 0x45 ? 21 : 41];
        CHECK(newest[flow] < static_cast<int>(m));
        newest[flow] = static_cast<int>(m);
      }
    }
  }
}

}  // namespace
}  // namespace hawser
