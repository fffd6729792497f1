// The keyed vectors of common/wire/vectors.txt: nonce and AEAD of data datagrams, token derivations, and one whole
// enrolling handshake with its cookie. They were made by another implementation, from PROTOCOL.md alone.
#include <catch2/catch.hpp>

#include "common/crypto/cipher.h"
#include "common/crypto/cookie.h"
#include "common/crypto/handshake.h"
#include "common/crypto/noise.h"
#include "tests/unit/wire/support.h"

namespace hawser {
namespace {

using wire::test::Bytes;
using wire::test::from_hex;
using wire::test::to_hex;

// The vectors below one prefix.
class Vectors {
 public:
  explicit Vectors(std::string prefix) : prefix_(std::move(prefix)) {}

  const std::string& hex(const std::string& name) const {
    static const auto all = wire::test::read_vectors(wire::test::project_root() + "/common/wire/vectors.txt");
    return all.at(prefix_ + name);
  }
  Bytes bytes(const std::string& name) const { return from_hex(hex(name)); }
  uint64_t number(const std::string& name) const { return std::stoull(hex(name), nullptr, 16); }
  SecretKey secret(const std::string& name) const { return SecretKey(std::span<const uint8_t, 32>(bytes(name))); }
  Iv iv(const std::string& name) const {
    Iv out{};
    const Bytes b = bytes(name);
    std::copy_n(b.begin(), out.size(), out.begin());
    return out;
  }

 private:
  std::string prefix_;
};

// Gives out the bytes it was made of, once.
class FixedRng final : public Rng {
 public:
  explicit FixedRng(Bytes bytes) : bytes_(std::move(bytes)) {}
  void fill(MutableByteSpan out) override {
    REQUIRE(out.size() <= bytes_.size());
    std::copy_n(bytes_.begin(), out.size(), out.begin());
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(out.size()));
  }

 private:
  Bytes bytes_;
};

// Header and sealed plaintext, as PROTOCOL.md says.
Bytes seal_datagram(PacketCipher& cipher, const Iv& iv, SessionIndex receiver, PathId path, PacketNumber number,
                    const Bytes& plaintext) {
  Bytes out(wire::kDataHeaderSize + plaintext.size() + wire::kTagSize);
  wire::write_data_header({receiver, static_cast<uint8_t>(path.value), static_cast<uint32_t>(number.value & 0xffffff)},
                          MutableByteSpan(out));
  const auto nonce = make_nonce(iv, path, number);
  REQUIRE(nonce);
  const ByteSpan header = ByteSpan(out).first(wire::kDataHeaderSize);
  REQUIRE(cipher.seal(MutableByteSpan(out).subspan(wire::kDataHeaderSize), plaintext, header, *nonce));
  return out;
}

// What an enrolling client and a server make of the handshake's inputs.
struct Handshake {
  Vectors v{"handshake."};
  StaticKeyPair client = StaticKeyPair::from_secret(v.secret("i.static_secret"));
  StaticKeyPair server = StaticKeyPair::from_secret(v.secret("r.static_secret"));
  SessionIndex client_index{static_cast<uint32_t>(v.number("i.index"))};
  SessionIndex server_index{static_cast<uint32_t>(v.number("r.index"))};
  Bytes token = Vectors("token.").bytes("token");
  Responder responder{server};

