// Two real engines joined by links with rate, delay and loss, in virtual time: the smallest network that session tests need.
#pragma once

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "common/crypto/secret.h"
#include "common/session/endpoint.h"

namespace hawser::test {

class SeededRng final : public Rng {
 public:
  explicit SeededRng(uint64_t seed) : s_(seed * 2 + 1) {}
  void fill(MutableByteSpan out) override {
    for (uint8_t& b : out) {
      s_ ^= s_ << 13, s_ ^= s_ >> 7, s_ ^= s_ << 17;
      b = static_cast<uint8_t>(s_ >> 24);
    }
  }
  double uniform() { return static_cast<double>(next_u64() >> 11) / 9007199254740992.0; }

 private:
  uint64_t s_;
};

// One direction of a link: serialises at `rate`, drops at the tail, then delays.
struct Wire {
  double rate_bps = 0;  // 0: no limit
  Duration delay = Duration::millis(10);
  double loss = 0;
  size_t queue_bytes = 100'000;
  bool blackhole = false;

  Time busy_until{};
  uint64_t sent = 0, dropped = 0;
};
inline Wire wire_of(double rate_bps, Duration delay, double loss = 0) {
  Wire w;
  w.rate_bps = rate_bps;
  w.delay = delay;
  w.loss = loss;
  return w;
}

struct TestLink {
  LinkUp up;
  Wire to_server, to_client;
  bool down = false;
};

// An inner IPv4 UDP packet of `size` bytes with a marker in its payload.
inline std::vector<uint8_t> make_packet(IpAddress from, IpAddress to, uint32_t marker, size_t size = 1000, uint16_t port = 5001) {
  std::vector<uint8_t> p(std::max<size_t>(size, 32));
  p[0] = 0x45;
  p[2] = static_cast<uint8_t>(p.size() >> 8);
  p[3] = static_cast<uint8_t>(p.size());
  p[8] = 64;
  p[9] = 17;
  std::copy_n(from.bytes.begin(), 4, p.begin() + 12);
  std::copy_n(to.bytes.begin(), 4, p.begin() + 16);
  p[20] = static_cast<uint8_t>(port >> 8);
  p[21] = static_cast<uint8_t>(port);
  p[22] = static_cast<uint8_t>(port >> 8);
  p[23] = static_cast<uint8_t>(port);
  std::memcpy(&p[28], &marker, 4);
  return p;
}
inline uint32_t marker_of(ByteSpan packet) {
  uint32_t m;
  std::memcpy(&m, packet.data() + 28, 4);
  return m;
}

// A client, a server, their links. Registry: knows exactly the client's key unless `answer` is replaced.
class TestNet {
 public:
  explicit TestNet(uint64_t seed = 1, CipherFactory ciphers = make_null_cipher)
      : rng(seed), client_keys(StaticKeyPair::generate(rng)), server_keys(StaticKeyPair::generate(rng)), ciphers_(std::move(ciphers)) {
    make_server();
    make_client();
    answer = [this](const PublicKey& key, const std::optional<std::array<uint8_t, 16>>&) {
      RegistryAnswer a;
      if (key == client_keys.public_key()) {
        a.verdict = RegistryAnswer::Verdict::accepted;
        a.user = UserId{1};
        a.name = "laptop";
        a.inner_v4 = client_ip;
      }
      return a;
    };
  }

  void make_server() {
    ServerConfig c;
    c.ciphers = wire::kCipherChaCha20;
    c.cipher_factory = ciphers_;
    c.static_key = server_keys.clone();
    c.server_v4 = server_ip;
    server = Endpoint::make_server(std::move(c), rng);
  }
  void make_client() {
    ClientConfig c;
    c.ciphers = wire::kCipherChaCha20;
    c.cipher_factory = ciphers_;
    c.static_key = client_keys.clone();
    c.server_key = server_keys.public_key();
    c.enrolment_token = token;
    client = Endpoint::make_client(std::move(c), rng);
  }

  TestLink& add_link(Wire w) {
    auto link = std::make_unique<TestLink>();
    const auto n = static_cast<uint8_t>(links.size() + 1);
    link->up.link = LinkId{n};
    link->up.local = {IpAddress::v4(192, 0, 2, n), static_cast<uint16_t>(1000 + n), 0};
    link->up.remote = {IpAddress::v4(203, 0, 113, 1), 443, 0};
    link->up.group = n;
    link->up.interface = "if" + std::to_string(n);
    link->to_server = link->to_client = w;
    links.push_back(std::move(link));
    return *links.back();
  }
  void up(TestLink& l) { client->on_path_event(l.up, now); pump(); }
  void up_all() {
    for (auto& l : links) client->on_path_event(l->up, now);
    pump();
  }

  void send_to_server(const std::vector<uint8_t>& packet) { send(*client, packet); }
  void send_to_client(const std::vector<uint8_t>& packet) { send(*server, packet); }

  // Runs virtual time forward to `end`.
  void run_until(Time end) {
    pump();
    while (true) {
      Time next = std::min(client->next_timeout(), server->next_timeout());
      if (!in_flight_.empty()) next = std::min(next, in_flight_.begin()->first);
      if (next > end) break;
      now = std::max(now, next);
      ++turns;
      if (!in_flight_.empty() && in_flight_.begin()->first <= now) deliver_due();
      if (client->next_timeout() <= now) client->on_timer(now);
      if (server->next_timeout() <= now) {
        server->on_timer(now);
        ++server_timers;
      }
      pump();
    }
    now = end;
  }
  void run(Duration d) { run_until(now + d); }

