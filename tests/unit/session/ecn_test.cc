// RFC 6040 where the tunnel ends: every cell of the table, through two engines with marks that the network sets.
#include <catch2/catch.hpp>

#include <optional>

#include "common/queue/classify.h"
#include "common/queue/ecn.h"
#include "common/session/reassembly.h"
#include "tests/unit/session/test_net.h"

namespace hawser::test {
namespace {

constexpr uint8_t N = ecn::kNotEct, E0 = ecn::kEct0, E1 = ecn::kEct1, CE = ecn::kCe;

struct Cell {
  uint8_t inner, outer;
  std::optional<uint8_t> out;
};
// RFC 6040, figure 4, row by row.
constexpr Cell kTable[] = {
    {N, N, N},   {N, E0, N},   {N, E1, N},   {N, CE, {}},   //
    {E0, N, E0}, {E0, E0, E0}, {E0, E1, E1}, {E0, CE, CE},  //
    {E1, N, E1}, {E1, E0, E1}, {E1, E1, E1}, {E1, CE, CE},  //
    {CE, N, CE}, {CE, E0, CE}, {CE, E1, CE}, {CE, CE, CE},
};

uint16_t header_sum(ByteSpan p) {  // 0xffff when the checksum is right
  uint32_t sum = 0;
  for (size_t i = 0; i < 20; i += 2) sum += static_cast<uint32_t>(p[i] << 8 | p[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

std::vector<uint8_t> marked_packet(const TestNet& net, uint32_t marker, uint8_t mark, uint8_t dscp) {
  auto p = make_packet(net.server_ip, net.client_ip, marker, 500);
  p[1] = static_cast<uint8_t>(dscp << 2 | mark);
  const auto check = static_cast<uint16_t>(~header_sum(p));
  p[10] = static_cast<uint8_t>(check >> 8);
  p[11] = static_cast<uint8_t>(check);
  return p;
}

uint64_t congestion_drops(TestNet& net) {
  return net.client->sessions(net.now)[0].drops[DropReason::ecn_congestion];
}

}  // namespace

TEST_CASE("the mark of an outer header reaches the inner packet as RFC 6040 says, its checksum right") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  uint8_t outer = N;
  net.outer_ecn = [&](bool to_server, ByteSpan) { return to_server ? N : outer; };
  std::vector<std::vector<uint8_t>> got;
  net.on_client_packet = [&](ByteSpan p) { got.emplace_back(p.begin(), p.end()); };
  uint32_t marker = 0;
  for (const Cell& c : kTable) {
    for (const uint8_t dscp : {0, 10, 63}) {
      INFO("inner " << int{c.inner} << " outer " << int{c.outer} << " dscp " << int{dscp});
      got.clear();
      const uint64_t dropped = congestion_drops(net);
      outer = c.outer;
      auto expected = marked_packet(net, marker, c.inner, dscp);
      net.send_to_client(expected);
      net.run(Duration::millis(100));
      CHECK(congestion_drops(net) - dropped == (c.out ? 0 : 1));
      REQUIRE(got.size() == (c.out ? 1 : 0));
      if (c.out) {
        expected = marked_packet(net, marker, *c.out, dscp);
        CHECK(header_sum(got[0]) == 0xffff);
        CHECK(got[0] == expected);
      }
      ++marker;
    }
  }
}

TEST_CASE("a packet dropped for its outer mark holds up nothing behind it") {
  TestNet net;
  net.add_link(wire_of(20e6, Duration::millis(10)));
  net.up_all();
  net.run(Duration::millis(300));
  bool mark = false;
  net.outer_ecn = [&](bool to_server, ByteSpan) { return !to_server && mark ? CE : N; };
  net.send_to_client(make_packet(net.server_ip, net.client_ip, 0, 1400));
  net.run(Duration::millis(50));
  mark = true;
  net.send_to_client(make_packet(net.server_ip, net.client_ip, 1, 1400));
  net.run(Duration::millis(50));
  mark = false;
  CHECK(congestion_drops(net) == 1);
  net.send_to_client(make_packet(net.server_ip, net.client_ip, 2, 1400));
  net.run(Duration::millis(12));  // the way there alone, and its serialisation
  CHECK(net.at_client == std::vector<uint32_t>{0, 2});
}

TEST_CASE("a packet in two pieces keeps the congestion that either met") {
  CHECK(ecn::joined(N, E0) == N);  // pieces that disagree say nothing
  PacketPool pool(2048, 16);
  Reassembly reassembly(pool);
  DropCounters drops;
  const std::vector<uint8_t> bytes(200, 7);
  uint32_t seq = 0;
  for (const uint8_t a : {N, E1, E0, CE}) {
    for (const uint8_t b : {N, E1, E0, CE}) {
      for (const bool last_first : {false, true}) {
        wire::FragmentFrame f;
        f.seq24 = seq++;
        uint8_t mark = a;
        for (const bool last : {last_first, !last_first}) {
          if (last != last_first) mark = b;
          f.last = last;
          f.offset = last ? 100 : 0;
          f.payload = ByteSpan{bytes}.subspan(f.offset, 100);
          const Packet whole = reassembly.on_piece(f, mark, Time{1'000'000'000}, drops);
          CHECK(static_cast<bool>(whole) == (last != last_first));
        }
        CHECK((mark == CE) == (a == CE || b == CE));
        if (a == b) CHECK(mark == a);
      }
    }
  }
  CHECK(drops[DropReason::reassembly] == 0);
}

TEST_CASE("an IPv6 header is marked in its traffic class and nowhere else") {
  for (const uint8_t mark : {N, E1, E0, CE}) {
    std::vector<uint8_t> p(48, 0xa5);
    p[0] = 0x6a;
    auto expected = p;
    expected[1] = static_cast<uint8_t>((0xa5 & 0xcf) | mark << 4);
    set_ecn(p, mark);
    CHECK(p == expected);
    CHECK(ecn::of_packet(p) == mark);
  }
}

}  // namespace hawser::test