  Initiator begin() const {
    InitiatorParams params;
    params.local = &client;
    params.responder = server.public_key();
    params.own_index = client_index;
    params.payload.session_nonce = 0x1122334455667788;
    params.payload.ciphers = wire::kCipherChaCha20 | wire::kCipherAes256Gcm;
    params.token = token;
    FixedRng rng(v.bytes("i.ephemeral_secret"));
    auto initiator = Initiator::begin(params, rng);
    REQUIRE(initiator);
    return std::move(*initiator);
  }
};

TEST_CASE("sealed data datagrams are those of the document, for both ciphers") {
  REQUIRE(init());
  const std::pair<const char*, uint8_t> ciphers[] = {{"chacha20", wire::kCipherChaCha20},
                                                     {"aes256gcm", wire::kCipherAes256Gcm}};
  for (const auto& [name, bit] : ciphers) {
    CAPTURE(name);
    const Vectors v(std::string("datagram.") + name + ".");
    const PathId path{static_cast<uint32_t>(v.number("path"))};
    const PacketNumber number{v.number("packet_number")};
    const auto nonce = make_nonce(v.iv("iv"), path, number);
    REQUIRE(nonce);
    CHECK(to_hex(*nonce) == v.hex("nonce"));
    if ((supported_ciphers() & bit) == 0) {
      WARN("SKIPPED: this processor has no instructions for " << name);
      continue;
    }
    const auto cipher = make_cipher(bit, v.secret("key"));
    REQUIRE(cipher);
    const SessionIndex receiver{static_cast<uint32_t>(v.number("receiver"))};
    Bytes datagram = seal_datagram(*cipher, v.iv("iv"), receiver, path, number, v.bytes("plaintext"));
    CHECK(to_hex(datagram) == v.hex("bytes"));
    CHECK(to_hex(ByteSpan(datagram).first(wire::kDataHeaderSize)) == v.hex("header"));

    // And back: what a receiver does, from the bytes alone.
    const auto h = wire::parse_data_header(ByteSpan(datagram));
    REQUIRE(h);
    CHECK(wire::widen_packet_number(h->packet_number_low24, PacketNumber{number.value - 7}) == number);
    const MutableByteSpan sealed = MutableByteSpan(datagram).subspan(wire::kDataHeaderSize);
    REQUIRE(cipher->open(sealed, ByteSpan(datagram).first(wire::kDataHeaderSize), *nonce));
    CHECK(to_hex(sealed.first(sealed.size() - wire::kTagSize)) == v.hex("plaintext"));
  }
}

TEST_CASE("a token's id, verifier and psk are those of the document") {
  const Vectors v("token.");
  const Bytes token = v.bytes("token");
  CHECK(to_hex(token_id(token)) == v.hex("id"));
  CHECK(to_hex(token_verifier(token).bytes()) == v.hex("verifier"));
  CHECK(to_hex(token_psk(token).bytes()) == v.hex("psk"));
}

TEST_CASE("the handshake's keys, macs and hashes are those of the document") {
  REQUIRE(init());
  const Handshake hs;
  const Vectors& v = hs.v;
  CHECK(to_hex(ByteSpan(reinterpret_cast<const uint8_t*>(kPrologue.data()), kPrologue.size())) == v.hex("prologue"));
  CHECK(to_hex(hs.client.public_key().bytes) == v.hex("i.static_public"));
  CHECK(to_hex(hs.server.public_key().bytes) == v.hex("r.static_public"));
  CHECK(to_hex(mac1_key(hs.server.public_key().bytes)) == v.hex("mac1_key_of_r"));
  CHECK(to_hex(mac1_key(hs.client.public_key().bytes)) == v.hex("mac1_key_of_i"));
  CHECK(v.hex("psk") == Vectors("token.").hex("psk"));

  // Step by step through the Noise layer, where the hashes and the split can be seen.
  NoiseInitiator noise(v.bytes("prologue"), hs.client, hs.server.public_key());
  FixedRng rng(v.bytes("i.ephemeral_secret"));
  Bytes keys(kNoiseMessage1Keys);
  REQUIRE(noise.write_message1_keys(rng, MutableByteSpan(keys)));
  CHECK(to_hex(noise.hash()) == v.hex("binding_hash"));
  CHECK(to_hex(enrolment_proof(token_verifier(hs.token), noise.hash())) == v.hex("enrolment_proof"));
  Bytes payload = v.bytes("initiation_payload_before_padding");
  payload.resize(wire::kInitiationPayload);
  Bytes sealed(payload.size() + kNoiseTag);
  noise.write_message1_payload(payload, MutableByteSpan(sealed));
  CHECK(v.hex("initiation").substr(2 * wire::kHandshakePrefix, 2 * keys.size()) == to_hex(keys));

  const Bytes response = v.bytes("response");
  const auto view = wire::parse_response(ByteSpan(response));
  REQUIRE(view);
  Bytes accept(view->noise.size() - kNoiseMessage2Keys - kNoiseTag);
  REQUIRE(noise.read_message2(view->noise, v.secret("psk"), MutableByteSpan(accept)));
  CHECK(to_hex(accept) == v.hex("accept_payload"));
  CHECK(to_hex(noise.hash()) == v.hex("final_hash"));
  const NoiseSplit split = noise.split();
  CHECK(to_hex(split.to_responder.bytes()) == v.hex("split_i_to_r"));
  CHECK(to_hex(split.to_initiator.bytes()) == v.hex("split_r_to_i"));
  const DataKey there = derive_data_key(split.to_responder), back = derive_data_key(split.to_initiator);
  CHECK(to_hex(there.key.bytes()) == v.hex("key_i_to_r"));
  CHECK(to_hex(there.iv) == v.hex("iv_i_to_r"));
  CHECK(to_hex(back.key.bytes()) == v.hex("key_r_to_i"));
  CHECK(to_hex(back.iv) == v.hex("iv_r_to_i"));
}

TEST_CASE("an enrolling handshake and its key confirmation are those of the document, datagram by datagram") {
  REQUIRE(init());
  const Handshake hs;
  const Vectors& v = hs.v;
  const Vectors confirm("confirm.");

  Initiator initiator = hs.begin();
  CHECK(to_hex(initiator.datagram()) == v.hex("initiation"));

  const Bytes initiation = v.bytes("initiation");
  auto checked = hs.responder.check_mac1(initiation);
  REQUIRE(checked);
  CHECK(to_hex((*checked).mac1) == v.hex("initiation_mac1"));
  auto pending = hs.responder.open(*checked);
  REQUIRE(pending);
  CHECK(pending->initiator() == hs.client.public_key());
  CHECK(pending->payload().session_nonce == 0x1122334455667788);
  REQUIRE(pending->payload().enrolment);
  CHECK(pending->payload().enrolment->token_id == token_id(hs.token));
  CHECK(pending->proves(token_verifier(hs.token)));

  const auto payload = wire::decode_response_payload(v.bytes("accept_payload"));
  REQUIRE(payload);
  CHECK(to_hex(wire::encode(*payload)) == v.hex("accept_payload"));
  FixedRng server_rng(v.bytes("r.ephemeral_secret"));
  auto response = pending->respond(*payload, v.secret("psk"), hs.server_index, server_rng, make_cipher);
  REQUIRE(response);
  CHECK(to_hex(response->datagram) == v.hex("response"));
  REQUIRE(response->keys);

  auto completed = initiator.consume_response(v.bytes("response"), make_cipher);
  REQUIRE(completed);
  CHECK(completed->peer_index == hs.server_index);
  REQUIRE(completed->keys);
  CHECK(to_hex(seal_datagram(*completed->keys->send, completed->keys->iv_send, hs.server_index, PathId{0},
                             PacketNumber{0}, confirm.bytes("i_plaintext"))) == confirm.hex("i_datagram"));
  CHECK(to_hex(seal_datagram(*response->keys->send, response->keys->iv_send, hs.client_index, PathId{0},
                             PacketNumber{0}, confirm.bytes("r_plaintext"))) == confirm.hex("r_datagram"));
}

TEST_CASE("the accept payload says what the document says") {
  const auto payload = wire::decode_response_payload(Vectors("handshake.").bytes("accept_payload"));
  REQUIRE(payload);
  const auto& p = std::get<wire::AcceptPayload>(*payload);
  CHECK(p.session_nonce == 0x99aabbccddeeff00);
  CHECK(p.cipher == wire::kCipherChaCha20);
  CHECK(p.mtu == 1400);
  CHECK(p.inner_v4.to_string() == "10.9.0.2");
  CHECK(p.inner_v6.to_string() == "fd00:9::2");
  CHECK(p.server_v4.to_string() == "10.9.0.1");
  CHECK(p.server_v6.to_string() == "fd00:9::1");
  CHECK(p.observed.to_string() == "192.0.2.7:54321");
  REQUIRE(p.endpoints.size() == 2);
  CHECK(p.endpoints[0].to_string() == "203.0.113.7:443");
  CHECK(p.endpoints[1].to_string() == "[2001:db8::7]:443");
  REQUIRE(p.routes.size() == 1);
  CHECK(p.routes[0].to_string() == "0.0.0.0/0");
  REQUIRE(p.dns.size() == 1);
  CHECK(p.dns[0].to_string() == "9.9.9.9");

  const auto refusal = wire::decode_response_payload(Vectors("refusal.").bytes("payload"));
  REQUIRE(refusal);
  CHECK(std::get<wire::RefusedPayload>(*refusal).reason == wire::RefusalReason::removed);
}

TEST_CASE("cookie reply and mac2 are those of the document") {
  REQUIRE(init());
  const Handshake hs;
  const Vectors v("cookie.");
  CHECK(to_hex(cookie_reply_key(hs.server.public_key().bytes)) == v.hex("reply_key_of_r"));
  const auto cookie = hs.begin().open_cookie(v.bytes("reply"));
  REQUIRE(cookie);
  CHECK(to_hex(*cookie) == v.hex("cookie"));
  Bytes initiation = hs.v.bytes("initiation");
  set_mac2(MutableByteSpan(initiation), *cookie);
  CHECK(to_hex(ByteSpan(initiation).last(wire::kMacSize)) == v.hex("initiation_mac2"));
}

}  // namespace
}  // namespace hawser
