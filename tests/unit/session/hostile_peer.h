// A peer with a genuine handshake and bad intentions: a client that sends a server whatever frames a test writes, on
// whatever path, and answers challenges so that its addresses are proved.
#pragma once

#include <functional>
#include <map>

#include "common/crypto/handshake.h"
#include "common/wire/datagram.h"
#include "tests/unit/session/test_net.h"

namespace hawser::test {

class HostilePeer {
 public:
  explicit HostilePeer(size_t pool_bytes = 8u << 20)
      : rng_(5), client_keys_(StaticKeyPair::generate(rng_)), server_keys_(StaticKeyPair::generate(rng_)) {
    ServerConfig c;
    c.ciphers = wire::kCipherChaCha20;
    c.cipher_factory = make_null_cipher;
    c.packet_pool_bytes = pool_bytes;
    c.static_key = server_keys_.clone();
    c.server_v4 = server_ip;
    server = Endpoint::make_server(std::move(c), rng_);
    shake_hands();
    send(0, [](wire::FrameWriter& w) { w.write(wire::PingFrame{}); });
    run(Duration::millis(50));
  }

  // A datagram on that path with the frames that `write` writes.
  template <typename Write>
  void send(uint32_t path, Write&& write) {
    std::vector<uint8_t> plaintext(1400);
    wire::FrameWriter w{MutableByteSpan(plaintext)};
    write(w);
    plaintext.resize(w.size());
    const PacketNumber pn{next_[path]};
    next_[path] += 1 + skipped_numbers;
    std::vector<uint8_t> d(wire::kDataHeaderSize + plaintext.size() + wire::kTagSize);
    const MutableByteSpan out(d);
    wire::write_data_header({server_index_, static_cast<uint8_t>(path), static_cast<uint32_t>(pn.value & 0xffffff)},
                            out);
    const auto nonce = make_nonce(keys_->iv_send, PathId{path}, pn);
    REQUIRE(nonce);
    REQUIRE(keys_->send->seal(out.subspan(wire::kDataHeaderSize), plaintext, out.first(wire::kDataHeaderSize), *nonce));
    receive(d, path);
    drain();
  }
  // One inner packet with its place in a lane.
  void send_data(uint16_t lane, uint32_t seq, size_t size = 1000, bool unordered = false) {
    const auto packet = make_packet(client_ip, server_ip, seq, size);
    send(0, [&](wire::FrameWriter& w) {
      wire::DataFrame f;
      f.lane = LaneId{lane};
      f.packet_class.unordered = unordered;
      f.seq24 = seq & 0xffffff;
      f.payload = packet;
      REQUIRE(w.data(f));
    });
  }
  void acknowledge(uint32_t path, uint64_t first, uint64_t last, Duration ack_delay, Time received_at) {
    send(path, [&](wire::FrameWriter& w) {
      wire::AckFrame a;
      a.path = PathId{path};
      a.ack_delay = ack_delay;
      a.largest_received_at = received_at;
      a.range_count = 1;
      a.ranges[0] = {PacketNumber{first}, PacketNumber{last}};
      REQUIRE(w.write(a));
    });
  }
  // An inner packet for the client comes from the server's TUN.
  void send_to_client(uint32_t marker) {
    const auto bytes = make_packet(server_ip, client_ip, marker);
    Packet p = server->pool().copy_of(bytes);
    if (p) server->on_packets(std::span(&p, 1), now);
    drain();
  }

  // Virtual time forward; an engine that asks to come back at a moment that has passed, again and again, fails the
  // test.
  void run(Duration d) {
    const Time end = now + d;
    int same = 0;
    drain();
    for (Time next = server->next_timeout(); next <= end; next = server->next_timeout()) {
      same = next <= now ? same + 1 : 0;
      REQUIRE(same < 200);
      now = std::max(now, next);
      server->on_timer(now);
      drain();
    }
    now = end;
  }

  SessionInfo session() const {
    const auto all = server->sessions(now);
    REQUIRE(all.size() == 1);
    return all[0];
  }
  uint64_t dropped(DropReason r) const { return session().drops[r]; }
  uint64_t largest_seen(uint32_t path) const { return largest_.contains(path) ? largest_.at(path) : 0; }

