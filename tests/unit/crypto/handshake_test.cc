// Whole handshake datagrams: both ways, every bit, refusals, enrolment, negotiation of the cipher.
#include "common/crypto/handshake.h"

#include "tests/unit/crypto/low_order_points.h"
#include "tests/unit/crypto/support.h"

using namespace hawser;
using namespace hawser::test;
using wire::kCipherAes256Gcm;
using wire::kCipherChaCha20;

namespace {

wire::AcceptPayload accept(uint8_t cipher = kCipherChaCha20) {
  wire::AcceptPayload a;
  a.session_nonce = 0x1122334455667788;
  a.cipher = cipher;
  a.mtu = 1400;
  a.inner_v4 = IpAddress::v4(10, 9, 0, 2);
  return a;
}

struct Fixture {
  SeededRng rng{seed() + 17};
  StaticKeyPair client = StaticKeyPair::generate(rng), server = StaticKeyPair::generate(rng);
  SecretKey zero;
  Responder responder{server};

  InitiatorParams params() {
    InitiatorParams p;
    p.local = &client;
    p.responder = server.public_key();
    p.own_index = SessionIndex{0xc0ffee01};
    p.payload.session_nonce = 42;
    p.payload.ciphers = supported_ciphers();
    return p;
  }
  Initiator begin(const InitiatorParams& p) {
    auto i = Initiator::begin(p, rng);
    REQUIRE(i);
    return std::move(*i);
  }
  PendingHandshake receive(ByteSpan datagram) {
    auto view = responder.check_mac1(datagram);
    REQUIRE(view);
    auto pending = responder.open(*view);
    REQUIRE(pending);
    return std::move(*pending);
  }
  PendingHandshake::Response answer(PendingHandshake& p, const wire::ResponsePayload& payload, const SecretKey& psk) {
    auto r = p.respond(payload, psk, SessionIndex{0x5e12e201}, rng, make_cipher);
    REQUIRE(r);
    return std::move(*r);
  }
};

Bytes copy(ByteSpan d) {
  return Bytes(d.begin(), d.end());
}

Bytes flip(ByteSpan d, size_t bit) {
  Bytes bad = copy(d);
  bad[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  return bad;
}

// What an attacker does who knows the receiver's public key.
Bytes with_fresh_mac1(Bytes d, const PublicKey& receiver) {
  const size_t covered = d.size() - 32;
  const Bytes16 mac = mac16(mac1_key(receiver.bytes), ByteSpan(d).first(covered));
  std::copy(mac.begin(), mac.end(), d.begin() + static_cast<std::ptrdiff_t>(covered));
  return d;
}

// That `from` seals what `to` opens, under the given nonce's numbers.
void check_direction(SessionKeys& from, SessionKeys& to) {
  const auto ad = counting<9>();
  CHECK(from.iv_send == to.iv_receive);
  Bytes sealed(100 + kAeadTagSize);
  REQUIRE(from.send->seal(sealed, Bytes(100, 7), ad, make_nonce(from.iv_send, PathId{2}, PacketNumber{9}).value()));
  Bytes again = sealed;
  CHECK(to.receive->open(sealed, ad, make_nonce(to.iv_receive, PathId{2}, PacketNumber{9}).value()));
  // Reflected to its sender it does not open: each direction has a key of its own.
  CHECK_FALSE(from.receive->open(again, ad, make_nonce(from.iv_receive, PathId{2}, PacketNumber{9}).value()));
}

}  // namespace

TEST_CASE("a handshake gives both sides the same keys, for each cipher") {
  for (uint8_t cipher : {kCipherChaCha20, kCipherAes256Gcm}) {
    if ((cipher & supported_ciphers()) == 0) {
      WARN("SKIPPED AES-256-GCM: this processor has no AES");
      continue;
    }
    Fixture f;
    Initiator initiator = f.begin(f.params());
    CHECK(initiator.datagram().size() == 1200);
    PendingHandshake pending = f.receive(initiator.datagram());
    CHECK(pending.initiator() == f.client.public_key());
    CHECK(pending.peer_index() == SessionIndex{0xc0ffee01});
    CHECK(pending.payload().session_nonce == 42);
    CHECK_FALSE(pending.payload().enrolment);

    auto response = f.answer(pending, accept(cipher), f.zero);
    REQUIRE(response.keys);
    CHECK(response.datagram.size() <= initiator.datagram().size());
    auto done = initiator.consume_response(response.datagram, make_cipher);
    REQUIRE(done);
    CHECK(done->peer_index == SessionIndex{0x5e12e201});
    const auto* payload = std::get_if<wire::AcceptPayload>(&done->payload);
    REQUIRE(payload);
    CHECK(payload->session_nonce == 0x1122334455667788);
    CHECK(payload->inner_v4 == IpAddress::v4(10, 9, 0, 2));
    REQUIRE(done->keys);
    CHECK(done->keys->cipher == cipher);
    CHECK(response.keys->cipher == cipher);
    CHECK(done->keys->iv_send != done->keys->iv_receive);
    check_direction(*done->keys, *response.keys);
    check_direction(*response.keys, *done->keys);
  }
}

TEST_CASE("no answer is longer than what caused it") {
  Fixture f;
  wire::AcceptPayload big = accept();
  big.inner_v6 = big.server_v6 = IpAddress::v6(counting<16>());
  big.endpoints.assign(50, SocketAddress{IpAddress::v6(counting<16>()), 443, 0});
  big.routes.assign(50, IpPrefix{IpAddress::v6(counting<16>()), 128});
  big.dns.assign(50, IpAddress::v6(counting<16>()));
  Initiator initiator = f.begin(f.params());
  PendingHandshake pending = f.receive(initiator.datagram());
  const auto response = f.answer(pending, big, f.zero);
  CHECK(response.datagram.size() <= wire::kInitiationSize);
  CHECK(initiator.consume_response(response.datagram, make_cipher));
}

TEST_CASE("each bit of an initiation counts") {
  Fixture f;
  const Initiator initiator = f.begin(f.params());
  const ByteSpan good = initiator.datagram();
  const size_t mac2_at = (good.size() - 16) * 8;

  SECTION("for who does not know the server's public key") {
    for (size_t bit = 0; bit < mac2_at; ++bit) {
      INFO("bit " << bit);
      REQUIRE_FALSE(f.responder.check_mac1(flip(good, bit)));
    }
  }
  SECTION("for who does") {
    // All but the sender index, which Noise does not cover: changed, it spoils the answer for an attacker on the way,
    // who could have kept the datagram as well.
    for (size_t bit = 0; bit < mac2_at - 128; bit += bit < 1024 ? 1 : 7) {
      if (bit >= 32 && bit < 64) continue;
      INFO("bit " << bit);
      const Bytes bad = with_fresh_mac1(flip(good, bit), f.server.public_key());
      auto view = f.responder.check_mac1(bad);
      if (!view) {
        CHECK(bit < 32);
        continue;
      }
      auto pending = f.responder.open(*view);
      REQUIRE_FALSE(pending);
      CHECK(pending.why() == HandshakeReject::not_authentic);
    }
  }
  SECTION("shorter and longer ones") {
    for (size_t n = 0; n < good.size(); ++n) {
      CHECK(f.responder.check_mac1(good.first(n)).why() == HandshakeReject::malformed);
    }
    Bytes longer = copy(good);
    longer.push_back(0);
    CHECK(f.responder.check_mac1(longer).why() == HandshakeReject::malformed);
  }
}

TEST_CASE("each bit of a response counts, and no forgery spoils the true one") {
  Fixture f;
  Initiator initiator = f.begin(f.params());
  PendingHandshake pending = f.receive(initiator.datagram());
  const auto response = f.answer(pending, accept(), f.zero);
  const ByteSpan good = response.datagram;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    INFO("bit " << bit);
    REQUIRE_FALSE(initiator.consume_response(flip(good, bit), make_cipher));
    if (bit >= 32 && bit < 64) continue;  // the sender index, as above
    if (bit >= (good.size() - 32) * 8) continue;
    REQUIRE_FALSE(initiator.consume_response(with_fresh_mac1(flip(good, bit), f.client.public_key()), make_cipher));
  }
  for (size_t n = 0; n < good.size(); ++n) REQUIRE_FALSE(initiator.consume_response(good.first(n), make_cipher));
  auto done = initiator.consume_response(good, make_cipher);
  REQUIRE(done);
  CHECK(done->keys);
}

