// Two engines joined by a wire of constant delay in virtual time: the client sends, the server receives. Nothing here
// allocates once it runs, so that what is counted or measured is the engine's.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "common/session/endpoint.h"

namespace hawser::bench {

class FixedRng final : public Rng {
 public:
  void fill(MutableByteSpan out) override {
    for (uint8_t& b : out) {
      state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
      b = static_cast<uint8_t>(state_ >> 24);
    }
  }

 private:
  uint64_t state_ = 88172645463325252ull;
};

// Neither encrypts nor checks: the engine's own work is what is left.
class FreeCipher final : public PacketCipher {
 public:
  bool seal(MutableByteSpan out, ByteSpan plaintext, ByteSpan, const Nonce&) override {
    if (out.data() != plaintext.data()) std::copy(plaintext.begin(), plaintext.end(), out.begin());
    std::fill(out.end() - kAeadTagSize, out.end(), uint8_t{0});
    return true;
  }
  bool open(MutableByteSpan sealed, ByteSpan, const Nonce&) override { return sealed.size() >= kAeadTagSize; }
};

// Datagrams under way, in order.
class DelayLine {
 public:
  struct Slot {
    Time due;
    size_t size = 0;
  };
  DelayLine() : slots_(kSlots), memory_(kSlots * kRoom) {}
  void push(ByteSpan bytes, Time due) {
    const size_t at = tail_++ % kSlots;
    slots_[at] = {due, bytes.size()};
    std::copy(bytes.begin(), bytes.end(), memory_.begin() + static_cast<ptrdiff_t>(at * kRoom));
  }
  // What is due by `now`, at most 64; valid until pushed over.
  void take(std::vector<ReceivedDatagram>& out, const UdpTuple& from, Time now) {
    out.clear();
    for (; head_ < tail_ && out.size() < 64 && slots_[head_ % kSlots].due <= now; ++head_) {
      const size_t at = head_ % kSlots;
      out.push_back({MutableByteSpan(memory_).subspan(at * kRoom, slots_[at].size), from, 0, now});
    }
  }

 private:
  static constexpr size_t kSlots = 8192, kRoom = 2048;
  std::vector<Slot> slots_;
  std::vector<uint8_t> memory_;
  size_t head_ = 0, tail_ = 0;
};

class EnginePair;
// Everything that one engine does in a step. Never inlined, for callgrind counts what happens below them.
void sender_turn(EnginePair& pair);
void receiver_turn(EnginePair& pair);

class EnginePair {
 public:
  // `size` is the inner packets', bytes.
  EnginePair(size_t size, CipherFactory ciphers) : size_(size), server_keys_(StaticKeyPair::generate(rng_)) {
    StaticKeyPair client_keys = StaticKeyPair::generate(rng_);
    const PublicKey client_key = client_keys.public_key();
    ServerConfig s;
    s.cipher_factory = ciphers;
    s.static_key = server_keys_.clone();
    s.server_v4 = IpAddress::v4(10, 9, 0, 1);
    server = Endpoint::make_server(std::move(s), rng_);
    ClientConfig c;
    c.cipher_factory = ciphers;
    c.static_key = std::move(client_keys);
    c.server_key = server_keys_.public_key();
    client = Endpoint::make_client(std::move(c), rng_);
    datagrams_.reserve(64);
    packets_.reserve(256);
    at_client_ = {LinkId{1}, {IpAddress::v4(192, 0, 2, 1), 1000, 0}, {IpAddress::v4(203, 0, 113, 1), 443, 0}};
    at_server_ = {LinkId{0}, at_client_.remote, at_client_.local};
    LinkUp up;
    up.link = at_client_.link;
    up.local = at_client_.local;
    up.remote = at_client_.remote;
    client->on_path_event(up, now);
    for (int i = 0; i < 100; ++i) {
      step(0);
      for (Event e; server->poll_event(e);) {
        const auto* lookup = std::get_if<RegistryLookup>(&e);
        if (lookup == nullptr) continue;
        RegistryAnswer a;
        a.id = lookup->id;
        a.verdict = lookup->key == client_key ? RegistryAnswer::Verdict::accepted : RegistryAnswer::Verdict::unknown;
        a.user = UserId{1};
        a.inner_v4 = IpAddress::v4(10, 9, 0, 2);
        server->on_registry_answer(a, now);
      }
      for (Event e; client->poll_event(e);) {
      }
    }
  }

  // A millisecond in which the client gets `packets` packets of one UDP flow to send.
  void step(size_t packets) {
    packets_.clear();
    for (size_t i = 0; i < packets; ++i) packets_.push_back(make_packet());
    sender_turn(*this);
    receiver_turn(*this);
    now += Duration::millis(1);
  }

  void client_turn() {
    turn(*client, up_, down_, at_client_);
    if (!packets_.empty()) client->on_packets(packets_, now);
    transmit(*client, up_);
  }
  void server_turn() {
    turn(*server, down_, up_, at_server_);
    transmit(*server, down_);
  }

  std::unique_ptr<Endpoint> client, server;
  Time now{1'000'000'000};
  uint64_t delivered = 0;

 private:
  Packet make_packet() {
    Packet p = client->pool().allocate();
    if (!p) return p;
    p.resize(size_);
    const MutableByteSpan b = p.writable();
    std::fill(b.begin(), b.begin() + 28, uint8_t{0});
    b[0] = 0x45;
    b[2] = static_cast<uint8_t>(size_ >> 8);
    b[3] = static_cast<uint8_t>(size_);
    b[8] = 64;
    b[9] = 17;
    b[12] = b[16] = 10;
    b[13] = b[17] = 9;
    b[15] = 2;
    b[19] = 1;
    b[20] = b[22] = 0x13;  // port 5001, both ways
    b[21] = b[23] = 0x89;
    return p;
  }
  void turn(Endpoint& e, DelayLine& out, DelayLine& in, const UdpTuple& from) {
    do {
      in.take(datagrams_, from, now);
      if (!datagrams_.empty()) e.on_datagrams(datagrams_, now);
      while (e.poll_deliver(delivered_)) delivered += delivered_.packets.size();
    } while (!datagrams_.empty());
    if (e.next_timeout() <= now) e.on_timer(now);
    while (e.poll_deliver(delivered_)) delivered += delivered_.packets.size();
    transmit(e, out);
  }
  void transmit(Endpoint& e, DelayLine& out) {
    while (e.poll_transmit(batch_, now)) {
      for (size_t i = 0; i < batch_.count; ++i) out.push(batch_.datagram(i), now + Duration::millis(2));
    }
  }

  const size_t size_;
  FixedRng rng_;
  StaticKeyPair server_keys_;
  UdpTuple at_client_, at_server_;
  DelayLine up_, down_;
  std::vector<Packet> packets_;
  std::vector<ReceivedDatagram> datagrams_;
  DeliverBatch delivered_;
  TransmitBatch batch_;
};

[[gnu::noinline]] inline void sender_turn(EnginePair& pair) {
  pair.client_turn();
}
[[gnu::noinline]] inline void receiver_turn(EnginePair& pair) {
  pair.server_turn();
}

}  // namespace hawser::bench
