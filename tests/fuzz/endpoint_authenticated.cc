// The whole engine behind the AEAD: the peer has done a genuine handshake and then sends whatever frames the input
// says, on whatever paths, from several addresses. First byte: whether the engine is the server or the client. Claims:
// what the engine sends parses; a server's deliveries carry the user's source address and no unproved address gets more
// than three times what came from there; memory stays bounded; timers do not spin.
#include <map>

#include "common/wire/datagram.h"
#include "tests/fuzz/engine.h"

using namespace hawser;
using namespace hawser::fuzz;

namespace {

constexpr size_t kHosts = 4;
constexpr SessionIndex kPeerIndex{77};
constexpr size_t kMemoryBound = 32u << 20;

class Attack {
 public:
  explicit Attack(bool against_server) : server_(against_server) {
    if (server_) {
      become_client();
    } else {
      become_server();
    }
    send(0, 0, Bytes{0x05}, 0);
    drain();
  }

  void step(Tape& tape) {
    switch (tape.u8() % 16) {
      case 0:
        advance(Duration::millis(tape.u8() * 4));
        break;
      case 1:
        inner(tape);
        break;
      case 2:
        engine_->on_writable(LinkId{1}, tape.u8() & 1, now_);
        break;
      case 3:
        acknowledge(tape.u8() % 8, tape.u8() % 8);
        break;
      case 4:
        answer_challenge(tape);
        break;
      case 5:
        link_event(tape);
        break;
      default: {
        const uint8_t where = tape.u8();
        const uint8_t ahead = tape.u8();
        const ByteSpan plaintext = tape.bytes(1400);
        send(where & 7, where >> 6, {plaintext.begin(), plaintext.end()}, ahead);
      }
    }
    drain();
    for (const SessionInfo& s : engine_->sessions(now_)) FUZZ_CHECK(s.memory_bytes < kMemoryBound);
  }

  void finish() { advance(Duration::seconds(2)); }