TEST_CASE("reasons of rejection") {
  Fixture f;
  Initiator initiator = f.begin(f.params());
  const auto why = [](auto&& checked) { return checked.why(); };

  SECTION("another version") {
    Bytes d = copy(initiator.datagram());
    d[1] = 2;
    CHECK(why(f.responder.check_mac1(with_fresh_mac1(d, f.server.public_key()))) == HandshakeReject::version);
  }
  SECTION("meant for another server") {
    const StaticKeyPair other = StaticKeyPair::generate(f.rng);
    CHECK(why(Responder(other).check_mac1(initiator.datagram())) == HandshakeReject::mac1);
    // ... even when mac1 is made to fit
    const Bytes d = with_fresh_mac1(copy(initiator.datagram()), other.public_key());
    const Responder r(other);
    auto view = r.check_mac1(d);
    REQUIRE(view);
    CHECK(why(r.open(*view)) == HandshakeReject::not_authentic);
  }
  SECTION("an answer to another index, another key, an older initiation") {
    PendingHandshake pending = f.receive(initiator.datagram());
    const auto response = f.answer(pending, accept(), f.zero);
    InitiatorParams p = f.params();
    p.own_index = SessionIndex{1};
    CHECK(why(f.begin(p).consume_response(response.datagram, make_cipher)) == HandshakeReject::index);
    CHECK(why(f.begin(f.params()).consume_response(response.datagram, make_cipher)) == HandshakeReject::not_authentic);
    const StaticKeyPair other = StaticKeyPair::generate(f.rng);
    p = f.params();
    p.local = &other;
    CHECK(why(f.begin(p).consume_response(response.datagram, make_cipher)) == HandshakeReject::mac1);
  }
  SECTION("a low-order point as the server's key") {
    for (const char* hex : kLowOrderPoints) {
      InitiatorParams p = f.params();
      p.responder = *PublicKey::from_bytes(from_hex(hex));
      CHECK_FALSE(Initiator::begin(p, f.rng));
    }
  }
  SECTION("mac2 of a response is zero") {
    PendingHandshake pending = f.receive(initiator.datagram());
    const auto response = f.answer(pending, accept(), f.zero);
    Bytes d = response.datagram;
    d.back() = 1;
    CHECK(why(initiator.consume_response(d, make_cipher)) == HandshakeReject::malformed);
  }
  for (int r = 0; r <= static_cast<int>(HandshakeReject::cipher); ++r) {
    CHECK(std::string(to_string(static_cast<HandshakeReject>(r))) != "unknown");
  }
}