  void pump() {
    for (int i = 0; i < 100 && pump_once(); ++i) {}
  }

  SeededRng rng;
  StaticKeyPair client_keys, server_keys;
  std::unique_ptr<Endpoint> client, server;
  IpAddress client_ip = IpAddress::v4(10, 9, 0, 2), server_ip = IpAddress::v4(10, 9, 0, 1);
  std::vector<std::unique_ptr<TestLink>> links;
  Time now{1'000'000'000};
  std::vector<Event> client_events, server_events;
  std::vector<uint32_t> at_server, at_client;  // markers of delivered packets
  std::vector<Time> at_client_times;
  uint64_t turns = 0, server_timers = 0;  // server_timers: how often a deadline of the server's woke it
  std::optional<std::array<uint8_t, 16>> token;
  std::function<RegistryAnswer(const PublicKey&, const std::optional<std::array<uint8_t, 16>>&)> answer;
  // Called with each datagram before it travels; may change it. Returns false to drop it.
  std::function<bool(bool to_server, std::vector<uint8_t>&, TestLink&)> tap;
  // Called with each datagram as it arrives: the ECN mark that it comes with.
  std::function<uint8_t(bool to_server, ByteSpan)> outer_ecn;
  std::function<void(ByteSpan)> on_client_packet, on_server_packet;

  template <typename T>
  size_t count(const std::vector<Event>& events) const {
    size_t n = 0;
    for (const Event& e : events) n += std::holds_alternative<T>(e);
    return n;
  }

  // Hands bytes to an engine as if they came over that link.
  void inject(bool to_server, TestLink& l, std::vector<uint8_t> bytes) {
    ReceivedDatagram d;
    d.bytes = bytes;
    d.from = to_server ? UdpTuple{LinkId{0}, l.up.remote, l.up.local} : UdpTuple{l.up.link, l.up.local, l.up.remote};
    d.received_at = now;
    if (outer_ecn) d.ecn = outer_ecn(to_server, bytes);
    Endpoint& e = to_server ? *server : *client;
    e.on_datagrams(std::span(&d, 1), now);
    drain(e, to_server);
  }

 private:
  struct Flying {
    bool to_server;
    TestLink* link;
    std::vector<uint8_t> bytes;
  };

  void send(Endpoint& e, const std::vector<uint8_t>& bytes) {
    Packet p = e.pool().copy_of(bytes);
    if (p) e.on_packets(std::span(&p, 1), now);
  }

  void deliver_due() {
    while (!in_flight_.empty() && in_flight_.begin()->first <= now) {
      Flying f = std::move(in_flight_.begin()->second);
      in_flight_.erase(in_flight_.begin());
      inject(f.to_server, *f.link, std::move(f.bytes));
    }
  }

  void drain(Endpoint& e, bool is_server) {
    DeliverBatch batch;
    while (e.poll_deliver(batch)) {
      for (ByteSpan p : batch.packets) {
        if (is_server) {
          at_server.push_back(marker_of(p));
          if (on_server_packet) on_server_packet(p);
        } else {
          at_client.push_back(marker_of(p));
          at_client_times.push_back(now);
          if (on_client_packet) on_client_packet(p);
        }
      }
    }
  }

  bool pump_once() {
    bool worked = false;
    TransmitBatch batch;
    for (bool from_client : {true, false}) {
      Endpoint& e = from_client ? *client : *server;
      drain(e, !from_client);
      Event ev;
      while (e.poll_event(ev)) {
        worked = true;
        if (const auto* q = std::get_if<RegistryLookup>(&ev)) reply(q->id, q->key, q->token_id);
        if (const auto* q = std::get_if<EnrolmentCommit>(&ev)) reply(q->id, q->key, q->token_id);
        (from_client ? client_events : server_events).push_back(ev);
      }
      while (e.poll_transmit(batch, now)) {
        worked = true;
        for (size_t i = 0; i < batch.count; ++i) transmit(from_client, batch.to, batch.datagram(i));
      }
      drain(e, !from_client);
    }
    return worked;
  }

  void reply(LookupId id, const PublicKey& key, const std::optional<std::array<uint8_t, 16>>& token_id) {
    RegistryAnswer a = answer(key, token_id);
    a.id = id;
    server->on_registry_answer(a, now);
  }

  void transmit(bool to_server, const UdpTuple& to, ByteSpan bytes) {
    TestLink* link = nullptr;
    for (auto& l : links) {
      if (to_server ? l->up.link == to.link : l->up.local == to.remote) link = l.get();
    }
    if (!link || link->down) return;
    Wire& w = to_server ? link->to_server : link->to_client;
    std::vector<uint8_t> copy(bytes.begin(), bytes.end());
    ++w.sent;
    if (tap && !tap(to_server, copy, *link)) return;
    if (w.blackhole || (w.loss > 0 && rng.uniform() < w.loss)) {
      ++w.dropped;
      return;
    }
    Time out = now;
    if (w.rate_bps > 0) {
      const BitRate rate{w.rate_bps};
      const Time start = std::max(now, w.busy_until);
      if (rate.bytes_in(start - now) > static_cast<double>(w.queue_bytes)) {
        ++w.dropped;
        return;
      }
      w.busy_until = start + rate.time_for(static_cast<double>(copy.size() + 42));
      out = w.busy_until;
    }
    in_flight_.emplace(out + w.delay, Flying{to_server, link, std::move(copy)});
  }

  CipherFactory ciphers_;
  std::multimap<Time, Flying> in_flight_;
};

}  // namespace hawser::test