  IpAddress client_ip = IpAddress::v4(10, 9, 0, 2), server_ip = IpAddress::v4(10, 9, 0, 1);
  std::unique_ptr<Endpoint> server;
  Time now{1'000'000'000};
  std::vector<uint32_t> delivered;  // markers of what left for the server's TUN
  std::vector<Time> delivered_at;
  uint64_t data_to_client = 0, datagrams_to_client = 0, control_acks = 0;
  bool acknowledges = false;  // honestly, each datagram at once
  bool answers_challenges = true;
  uint64_t skipped_numbers = 0;  // after each datagram

 private:
  void shake_hands() {
    InitiatorParams params;
    params.local = &client_keys_;
    params.responder = server_keys_.public_key();
    params.own_index = kIndex;
    params.payload.session_nonce = 1;
    params.payload.ciphers = wire::kCipherChaCha20;
    auto initiator = Initiator::begin(params, rng_);
    REQUIRE(initiator);
    const ByteSpan initiation = initiator->datagram();
    receive({initiation.begin(), initiation.end()}, 0);
    Event event;
    while (server->poll_event(event)) {
      const auto* lookup = std::get_if<RegistryLookup>(&event);
      if (!lookup) continue;
      RegistryAnswer a;
      a.id = lookup->id;
      a.verdict = RegistryAnswer::Verdict::accepted;
      a.user = UserId{1};
      a.name = "laptop";
      a.inner_v4 = client_ip;
      server->on_registry_answer(a, now);
    }
    TransmitBatch batch;
    REQUIRE(server->poll_transmit(batch, now));
    auto done = initiator->consume_response(batch.datagram(0), make_null_cipher);
    REQUIRE(done);
    REQUIRE(done->keys);
    keys_ = std::move(*done->keys);
    server_index_ = done->peer_index;
  }

  UdpTuple address(uint32_t path) const {
    return {LinkId{0},
            {IpAddress::v4(203, 0, 113, 1), 443, 0},
            {IpAddress::v4(192, 0, 2, 7), static_cast<uint16_t>(1000 + path), 0}};
  }
  void receive(std::vector<uint8_t> bytes, uint32_t path) {
    ReceivedDatagram d;
    d.bytes = bytes;
    d.from = address(path);
    d.received_at = now;
    server->on_datagrams(std::span(&d, 1), now);
    take();
  }
  void take() {
    DeliverBatch batch;
    while (server->poll_deliver(batch)) {
      for (ByteSpan p : batch.packets) {
        delivered.push_back(marker_of(p));
        delivered_at.push_back(now);
      }
    }
  }
  void drain() {
    Event event;
    while (server->poll_event(event)) {
    }
    TransmitBatch batch;
    std::vector<std::pair<uint32_t, std::array<uint8_t, 8>>> challenges;
    std::vector<std::pair<uint32_t, uint64_t>> to_acknowledge;
    while (server->poll_transmit(batch, now)) {
      for (size_t i = 0; i < batch.count; ++i) on_sent(batch.datagram(i), challenges, to_acknowledge);
    }
    take();
    for (const auto& [path, data] : challenges) {
      send(path, [&, bytes = data](wire::FrameWriter& w) { w.write(wire::PathResponseFrame{bytes}); });
    }
    for (const auto& [path, pn] : to_acknowledge) acknowledge(path, pn, pn, Duration{}, now);
  }
  void on_sent(ByteSpan datagram, std::vector<std::pair<uint32_t, std::array<uint8_t, 8>>>& challenges,
               std::vector<std::pair<uint32_t, uint64_t>>& to_acknowledge) {
    ++datagrams_to_client;
    const auto h = wire::parse_data_header(datagram);
    if (!h || h->receiver != kIndex) return;
    const uint32_t path = h->path_low8;
    const uint64_t expected = largest_.contains(path) ? largest_[path] + 1 : 0;
    const PacketNumber pn = wire::widen_packet_number(h->packet_number_low24, PacketNumber{expected});
    largest_[path] = pn.value;
    std::vector<uint8_t> d(datagram.begin(), datagram.end());
    const auto nonce = make_nonce(keys_->iv_receive, PathId{path}, pn);
    const MutableByteSpan sealed = MutableByteSpan(d).subspan(wire::kDataHeaderSize);
    REQUIRE(nonce);
    REQUIRE(keys_->receive->open(sealed, ByteSpan(d).first(wire::kDataHeaderSize), *nonce));
    wire::FrameReader reader(sealed.first(sealed.size() - wire::kTagSize));
    wire::Frame frame;
    bool eliciting = false;
    while (reader.next(frame) == wire::FrameReader::Next::frame) {
      eliciting = eliciting || wire::is_ack_eliciting(frame);
      if (std::holds_alternative<wire::DataFrame>(frame)) ++data_to_client;
      if (std::holds_alternative<wire::ControlAckFrame>(frame)) ++control_acks;
      const auto* c = std::get_if<wire::PathChallengeFrame>(&frame);
      if (c && answers_challenges) challenges.emplace_back(path, c->data);
    }
    if (eliciting && acknowledges) to_acknowledge.emplace_back(path, pn.value);
  }

  static constexpr SessionIndex kIndex{77};

  SeededRng rng_;
  StaticKeyPair client_keys_, server_keys_;
  std::optional<SessionKeys> keys_;
  SessionIndex server_index_;
  std::map<uint32_t, uint64_t> next_, largest_;
};

}  // namespace hawser::test