TEST_CASE("the psk of both sides must agree") {
  Fixture f;
  const SecretKey psk = generate_secret_key(f.rng), other = generate_secret_key(f.rng);
  const struct {
    const char* name;
    const SecretKey* client;
    const SecretKey* server;
    bool accepted;
  } cases[] = {
      {"none", nullptr, &f.zero, true},
      {"the same", &psk, &psk, true},
      {"different", &psk, &other, false},
      {"the client's only", &psk, &f.zero, false},
      {"the server's only", nullptr, &psk, false},
  };
  for (const auto& c : cases) {
    INFO(c.name);
    InitiatorParams p = f.params();
    p.psk = c.client;
    Initiator initiator = f.begin(p);
    PendingHandshake pending = f.receive(initiator.datagram());
    const auto response = f.answer(pending, accept(), *c.server);
    auto done = initiator.consume_response(response.datagram, make_cipher);
    CHECK(static_cast<bool>(done) == c.accepted);
    if (!c.accepted) CHECK(done.why() == HandshakeReject::not_authentic);
  }
}

TEST_CASE("a refusal is believed with the psk and without, an acceptance only with it") {
  Fixture f;
  const SecretKey psk = generate_secret_key(f.rng);
  InitiatorParams p = f.params();
  p.psk = &psk;
  Initiator initiator = f.begin(p);
  const wire::RefusedPayload removed{wire::RefusalReason::removed};
  for (const SecretKey* with : {&std::as_const(f.zero), &psk}) {
    PendingHandshake pending = f.receive(initiator.datagram());
    const auto response = f.answer(pending, removed, *with);
    CHECK_FALSE(response.keys);
    Initiator fresh = f.begin(p);
    PendingHandshake again = f.receive(fresh.datagram());
    auto done = fresh.consume_response(f.answer(again, removed, *with).datagram, make_cipher);
    REQUIRE(done);
    CHECK_FALSE(done->keys);
    const auto* refused = std::get_if<wire::RefusedPayload>(&done->payload);
    REQUIRE(refused);
    CHECK(refused->reason == wire::RefusalReason::removed);
  }
  PendingHandshake weak = f.receive(initiator.datagram()), strong = f.receive(initiator.datagram());
  const auto without = f.answer(weak, accept(), f.zero), with = f.answer(strong, accept(), psk);
  CHECK_FALSE(initiator.consume_response(without.datagram, make_cipher));
  CHECK(initiator.consume_response(with.datagram, make_cipher));  // still awaited
}

