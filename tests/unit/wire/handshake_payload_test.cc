// The Noise payloads: round trips at random, every truncation, what is unknown, repeated or too much.
#include "common/wire/handshake_payload.h"

#include <catch2/catch.hpp>

#include "common/wire/datagram.h"
#include "tests/unit/wire/support.h"

namespace hawser::wire::test {
namespace {

InitiationPayload random_initiation(Dice& dice) {
  InitiationPayload p;
  p.minor_version = static_cast<uint8_t>(dice.below(256));
  p.session_nonce = dice.magnitude(64);
  p.ciphers = static_cast<uint8_t>(1 + dice.below(255));
  if (dice.coin()) {
    EnrolmentProof e;
    for (uint8_t& b : e.token_id) b = static_cast<uint8_t>(dice.below(256));
    for (uint8_t& b : e.proof) b = static_cast<uint8_t>(dice.below(256));
    p.enrolment = e;
  }
  return p;
}

AcceptPayload random_accept(Dice& dice) {
  AcceptPayload p;
  p.minor_version = static_cast<uint8_t>(dice.below(256));
  p.session_nonce = dice.magnitude(64);
  p.cipher = static_cast<uint8_t>(1 << dice.below(3));
  p.mtu = static_cast<uint16_t>(576 + dice.below(65'536 - 576));
  const Bytes octets = dice.bytes(16);
  if (dice.coin()) p.inner_v4 = IpAddress::v4(ByteSpan(octets));
  if (dice.coin()) p.inner_v6 = IpAddress::v6(ByteSpan(octets));
  if (dice.coin()) p.server_v4 = IpAddress::v4(ByteSpan(octets));
  if (dice.coin()) p.server_v6 = IpAddress::v6(ByteSpan(octets));
  if (dice.coin()) p.observed = dice.address();
  for (uint64_t n = dice.below(kMaxAnnouncedEndpoints + 1); n > 0; --n) p.endpoints.push_back(dice.address());
  for (uint64_t n = dice.below(kMaxAnnouncedRoutes + 1); n > 0; --n) {
    IpPrefix route{dice.address().ip, 0};
    route.length = static_cast<uint8_t>(dice.below(route.address.is_v4() ? 33 : 129));
    route.address = route.masked();
    p.routes.push_back(route);
  }
  for (uint64_t n = dice.below(kMaxAnnouncedDns + 1); n > 0; --n) p.dns.push_back(dice.address().ip);
  return p;
}

void check_equal(const AcceptPayload& a, const AcceptPayload& b) {
  CHECK(a.minor_version == b.minor_version);
  CHECK(a.session_nonce == b.session_nonce);
  CHECK(a.cipher == b.cipher);
  CHECK(a.mtu == b.mtu);
  CHECK((a.inner_v4 == b.inner_v4 && a.inner_v6 == b.inner_v6));
  CHECK((a.server_v4 == b.server_v4 && a.server_v6 == b.server_v6));
  CHECK(a.observed == b.observed);
  CHECK(a.endpoints == b.endpoints);
  CHECK(a.routes == b.routes);
  CHECK(a.dns == b.dns);
}

const AcceptPayload* as_accept(const std::optional<ResponsePayload>& p) {
  return p ? std::get_if<AcceptPayload>(&*p) : nullptr;
}

TEST_CASE("initiation payloads survive the round trip and fill their space with zeros") {
  const uint64_t seed = Dice::seed_from_environment();
  CAPTURE(seed);
  Dice dice(seed);
  for (int i = 0; i < 500; ++i) {
    const InitiationPayload p = random_initiation(dice);
    Bytes bytes(kInitiationPayload, 0xee);
    REQUIRE(encode(p, MutableByteSpan(bytes)));
    const auto q = decode_initiation_payload(ByteSpan(bytes));
    REQUIRE(q);
    CHECK(q->minor_version == p.minor_version);
    CHECK(q->session_nonce == p.session_nonce);
    CHECK(q->ciphers == p.ciphers);
    REQUIRE(q->enrolment.has_value() == p.enrolment.has_value());
    if (p.enrolment)
      CHECK((q->enrolment->token_id == p.enrolment->token_id && q->enrolment->proof == p.enrolment->proof));
    CHECK(std::all_of(bytes.begin() + (p.enrolment ? 45 : 10), bytes.end(), [](uint8_t b) { return b == 0; }));
  }
}

TEST_CASE("an initiation payload that does not fit says so") {
  InitiationPayload p;
  p.enrolment = EnrolmentProof{};
  Bytes bytes(44);
  CHECK_FALSE(encode(p, MutableByteSpan(bytes)));
  bytes.resize(45);
  CHECK(encode(p, MutableByteSpan(bytes)));
}

TEST_CASE("truncated initiation payloads are refused, except at an item's border") {
  InitiationPayload p;
  p.enrolment = EnrolmentProof{};
  Bytes whole(45);
  REQUIRE(encode(p, MutableByteSpan(whole)));
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    const auto q = decode_initiation_payload(ByteSpan(cut));
    CHECK(q.has_value() == (length == 10));
    if (q) CHECK_FALSE(q->enrolment);
  }
}

TEST_CASE("initiation payload: unknown items are passed over; repeated, cut or resized ones refused") {
  const std::string head = "00 0000000000000001 01";
  const std::string enrolment = "010020" + std::string(64, 'a');
  auto decodes = [](const std::string& hex) { return decode_initiation_payload(ByteSpan(from_hex(hex))); };
  CHECK(decodes(head));
  CHECK(decodes(head + "7f0003010203" + enrolment)->enrolment);
  CHECK(decodes(head + "ff0000" + enrolment)->enrolment);
  CHECK_FALSE(decodes(head + "00" + enrolment)->enrolment);  // after the end nothing counts
  CHECK_FALSE(decodes(head + enrolment + enrolment));
  CHECK_FALSE(decodes(head + "01001f" + std::string(62, 'a')));
  CHECK_FALSE(decodes(head + "010021" + std::string(66, 'a')));
  CHECK_FALSE(decodes(head + "7f0004010203"));
  CHECK_FALSE(decodes("00 0000000000000001 00"));  // no cipher at all
}

TEST_CASE("accept payloads survive the round trip and always fit a response") {
  const uint64_t seed = Dice::seed_from_environment();
  CAPTURE(seed);
  Dice dice(seed);
  for (int i = 0; i < 500; ++i) {
    const AcceptPayload p = random_accept(dice);
    const Bytes bytes = encode(ResponsePayload{p});
    REQUIRE(bytes.size() <= kMaxResponsePayload);
    const auto decoded = decode_response_payload(ByteSpan(bytes));
    REQUIRE(as_accept(decoded));
    check_equal(*as_accept(decoded), p);
  }
}

TEST_CASE("surplus endpoints, routes and resolvers are left out from the end") {
  AcceptPayload p;
  p.mtu = 1400;
  for (uint8_t i = 0; i < 40; ++i) {
    p.endpoints.push_back({IpAddress::v4(192, 0, 2, i), 443, 0});
    p.routes.push_back({IpAddress::v4(10, i, 0, 0), 16});
    p.dns.push_back(IpAddress::v4(9, 9, 9, i));
  }
  const auto decoded = decode_response_payload(ByteSpan(encode(ResponsePayload{p})));
  REQUIRE(as_accept(decoded));
  p.endpoints.resize(kMaxAnnouncedEndpoints);
  p.routes.resize(kMaxAnnouncedRoutes);
  p.dns.resize(kMaxAnnouncedDns);
  check_equal(*as_accept(decoded), p);
}

TEST_CASE("addresses that are not set and scopes do not go on the wire; host bits of a route neither") {
  AcceptPayload p;
  p.mtu = 1400;
  p.endpoints = {SocketAddress{}, SocketAddress{IpAddress::v4(192, 0, 2, 1), 443, 7}};
  p.routes = {{IpAddress::v4(10, 9, 8, 7), 16}};
  const auto decoded = decode_response_payload(ByteSpan(encode(ResponsePayload{p})));
  REQUIRE(as_accept(decoded));
  REQUIRE(as_accept(decoded)->endpoints.size() == 1);
  CHECK(as_accept(decoded)->endpoints[0] == SocketAddress{IpAddress::v4(192, 0, 2, 1), 443, 0});
  CHECK(as_accept(decoded)->routes[0].to_string() == "10.9.0.0/16");
  CHECK_FALSE(as_accept(decoded)->observed.is_set());
}

TEST_CASE("truncated accept payloads are refused, except at an item's border") {
  const uint64_t seed = Dice::seed_from_environment();
  CAPTURE(seed);
  Dice dice(seed);
  for (int i = 0; i < 30; ++i) {
    const Bytes whole = encode(ResponsePayload{random_accept(dice)});
    std::vector<size_t> borders{13};
    while (borders.back() < whole.size()) borders.push_back(borders.back() + 3 + whole[borders.back() + 2]);
    for (size_t length = 0; length < whole.size(); ++length) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      const bool border = std::find(borders.begin(), borders.end(), length) != borders.end();
      REQUIRE(decode_response_payload(ByteSpan(cut)).has_value() == border);
    }
  }
}

TEST_CASE("accept payloads: what means nothing is refused") {
  const std::string head = "01 00 0000000000000002 01 0578";
  auto decodes = [](const std::string& hex) { return decode_response_payload(ByteSpan(from_hex(hex))).has_value(); };
  auto times = [](size_t n, const std::string& s) {
    std::string out;
    while (n-- > 0) out += s;
    return out;
  };
  CHECK(decodes(head));
  CHECK(decodes(head + "700002aabb 010004 0a090002"));
  CHECK(decodes(head + times(kMaxAnnouncedRoutes, "070006 10 04 0a090000")));
  const std::pair<const char*, std::string> cases[] = {
      {"kind", "03" + head.substr(2)},
      {"two ciphers", "01 00 0000000000000002 03 0578"},
      {"no cipher", "01 00 0000000000000002 00 0578"},
      {"unknown cipher", "01 00 0000000000000002 08 0578"},
      {"mtu below 576", "01 00 0000000000000002 01 023f"},
      {"short v4", head + "010003 0a0900"},
      {"long v4", head + "010005 0a09000200"},
      {"v4 twice", head + times(2, "010004 0a090002")},
      {"observed of no family", head + "050007 05 c0000201 01bb"},
      {"observed twice", head + times(2, "050007 04 c0000201 01bb")},
      {"nine endpoints", head + times(9, "060007 04 c0000201 01bb")},
      {"17 routes", head + times(17, "070006 10 04 0a090000")},
      {"route longer than its address", head + "070006 21 04 0a090000"},
      {"route with host bits", head + "070006 10 04 0a090001"},
      {"five resolvers", head + times(5, "080005 04 09090909")},
      {"item cut", head + "08"},
      {"item cut in its length", head + "0800"},
      {"item cut in its value", head + "080005 04"},
  };
  for (const auto& [name, hex] : cases) {
    CAPTURE(name);
    CHECK_FALSE(decodes(hex));
  }
}

TEST_CASE("refusals survive the round trip; unknown reasons and cut ones are refused") {
  for (int r = 1; r <= 5; ++r) {
    const Bytes bytes = encode(ResponsePayload{RefusedPayload{static_cast<RefusalReason>(r)}});
    CHECK(to_hex(bytes) == "020" + std::to_string(r));
    const auto p = decode_response_payload(ByteSpan(bytes));
    REQUIRE(p);
    CHECK(static_cast<int>(std::get<RefusedPayload>(*p).reason) == r);
  }
  for (const char* hex : {"", "02", "0200", "0206", "02ff"}) {
    CHECK_FALSE(decode_response_payload(ByteSpan(from_hex(hex))));
  }
}

TEST_CASE("random bytes never harm the payload decoders") {
  const uint64_t seed = Dice::seed_from_environment();
  CAPTURE(seed);
  Dice dice(seed);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = dice.bytes(dice.below(120));
    if (bytes.size() > 13) bytes[0] = 1, bytes[10] = 1;
    for (size_t at = 13; at + 2 < bytes.size(); at += 3u + bytes[at + 2]) {  // plausible items
      bytes[at] = static_cast<uint8_t>(dice.below(10));
      bytes[at + 1] = 0;
      bytes[at + 2] = static_cast<uint8_t>(dice.below(24));
    }
    decode_initiation_payload(ByteSpan(bytes));
    if (const auto p = decode_response_payload(ByteSpan(bytes)); as_accept(p)) {
      const auto again = decode_response_payload(ByteSpan(encode(*p)));
      REQUIRE(as_accept(again));
      check_equal(*as_accept(again), *as_accept(p));
    }
  }
}

}  // namespace
}  // namespace hawser::wire::test