 private:
  UdpTuple from_host(size_t host) const {
    if (!server_) return {LinkId{1}, {IpAddress::v4(192, 0, 2, 7), 40'000, 0}, kServerAddress};
    return {LinkId{9}, kServerAddress, {IpAddress::v4(198, 51, 100, static_cast<uint8_t>(host)), 1000, 0}};
  }

  // ---- the handshake, as the other side

  void become_client() {
    engine_ = make_fuzz_server(rng_);
    InitiatorParams params;
    params.local = &Identities::get().client;
    params.responder = Identities::get().server.public_key();
    params.own_index = kPeerIndex;
    params.payload.session_nonce = 1;
    auto initiator = Initiator::begin(params, peer_rng_);
    FUZZ_CHECK(initiator.has_value());
    const ByteSpan initiation = initiator->datagram();
    receive({initiation.begin(), initiation.end()}, from_host(0), 0);
    Event event;
    while (engine_->poll_event(event)) {
      if (const auto* lookup = std::get_if<RegistryLookup>(&event)) answer_lookup(*engine_, lookup->id, now_);
    }
    TransmitBatch batch;
    FUZZ_CHECK(engine_->poll_transmit(batch, now_));
    auto done = initiator->consume_response(batch.datagram(0), make_null_cipher);
    FUZZ_CHECK(done && done->keys);
    keys_ = std::move(*done->keys);
    engine_index_ = done->peer_index;
    proved_[0] = true;  // every copy of the initiation came from here
  }

  void become_server() {
    engine_ = make_fuzz_client(rng_);
    link(1);
    TransmitBatch batch;
    FUZZ_CHECK(engine_->poll_transmit(batch, now_));
    const Responder responder(Identities::get().server);
    auto view = responder.check_mac1(batch.datagram(0));
    FUZZ_CHECK(view);
    auto pending = responder.open(*view);
    FUZZ_CHECK(pending);
    engine_index_ = pending->peer_index();
    wire::AcceptPayload accept;
    accept.session_nonce = 2;
    accept.mtu = 1400;
    accept.inner_v4 = kUserV4;
    auto response = pending->respond(accept, SecretKey(), kPeerIndex, peer_rng_, make_null_cipher);
    FUZZ_CHECK(response && response->keys);
    keys_ = std::move(*response->keys);
    receive(response->datagram, from_host(0), 0);
    drain();
  }

  void link(uint32_t id) {
    LinkUp up;
    up.link = LinkId{id};
    up.local = {IpAddress::v4(192, 0, 2, static_cast<uint8_t>(6 + id)), 40'000, 0};
    up.remote = kServerAddress;
    up.group = id;
    engine_->on_path_event(up, now_);
  }

  // ---- what the input can do

  void send(uint32_t path, size_t host, const Bytes& plaintext, uint8_t ahead) {
    const PacketNumber pn{next_[path] + (ahead > 250 ? uint64_t{1} << (ahead - 236) : ahead & 3)};
    next_[path] = pn.value + 1;
    Bytes d(wire::kDataHeaderSize + plaintext.size() + wire::kTagSize);
    const MutableByteSpan out(d);
    wire::write_data_header({engine_index_, static_cast<uint8_t>(path), static_cast<uint32_t>(pn.value & 0xffffff)},
                            out);
    const auto nonce = make_nonce(keys_->iv_send, PathId{path}, pn);
    FUZZ_CHECK(nonce && keys_->send->seal(out.subspan(wire::kDataHeaderSize), plaintext,
                                          out.first(wire::kDataHeaderSize), *nonce));
    received_from_[host] += d.size();
    receive(std::move(d), from_host(host), path & 3);
  }

  void inner(Tape& tape) {
    const size_t size = tape.u16() % 1401;
    const uint8_t flow = tape.u8();
    const IpAddress& source = server_ ? kServerV4 : kUserV4;
    for (int i = tape.u8() % 16; i >= 0; --i) {
      from_tun(*engine_, inner_packet(source, server_ ? kUserV4 : kServerV4, size, static_cast<uint8_t>(flow + i)),
               now_);
    }
  }

  // An honest ACK of all that came on `path`, sent on `by`.
  void acknowledge(uint32_t path, uint32_t by) {
    const auto it = largest_.find(path);
    if (it == largest_.end()) return;
    wire::AckFrame ack;
    ack.path = PathId{path};
    ack.largest_received_at = now_;
    ack.range_count = 1;
    ack.ranges[0] = {PacketNumber{0}, PacketNumber{it->second}};
    Bytes buffer(100);
    wire::FrameWriter w{MutableByteSpan(buffer)};
    FUZZ_CHECK(w.write(ack));
    buffer.resize(w.size());
    send(by, 0, buffer, 0);
  }

  void answer_challenge(Tape& tape) {
    const size_t host = tape.u8() % kHosts;
    if (!challenge_[host]) return;
    Bytes buffer(9);
    wire::FrameWriter w{MutableByteSpan(buffer)};
    FUZZ_CHECK(w.write(wire::PathResponseFrame{*challenge_[host]}));
    proved_[host] = true;
    send(challenged_path_[host], host, buffer, 0);
  }

  void link_event(Tape& tape) {
    if (server_) return;
    const uint32_t id = 1 + tape.u8() % 4;
    switch (tape.u8() % 4) {
      case 0:
        link(10 + ++links_);
        break;
      case 1:
        engine_->on_path_event(LinkDown{LinkId{tape.u8() & 1 ? id : 10 + tape.u8() % 8u}}, now_);
        break;
      case 2:
        engine_->on_path_event(LinkPriority{LinkId{id}, static_cast<wire::PathPriority>(tape.u8() % 5)}, now_);
        break;
      default:
        engine_->on_path_event(LinkTrouble{LinkId{id}}, now_);
        break;
    }
  }

  // ---- what the engine does

  void on_sent(ByteSpan datagram, const UdpTuple& to) {
    const size_t host = server_ ? to.remote.ip.bytes[3] : 0;
    FUZZ_CHECK(host < kHosts);
    sent_to_[host] += datagram.size();
    if (server_ && !proved_[host]) FUZZ_CHECK(sent_to_[host] <= 3 * received_from_[host]);
    const auto h = wire::parse_data_header(datagram);
    if (!h || h->receiver != kPeerIndex) return;  // a client's next handshake
    const PathId path{h->path_low8};
    const uint64_t expected = largest_.contains(path.value) ? largest_[path.value] + 1 : 0;
    const PacketNumber pn = wire::widen_packet_number(h->packet_number_low24, PacketNumber{expected});
    FUZZ_CHECK(pn.value == expected);  // no number twice, none left out
    largest_[path.value] = pn.value;
    Bytes d(datagram.begin(), datagram.end());
    const auto nonce = make_nonce(keys_->iv_receive, path, pn);
    const MutableByteSpan sealed = MutableByteSpan(d).subspan(wire::kDataHeaderSize);
    FUZZ_CHECK(nonce && keys_->receive->open(sealed, ByteSpan(d).first(wire::kDataHeaderSize), *nonce));
    wire::FrameReader reader(sealed.first(sealed.size() - wire::kTagSize));
    wire::Frame frame;
    wire::FrameReader::Next how;
    while ((how = reader.next(frame)) == wire::FrameReader::Next::frame) {
      if (const auto* c = std::get_if<wire::PathChallengeFrame>(&frame)) {
        challenge_[host] = c->data;
        challenged_path_[host] = path.value;
      }
    }
    FUZZ_CHECK(how == wire::FrameReader::Next::end);
  }

  void drain() {
    Event event;
    while (engine_->poll_event(event)) {
      if (const auto* lookup = std::get_if<RegistryLookup>(&event)) answer_lookup(*engine_, lookup->id, now_);
    }
    TransmitBatch batch;
    for (int bursts = 0; engine_->poll_transmit(batch, now_); ++bursts) {
      FUZZ_CHECK(bursts < 20'000);
      for (size_t i = 0; i < batch.count; ++i) on_sent(batch.datagram(i), batch.to);
    }
    Receiver::take(*engine_, [this](ByteSpan p) { check_delivery(p); });
  }

  void check_delivery(ByteSpan p) const {
    FUZZ_CHECK(p.size() >= 20);
    if (server_) FUZZ_CHECK(p[0] >> 4 == 4 && IpAddress::v4(p.subspan(12, 4)) == kUserV4);
  }

  void receive(Bytes bytes, const UdpTuple& from, uint8_t ecn) {
    receiver_.receive(*engine_, std::move(bytes), from, ecn, now_, [this](ByteSpan p) { check_delivery(p); });
  }

  void advance(Duration d) {
    run_until(
        now_, now_ + d, watch_, [&] { return engine_->next_timeout(); }, [&] { engine_->on_timer(now_); },
        [&] { drain(); });
  }

  const bool server_;
  CountingRng rng_{1}, peer_rng_{2};
  std::unique_ptr<Endpoint> engine_;
  Receiver receiver_;
  std::optional<SessionKeys> keys_;
  SessionIndex engine_index_;
  Time now_{1'000'000'000};
  SpinWatch watch_;
  std::array<uint64_t, 8> next_{};
  std::map<uint32_t, uint64_t> largest_;
  std::array<std::optional<std::array<uint8_t, 8>>, kHosts> challenge_;
  std::array<uint32_t, kHosts> challenged_path_{};
  std::array<bool, kHosts> proved_{};
  std::array<size_t, kHosts> received_from_{}, sent_to_{};
  uint32_t links_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Tape tape({data, size});
  Attack attack(tape.u8() & 1);
  for (int i = 0; i < 128 && !tape.done(); ++i) attack.step(tape);
  attack.finish();
  return 0;
}