TEST_CASE("enrolment by an invite token") {
  Fixture f;
  const auto token = counting<16>(0x40), other_token = counting<16>(0x41);
  InitiatorParams p = f.params();
  p.token = token;
  Initiator initiator = f.begin(p);
  PendingHandshake pending = f.receive(initiator.datagram());
  REQUIRE(pending.payload().enrolment);
  CHECK(pending.payload().enrolment->token_id == token_id(token));
  CHECK(pending.proves(token_verifier(token)));
  CHECK_FALSE(pending.proves(token_verifier(other_token)));

  const auto response = f.answer(pending, accept(), token_psk(token));
  CHECK(initiator.consume_response(response.datagram, make_cipher));

  SECTION("the proof does not move to another handshake") {
    InitiatorParams thief = f.params();
    Initiator i = f.begin(thief);
    PendingHandshake q = f.receive(i.datagram());
    CHECK_FALSE(q.proves(token_verifier(token)));  // none at all

    // The thief copies id and proof from a message he could read.
    NoiseInitiator noise(text_bytes(kPrologue), f.client, f.server.public_key());
    Bytes d(wire::kInitiationSize);
    const MutableByteSpan out = d;
    wire::write_initiation_prefix(SessionIndex{1}, out);
    REQUIRE(noise.write_message1_keys(f.rng, out.subspan(8, kNoiseMessage1Keys)));
    wire::InitiationPayload payload = pending.payload();
    Bytes plain(wire::kInitiationPayload);
    REQUIRE(wire::encode(payload, plain));
    noise.write_message1_payload(plain, out.subspan(8 + kNoiseMessage1Keys, plain.size() + kNoiseTag));
    PendingHandshake stolen = f.receive(with_fresh_mac1(d, f.server.public_key()));
    REQUIRE(stolen.payload().enrolment);
    CHECK(stolen.payload().enrolment->token_id == token_id(token));
    CHECK_FALSE(stolen.proves(token_verifier(token)));
  }
  SECTION("an answer by a server that does not know the token") {
    Initiator i = f.begin(p);
    PendingHandshake q = f.receive(i.datagram());
    const auto r = f.answer(q, accept(), token_psk(other_token));
    CHECK_FALSE(i.consume_response(r.datagram, make_cipher));
  }
}

