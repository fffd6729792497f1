// What both endpoint targets share: fuzzer bytes as a tape of decisions, keys, inner packets, and the driving of an
// engine in virtual time with a watch for timers that spin and for output that never ends.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "common/crypto/handshake.h"
#include "common/session/endpoint.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/rng.h"

namespace hawser::fuzz {

using Bytes = std::vector<uint8_t>;

// Decisions read off the input; zeros when it is used up.
class Tape {
 public:
  explicit Tape(ByteSpan bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }
  uint8_t u8() {
    if (rest_.empty()) return 0;
    const uint8_t v = rest_[0];
    rest_ = rest_.subspan(1);
    return v;
  }
  uint16_t u16() { return static_cast<uint16_t>(u8() << 8 | u8()); }
  // Up to `max` bytes: a length, then the bytes.
  ByteSpan bytes(size_t max) {
    const size_t wanted = max > 255 ? u16() % (max + 1) : u8() % (max + 1);
    const ByteSpan out = rest_.first(std::min(wanted, rest_.size()));
    rest_ = rest_.subspan(out.size());
    return out;
  }

 private:
  ByteSpan rest_;
};

inline const IpAddress kUserV4 = IpAddress::v4(10, 9, 0, 2);
inline const IpAddress kServerV4 = IpAddress::v4(10, 9, 0, 1);
inline const SocketAddress kServerAddress{IpAddress::v4(203, 0, 113, 7), 443, 0};

// Made once: key generation would be most of a run.
struct Identities {
  StaticKeyPair client, server;
  static const Identities& get() {
    static const Identities identities = [] {
      FUZZ_CHECK(init());
      CountingRng rng(99);
      return Identities{StaticKeyPair::generate(rng), StaticKeyPair::generate(rng)};
    }();
    return identities;
  }
};

inline void set_common(CommonConfig& c) {
  c.cipher_factory = make_null_cipher;
  c.packet_pool_bytes = 8u << 20;
}

inline std::unique_ptr<Endpoint> make_fuzz_server(Rng& rng) {
  ServerConfig c{{}, Identities::get().server.clone(), {}, {}, {}, {}, {}, 100, {}};
  set_common(c);
  c.server_v4 = kServerV4;
  c.endpoints = {kServerAddress};
  return Endpoint::make_server(std::move(c), rng);
}

inline std::unique_ptr<Endpoint> make_fuzz_client(Rng& rng) {
  ClientConfig c{
      {}, Identities::get().client.clone(), Identities::get().server.public_key(), SecretKey(), std::nullopt};
  set_common(c);
  return Endpoint::make_client(std::move(c), rng);
}

// The registry knows one user.
inline void answer_lookup(Endpoint& server, LookupId id, Time now) {
  RegistryAnswer a;
  a.id = id;
  a.verdict = RegistryAnswer::Verdict::accepted;
  a.user = UserId{1};
  a.name = "user";
  a.inner_v4 = kUserV4;
  server.on_registry_answer(a, now);
}

// An inner UDP packet, 28 bytes at least.
inline Bytes inner_packet(const IpAddress& source, const IpAddress& destination, size_t size, uint8_t flow) {
  Bytes p(std::max<size_t>(size, 28));
  p[0] = 0x45;
  p[2] = static_cast<uint8_t>(p.size() >> 8);
  p[3] = static_cast<uint8_t>(p.size());
  p[8] = 64;
  p[9] = 17;
  std::copy_n(source.bytes.begin(), 4, p.begin() + 12);
  std::copy_n(destination.bytes.begin(), 4, p.begin() + 16);
  p[21] = flow;
  p[23] = 53;
  return p;
}

inline void from_tun(Endpoint& e, const Bytes& bytes, Time now) {
  Packet p = e.pool().copy_of(bytes);
  if (p) e.on_packets(std::span(&p, 1), now);
}

// An engine with its receive buffer: deliveries may point into it, so they are taken before the next datagram goes in,
// as endpoint.h asks of every caller.
class Receiver {
 public:
  template <typename OnPacket>
  void receive(Endpoint& e, Bytes bytes, const UdpTuple& from, uint8_t ecn, Time now, OnPacket on_packet) {
    bytes_ = std::move(bytes);
    ReceivedDatagram d{MutableByteSpan(bytes_), from, ecn, now};
    e.on_datagrams(std::span(&d, 1), now);
    take(e, on_packet);
  }
  template <typename OnPacket>
  static void take(Endpoint& e, OnPacket on_packet) {
    DeliverBatch batch;
    while (e.poll_deliver(batch)) {
      for (ByteSpan p : batch.packets) on_packet(p);
    }
  }

 private:
  Bytes bytes_;
};

// An engine asked to come back at a moment that has passed, again and again, spins a core.
class SpinWatch {
 public:
  void on_step(Time now) {
    same_ = now == last_ ? same_ + 1 : 0;
    last_ = now;
    FUZZ_CHECK(same_ < 200);
  }

 private:
  Time last_;
  int same_ = 0;
};

// Runs timers up to `until`, calling `drain(now)` after each. `next()` is the nearest deadline of all engines driven.
template <typename Next, typename Fire, typename Drain>
void run_until(Time& now, Time until, SpinWatch& watch, Next next, Fire fire, Drain drain) {
  drain();
  while (true) {
    const Time t = next();
    if (t > until) break;
    now = std::max(now, t);
    watch.on_step(now);
    fire();
    drain();
  }
  now = std::max(now, until);
}

}  // namespace hawser::fuzz
