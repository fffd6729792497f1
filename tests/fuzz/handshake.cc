// Both ends of the handshake against a peer that knows the public keys but is not to be trusted: the harness makes
// every mac1 right, so that the input reaches the curve, the payloads and the cookie, instead of dying at the first
// check. Input: one byte of choice, then a datagram, or (choice 2) a payload that a genuine peer seals.
#include "common/crypto/handshake.h"

#include <vector>

#include "tests/fuzz/check.h"
#include "tests/fuzz/rng.h"

using namespace hawser;

namespace {

struct World {
  World() {
    FUZZ_CHECK(init());
    fuzz::CountingRng rng;
    client.emplace(StaticKeyPair::generate(rng));
    server.emplace(StaticKeyPair::generate(rng));
    responder.emplace(*server);
  }
  std::optional<StaticKeyPair> client, server;
  std::optional<Responder> responder;
  SecretKey psk;
};

World& world() {
  static World w;
  return w;
}

void make_mac1(MutableByteSpan datagram, const PublicKey& receiver) {
  if (datagram.size() < 2 * wire::kMacSize) return;
  const size_t covered = datagram.size() - 2 * wire::kMacSize;
  const Bytes16 mac = mac16(mac1_key(receiver.bytes), ByteSpan(datagram).first(covered));
  std::copy(mac.begin(), mac.end(), datagram.begin() + static_cast<std::ptrdiff_t>(covered));
}

Initiator begin(uint64_t seed) {
  InitiatorParams params;
  params.local = &*world().client;
  params.responder = world().server->public_key();
  params.own_index = SessionIndex{7};
  fuzz::CountingRng rng(seed);
  auto initiator = Initiator::begin(params, rng);
  FUZZ_CHECK(initiator.has_value());
  return std::move(*initiator);
}

void to_responder(std::vector<uint8_t> datagram) {
  make_mac1(datagram, world().server->public_key());
  auto view = world().responder->check_mac1(datagram);
  if (!view) return;
  fuzz::CountingRng rng(3);
  CookieIssuer issuer(world().server->public_key(), rng, Time{1});
  const SocketAddress source{IpAddress::v4(192, 0, 2, 1), 1234, 0};
  FUZZ_CHECK(!issuer.verify_mac2(*view, source, Time{1}));
  FUZZ_CHECK(issuer.reply(*view, source, Time{1}).size() < datagram.size());
  auto pending = world().responder->open(*view);
  if (!pending) return;
  // Only the client's own bytes open; they carry no enrolment, whatever the input says.
  FUZZ_CHECK(pending->initiator() == world().client->public_key());
  auto response = pending->respond(wire::RefusedPayload{}, world().psk, SessionIndex{9}, rng, make_cipher);
  FUZZ_CHECK(response && !response->keys && response->datagram.size() <= datagram.size());
}

void to_initiator(std::vector<uint8_t> datagram) {
  Initiator initiator = begin(11);
  make_mac1(datagram, world().client->public_key());
  FUZZ_CHECK(!initiator.consume_response(datagram, make_cipher));  // no input knows the server's secret
  FUZZ_CHECK(!initiator.open_cookie(datagram));
}

// A genuine client seals whatever payload the input makes of itself.
void sealed_payload(ByteSpan payload) {
  std::array<uint8_t, wire::kInitiationPayload> plain{};
  std::copy_n(payload.begin(), std::min(payload.size(), plain.size()), plain.begin());
  std::vector<uint8_t> datagram(wire::kInitiationSize);
  const MutableByteSpan out(datagram);
  wire::write_initiation_prefix(SessionIndex{7}, out);
  const ByteSpan prologue(reinterpret_cast<const uint8_t*>(kPrologue.data()), kPrologue.size());
  NoiseInitiator noise(prologue, *world().client, world().server->public_key());
  fuzz::CountingRng rng(5);
  FUZZ_CHECK(noise.write_message1_keys(rng, out.subspan(wire::kHandshakePrefix, kNoiseMessage1Keys)));
  noise.write_message1_payload(plain,
                               out.subspan(wire::kHandshakePrefix + kNoiseMessage1Keys, plain.size() + kNoiseTag));
  make_mac1(out, world().server->public_key());
  auto view = world().responder->check_mac1(datagram);
  FUZZ_CHECK(view);
  auto pending = world().responder->open(*view);
  if (!pending) {
    FUZZ_CHECK(pending.why() == HandshakeReject::payload);
    return;
  }
  FUZZ_CHECK(!pending->proves(world().psk));
  wire::AcceptPayload accept;
  accept.mtu = 1400;
  auto response = pending->respond(accept, world().psk, SessionIndex{9}, rng, make_cipher);
  FUZZ_CHECK(static_cast<bool>(response) == ((pending->payload().ciphers & wire::kCipherChaCha20) != 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::vector<uint8_t> rest(data + 1, data + size);
  switch (data[0] % 3) {
    case 0:
      to_responder(rest);
      break;
    case 1:
      to_initiator(rest);
      break;
    default:
      sealed_payload(rest);
      break;
  }
  return 0;
}