TEST_CASE("only a cipher that was offered, and exactly one") {
  Fixture f;
  InitiatorParams p = f.params();
  p.payload.ciphers = kCipherChaCha20;
  for (int cipher = 0; cipher < 256; ++cipher) {
    if (cipher == kCipherChaCha20) continue;
    Initiator i = f.begin(p);
    PendingHandshake q = f.receive(i.datagram());
    auto r = q.respond(accept(static_cast<uint8_t>(cipher)), f.zero, SessionIndex{1}, f.rng, make_cipher);
    REQUIRE_FALSE(r);
    CHECK(r.why() == HandshakeReject::cipher);
  }

  SECTION("an initiator refuses what it did not offer, whatever the responder says") {
    // A responder that ignores the offer, built by hand.
    for (int cipher : {0, 2, 3, 4, 8}) {
      Initiator i = f.begin(p);
      const auto view = wire::parse_initiation(i.datagram());
      NoiseResponder noise(text_bytes(kPrologue), f.server.public_key());
      Bytes plain1(wire::kInitiationPayload);
      REQUIRE(noise.read_message1(f.server, view->noise, plain1));
      const Bytes plain = wire::encode(wire::ResponsePayload(accept(static_cast<uint8_t>(cipher))));
      Bytes d(wire::kResponseOverhead + plain.size());
      wire::write_response_prefix(SessionIndex{1}, view->sender, d);
      REQUIRE(noise.write_message2(f.rng, f.zero, plain, MutableByteSpan(d).subspan(12, 32 + plain.size() + 16)));
      auto done = i.consume_response(with_fresh_mac1(d, f.client.public_key()), make_null_cipher);
      REQUIRE_FALSE(done);
      CHECK((done.why() == HandshakeReject::cipher || done.why() == HandshakeReject::payload));
    }
  }
  SECTION("a factory without it") {
    Initiator i = f.begin(p);
    PendingHandshake q = f.receive(i.datagram());
    const CipherFactory none = [](uint8_t, const SecretKey&) { return std::unique_ptr<PacketCipher>(); };
    CHECK(q.respond(accept(), f.zero, SessionIndex{1}, f.rng, none).why() == HandshakeReject::cipher);
  }
}

TEST_CASE("a replayed initiation opens again, but to other keys") {
  Fixture f;
  Initiator initiator = f.begin(f.params());
  PendingHandshake first = f.receive(initiator.datagram()), second = f.receive(initiator.datagram());
  auto a = f.answer(first, accept(), f.zero), b = f.answer(second, accept(), f.zero);
  CHECK(a.datagram != b.datagram);
  CHECK(a.keys->iv_send != b.keys->iv_send);
  // The initiator completes with the first answer; the second no longer fits.
  REQUIRE(initiator.consume_response(a.datagram, make_cipher));
  CHECK_FALSE(initiator.consume_response(b.datagram, make_cipher));
  CHECK_FALSE(initiator.consume_response(a.datagram, make_cipher));
}

TEST_CASE("a pending handshake can be answered once") {
  Fixture f;
  Initiator initiator = f.begin(f.params());
  PendingHandshake pending = f.receive(initiator.datagram());
  f.answer(pending, accept(), f.zero);
  CHECK_FALSE(pending.respond(accept(), f.zero, SessionIndex{2}, f.rng, make_cipher));
}

TEST_CASE("a pending handshake and its keys can be moved and stored") {
  Fixture f;
  Initiator initiator = f.begin(f.params());
  std::vector<PendingHandshake> waiting;
  for (int i = 0; i < 4; ++i) waiting.push_back(f.receive(initiator.datagram()));
  waiting.erase(waiting.begin(), waiting.begin() + 3);
  auto response = f.answer(waiting.front(), accept(), f.zero);
  std::vector<Initiator> attempts;
  attempts.push_back(std::move(initiator));
  auto done = attempts.front().consume_response(response.datagram, make_cipher);
  REQUIRE(done);
  SessionKeys stored = std::move(*done->keys);
  check_direction(stored, *response.keys);
}

TEST_CASE("handshakes and session keys leave no secret behind") {
  const size_t sizes[] = {32, 128, 512};
  std::vector<size_t> before;
  for (size_t s : sizes) before.push_back(SecretSlab::shared(s).in_use());
  {
    Fixture f;
    const auto token = counting<16>();
    InitiatorParams p = f.params();
    p.token = token;
    Initiator initiator = f.begin(p);
    PendingHandshake pending = f.receive(initiator.datagram());
    auto response =
        f.answer(pending, accept(choose_cipher(supported_ciphers(), supported_ciphers())), token_psk(token));
    auto done = initiator.consume_response(response.datagram, make_cipher);
    REQUIRE(done);
    CHECK(SecretSlab::shared(32).in_use() > before[0]);
  }
  for (size_t i = 0; i < before.size(); ++i) CHECK(SecretSlab::shared(sizes[i]).in_use() == before[i]);
}
