// A stranger at a working session: he may send anything to either side from anywhere, replay what he saw, flip bits in
// it, and make right mac1s, but he knows no secret. Claims: nobody gets more bytes from the server than he sent, the
// timers do not spin, and afterwards the session still carries packets. Input: a list of {what to do, its arguments}.
#include "common/crypto/hash.h"
#include "common/wire/datagram.h"
#include "tests/fuzz/engine.h"

using namespace hawser;
using namespace hawser::fuzz;

namespace {

constexpr Time kStart{1'000'000'000};
const UdpTuple kClientSide{LinkId{1}, {IpAddress::v4(192, 0, 2, 7), 40'000, 0}, kServerAddress};
const UdpTuple kServerSide{LinkId{9}, kServerAddress, {IpAddress::v4(192, 0, 2, 7), 40'000, 0}};

struct Seen {
  Bytes bytes;
  bool to_server;
};

class World {
 public:
  World() : server_(make_fuzz_server(server_rng_)), client_(make_fuzz_client(client_rng_)) {
    LinkUp up;
    up.link = kClientSide.link;
    up.local = kClientSide.local;
    up.remote = kClientSide.remote;
    client_->on_path_event(up, now_);
    advance(Duration::millis(20));
    FUZZ_CHECK(works());
  }

  void step(Tape& tape) {
    switch (tape.u8() % 8) {
      case 0:
        stranger(copy(tape.bytes(1400)), tape.u8());
        break;
      case 1:
        give_client(copy(tape.bytes(1400)));
        break;
      case 2:
        stranger(initiation(tape.bytes(1160)), tape.u8());
        break;
      case 3:
        to_known_index(tape);
        break;
      case 4:
        replay(tape, false);
        break;
      case 5:
        replay(tape, true);
        break;
      case 6:
        advance(Duration::millis(tape.u8() * 2));
        break;
      default:
        from_tun(*client_, inner_packet(kUserV4, kServerV4, tape.u16() % 1401, tape.u8()), now_);
        break;
    }
    drain();
  }

  // A packet gets through, perhaps after a reconnection.
  bool works() {
    for (int i = 0; i < 20; ++i) {
      const size_t before = delivered_;
      from_tun(*client_, inner_packet(kUserV4, kServerV4, 100, 1), now_);
      advance(Duration::millis(500));
      if (delivered_ > before) return true;
    }
    return false;
  }

 private:
  static Bytes copy(ByteSpan s) { return {s.begin(), s.end()}; }

  void give_server(Bytes bytes, const UdpTuple& from, uint8_t ecn) {
    server_receiver_.receive(*server_, std::move(bytes), from, ecn, now_, [this](ByteSpan) { ++delivered_; });
  }
  void give_client(Bytes bytes) {
    client_receiver_.receive(*client_, std::move(bytes), kClientSide, 0, now_, [](ByteSpan) {});
  }

  void stranger(Bytes bytes, uint8_t which) {
    const size_t host = which % kStrangers;
    from_stranger_[host] += bytes.size();
    UdpTuple from = kServerSide;
    from.remote = {IpAddress::v4(198, 51, 100, static_cast<uint8_t>(host)), 1000, 0};
    give_server(std::move(bytes), from, which >> 6);
  }

  // An initiation by somebody who knows the server's public key.
  Bytes initiation(ByteSpan noise) {
    Bytes d(wire::kInitiationSize);
    wire::write_initiation_prefix(SessionIndex{5}, MutableByteSpan(d));
    std::copy(noise.begin(), noise.end(), d.begin() + wire::kHandshakePrefix);
    const size_t covered = d.size() - 2 * wire::kMacSize;
    const Bytes16 mac = mac16(mac1_key(Identities::get().server.public_key().bytes), ByteSpan(d).first(covered));
    std::copy(mac.begin(), mac.end(), d.begin() + static_cast<std::ptrdiff_t>(covered));
    return d;
  }

  // The header of a datagram that went by, with other numbers and another content.
  void to_known_index(Tape& tape) {
    const Seen* seen = pick(tape.u16());
    if (!seen || seen->bytes[0] != 1) return;
    Bytes d(seen->bytes.begin(), seen->bytes.begin() + wire::kDataHeaderSize);
    for (size_t i = 5; i < d.size(); ++i) d[i] = tape.u8();
    const ByteSpan content = tape.bytes(1300);
    d.insert(d.end(), content.begin(), content.end());
    if (seen->to_server) {
      stranger(std::move(d), tape.u8());
    } else {
      give_client(std::move(d));
    }
  }

  void replay(Tape& tape, bool flipped) {
    const Seen* seen = pick(tape.u16());
    if (!seen) return;
    Bytes d = seen->bytes;
    const bool to_server = seen->to_server;
    if (flipped) d[tape.u16() % d.size()] ^= static_cast<uint8_t>(1 + tape.u8() % 255);
    if (!to_server) {
      give_client(std::move(d));
    } else if (tape.u8() & 1) {
      give_server(std::move(d), kServerSide, 0);  // with the client's own address for the source
    } else {
      stranger(std::move(d), tape.u8());
    }
  }

  const Seen* pick(size_t i) const { return seen_.empty() ? nullptr : &seen_[i % seen_.size()]; }

  void remember(const Bytes& bytes, bool to_server) {
    if (seen_.size() < 64) seen_.push_back({bytes, to_server});
  }

  bool drain_once() {
    bool any = false;
    for (Event event; server_->poll_event(event); any = true) {
      if (const auto* lookup = std::get_if<RegistryLookup>(&event)) answer_lookup(*server_, lookup->id, now_);
    }
    for (Event event; client_->poll_event(event);) {
      FUZZ_CHECK(!std::holds_alternative<Refused>(event) && !std::holds_alternative<Closed>(event));
    }
    TransmitBatch batch;
    while (client_->poll_transmit(batch, now_)) {
      any = true;
      FUZZ_CHECK(++sent_ < 100'000);
      for (size_t i = 0; i < batch.count; ++i) {
        Bytes d = copy(batch.datagram(i));
        give_server(d, kServerSide, 0);
        remember(d, true);
      }
    }
    while (server_->poll_transmit(batch, now_)) {
      any = true;
      FUZZ_CHECK(++sent_ < 100'000);
      for (size_t i = 0; i < batch.count; ++i) {
        const ByteSpan d = batch.datagram(i);
        if (batch.to.remote == kServerSide.remote) {
          give_client(copy(d));
          remember(copy(d), false);
        } else {
          const size_t host = batch.to.remote.ip.bytes[3];
          FUZZ_CHECK(host < kStrangers);
          to_stranger_[host] += d.size();
          FUZZ_CHECK(to_stranger_[host] <= from_stranger_[host]);
        }
      }
    }
    Receiver::take(*server_, [this](ByteSpan) { ++delivered_; });
    Receiver::take(*client_, [](ByteSpan) {});
    return any;
  }

  void drain() {
    while (drain_once()) {
    }
  }

  void advance(Duration d) {
    run_until(
        now_, now_ + d, watch_, [&] { return std::min(server_->next_timeout(), client_->next_timeout()); },
        [&] {
          server_->on_timer(now_);
          client_->on_timer(now_);
        },
        [&] { drain(); });
  }

  static constexpr size_t kStrangers = 4;
  CountingRng server_rng_{1}, client_rng_{2};
  std::unique_ptr<Endpoint> server_, client_;
  Receiver server_receiver_, client_receiver_;
  Time now_ = kStart;
  SpinWatch watch_;
  std::vector<Seen> seen_;
  std::array<size_t, kStrangers> from_stranger_{}, to_stranger_{};
  size_t delivered_ = 0, sent_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Tape tape({data, size});
  World world;
  for (int i = 0; i < 64 && !tape.done(); ++i) world.step(tape);
  FUZZ_CHECK(world.works());
  return 0;
}
