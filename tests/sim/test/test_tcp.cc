// Do the TCP and QUIC models behave like TCP and QUIC: known shares, known loss laws, known recovery.
#include <cmath>

#include "tests/sim/tcp/hystart.h"
#include "tests/sim/test/truth.h"

namespace hawser::sim {
namespace {

// Keeps what is sent; what arrives is handed to it.
class Mailbox final : public Host {
 public:
  explicit Mailbox(IpAddress address) : Host(address) {}
  void send(ByteSpan packet) override { sent.push_back(*decode(packet)); }
  size_t mtu() const override { return 1500; }
  std::vector<Segment> sent;
};

constexpr double kPayload = 1448.0 / 1514;  // of a full frame

FlowSettings tcp(CongestionControl kind = CongestionControl::cubic) {
  FlowSettings f;
  f.tcp.congestion = kind;
  return f;
}

}  // namespace

TEST_CASE("one TCP flow fills a link with a queue of a round trip, either algorithm, either way") {
  for (const auto kind : {CongestionControl::cubic, CongestionControl::reno}) {
    for (const auto heading : {Heading::up, Heading::down}) {
      DirectionSettings s = wire({20e6}, Duration::millis(20));
      s.queue_bytes = 100'000;
      Pair pair(s);
      FlowSettings f = tcp(kind);
      f.heading = heading;
      pair.add(f);
      const auto r = pair.run(Duration::seconds(30), Duration::seconds(10));
      CHECK(r[0].values.at("goodput") / 20 / kPayload > 0.97);
      CHECK(r[0].values.at("goodput") / 20 / kPayload <= 1.0);
      CHECK(r[0].values.at("mixed_up") == 0);
      CHECK(r[0].values.at("timeouts") == 0);
    }
  }
}

TEST_CASE("Reno under random loss follows the square-root law") {
  // Mathis et al. 1997: MSS/RTT * sqrt(3/2) / sqrt(p), every segment counted.
  for (const double loss : {0.002, 0.005, 0.01}) {
    DirectionSettings s = wire({500e6}, Duration::millis(20));
    s.loss = loss;
    Pair pair(wire({500e6}, Duration::millis(20)), s);
    pair.add(tcp(CongestionControl::reno));
    const auto r = pair.run(Duration::seconds(120), Duration::seconds(10));
    const double law = 1448 * 8 / 0.040 * std::sqrt(1.5 / loss) * 1e-6;
    CHECK(r[0].values.at("goodput") == Approx(law).epsilon(0.2));
  }
}

TEST_CASE("CUBIC under random loss keeps more of a long path than Reno, in the ratio of its law") {
  // RFC 9438, 5.2: window = (C (3 + beta) / (4 (1 - beta)))^(1/4) * (RTT/p)^(3/4) segments for losses at equal
  // distances; those at random ones leave some more.
  DirectionSettings s = wire({2e9}, Duration::millis(50));
  s.loss = 0.0001;
  Pair pair(wire({2e9}, Duration::millis(50)), s);
  FlowSettings f = tcp();
  f.tcp.window = 64u << 20;
  pair.add(f);
  const auto r = pair.run(Duration::seconds(600), Duration::seconds(30));
  const double segments = std::pow(0.4 * 3.7 / 1.2, 0.25) * std::pow(0.1 / 0.0001, 0.75);
  CHECK(r[0].values.at("goodput") == Approx(segments * 1448 * 8 / 0.1 * 1e-6).epsilon(0.25));
}

// Linux' tcp_cubic.c: `cnt` is at most 20 while last_max_cwnd is zero.
TEST_CASE("CUBIC that has not seen a loss grows by 5 % per round trip, and by its cubic afterwards") {
  const auto cubic = make_growth(CongestionControl::cubic);
  const Duration rtt = Duration::millis(30);
  const Time now{1'000'000'000};
  CHECK(cubic->increase(400, 400, rtt, now) == Approx(20));
  CHECK(cubic->after_loss(420) == Approx(294));
  // Right after a loss towards an old maximum 126 segments away: the cubic's first round trip, C (K^3 - (K - R)^3).
  const double k = std::cbrt(126 / 0.4), r = 0.03;
  CHECK(cubic->increase(294, 294, rtt, now) == Approx(0.4 * (k * k * k - (k - r) * (k - r) * (k - r))).epsilon(0.01));
}

TEST_CASE("HyStart waits for eight samples, and one early ack of the round is enough to go on") {
  const Duration base = Duration::millis(20), late = Duration::millis(28);
  Time now{1'000'000'000};
  const auto round = [&](Hystart& h, bool early_ninth) {
    h.on_round(now);
    bool ended = false;
    for (int i = 0; i < 12; ++i) {
      now = now + Duration::millis(3);  // no train
      ended = h.on_ack(40, i == 8 && early_ninth ? base : late, base, now) || ended;
    }
    return ended;
  };
  Hystart h;
  CHECK(round(h, false));
  CHECK_FALSE(round(h, true));
}

TEST_CASE("two equal flows share a link equally; CUBIC is not far from Reno on a short path") {
  using enum CongestionControl;
  for (const auto& [a, b, most] : {std::tuple{cubic, cubic, 0.6}, {reno, reno, 0.6}, {cubic, reno, 0.75}}) {
    DirectionSettings s = wire({20e6}, Duration::millis(10));
    s.queue_bytes = 50'000;
    Pair pair(s);
    FlowSettings second = tcp(b);
    second.start = Duration::seconds(1);
    pair.add(tcp(a));
    pair.add(second);
    const auto r = pair.run(Duration::seconds(90), Duration::seconds(30));
    const double x = r[0].values.at("goodput"), y = r[1].values.at("goodput");
    CHECK((x + y) / 20 / kPayload > 0.95);
    CHECK(x / (x + y) < most);
    CHECK(x / (x + y) > 1 - most);
  }
}

TEST_CASE("a receive window bounds a flow to a window per round trip") {
  Pair pair(wire({100e6}, Duration::millis(50)));
  FlowSettings f = tcp();
  f.tcp.window = 125'000;
  pair.add(f);
  const auto r = pair.run(Duration::seconds(20), Duration::seconds(5));
  CHECK(r[0].values.at("goodput") == Approx(10).epsilon(0.03));
}

TEST_CASE("reordering inside a quarter of the round trip is learnt, and spurious recoveries are undone") {
  DirectionSettings s = wire({50e6}, Duration::millis(20));
  s.jitter = Duration::millis(5);
  s.jitter_form = DirectionSettings::Jitter::reordering;
  Pair pair(wire({50e6}, Duration::millis(20)), s);
  pair.add(tcp());
  const auto r = pair.run(Duration::seconds(20), Duration::seconds(5));
  CHECK(r[0].values.at("reordered") > 1000);
  CHECK(r[0].values.at("goodput") / 50 / kPayload > 0.9);
}

TEST_CASE("a blackhole of two seconds costs a stall of that and the next timeout, and nothing is lost") {
  const DirectionSettings s = wire({20e6}, Duration::millis(20));
  Pair pair(s);
  FlowSettings f = tcp();
  f.bytes = 20'000'000;
  Flow& flow = pair.add(f);
  flow.start();
  pair.loop.run_until(EventLoop::kStart + Duration::seconds(3));
  DirectionSettings dead = s;
  dead.blackhole = true;
  pair.link.down.set(dead);
  pair.loop.run_until(EventLoop::kStart + Duration::seconds(5));
  pair.link.down.set(s);
  pair.loop.run_until(EventLoop::kStart + Duration::seconds(30));
  const FlowResult r = flow.result({EventLoop::kStart, pair.loop.now()}, {});
  CHECK(r.values.at("complete") == 1);
  CHECK(r.values.at("timeouts") >= 2);
  CHECK(r.values.at("seconds") < 8.4 + 2 + 3);
}

TEST_CASE("the tail of a transfer that is lost is repaired by a probe and not by a timeout") {
  DirectionSettings s = wire({20e6}, Duration::millis(20));
  Pair pair(s);
  FlowSettings f = tcp();
  f.bytes = 14'000;
  f.start = Duration::millis(100);
  Flow& flow = pair.add(f);
  flow.start();
  // The handshake ends at 160 ms, the first and only window arrives from 180 to 186 ms; its last segments die.
  pair.loop.run_until(EventLoop::kStart + Duration::millis(184));
  DirectionSettings dead = s;
  dead.blackhole = true;
  pair.link.down.set(dead);
  pair.loop.run_until(EventLoop::kStart + Duration::millis(190));
  pair.link.down.set(s);
  pair.loop.run_until(EventLoop::kStart + Duration::seconds(3));
  const FlowResult r = flow.result({EventLoop::kStart, pair.loop.now()}, {});
  CHECK(r.values.at("complete") == 1);
  CHECK(r.values.at("retransmissions") >= 1);
  CHECK(r.values.at("timeouts") == 0);
}

// RFC 7323, section 5, as Linux has it: tcp_paws_check() and tcp_disordered_ack().
TEST_CASE("a late segment is rejected when its timestamp is older than one that came in order, by more than a tick") {
  EventLoop loop;
  Mailbox host(IpAddress::v4(10, 0, 0, 1));
  const IpAddress peer = IpAddress::v4(10, 0, 0, 2);
  TcpConnection connection(loop, host, 5001, peer, 30'000, {}, [](uint64_t) {});
  const auto arrive = [&](uint32_t seq, uint64_t payload, uint32_t timestamp, bool syn = false) {
    Segment s;
    s.source = peer, s.destination = host.address(), s.source_port = 30'000, s.destination_port = 5001;
    s.syn = syn, s.has_ack = !syn, s.seq = seq, s.ack = 1, s.window = 1u << 20, s.mss = 1460;
    s.payload = payload, s.stream_offset = seq - 1, s.timestamp = timestamp;
    std::vector<uint8_t> bytes;
    encode(s, bytes);
    host.deliver(bytes);
    return host.sent.back();
  };
  arrive(0, 0, 500, true);
  arrive(1, 0, 500);
  CHECK(arrive(1, 1000, 520).ack == 1001);
  // Out of order: a timestamp that is not the next byte's does not count yet.
  CHECK(arrive(3001, 1000, 560).ack == 1001);
  CHECK(arrive(1001, 1000, 540).ack == 2001);
  CHECK(arrive(4001, 1000, 539).sack[0].end == 5001);  // a tick older: still taken
  const Segment rejected = arrive(2001, 1000, 538);     // two: a gap stays, although its bytes were here
  CHECK(rejected.ack == 2001);
  CHECK(rejected.echo == 540);
  CHECK(connection.receiver_stats().outdated == 1);
  CHECK(arrive(2001, 1000, 600).ack == 5001);  // sent again
  // What is old and below the next byte is told as a duplicate.
  const Segment duplicate = arrive(1001, 1000, 540);
  CHECK(duplicate.sack[0].begin == 1001);
  CHECK(duplicate.sack[0].end == 2001);
  CHECK(duplicate.echo == 600);
  CHECK(connection.receiver_stats().outdated == 2);
}

TEST_CASE("the QUIC model fills a link; three packets of reordering are loss to it, two are not") {
  Pair pair(wire({20e6}, Duration::millis(20)));
  FlowSettings f;
  f.type = "quic";
  pair.add(f);
  const auto r = pair.run(Duration::seconds(20), Duration::seconds(5));
  CHECK(r[0].values.at("goodput") / 20 > 0.9);

  for (const auto& [jitter, spurious] : {std::pair{Duration::micros(700), false}, {Duration::millis(10), true}}) {
    DirectionSettings s = wire({20e6}, Duration::millis(20));  // 0.52 ms per packet: 0.7 ms reorder by one
    s.jitter = jitter;
    s.jitter_form = DirectionSettings::Jitter::reordering;
    Pair shaken(wire({20e6}, Duration::millis(20)), s);
    shaken.add(f);
    const auto q = shaken.run(Duration::seconds(20), Duration::seconds(5));
    CHECK(q[0].values.at("reordered") > 100);
    CAPTURE(q[0].values.at("spurious"), q[0].values.at("goodput"));
    CHECK((q[0].values.at("spurious") > 20) == spurious);
    CHECK((q[0].values.at("goodput") < 10) == spurious);
  }
}

TEST_CASE("request and response takes two one-way delays and the bytes; a new connection one round trip more") {
  for (const bool fresh : {false, true}) {
    Pair pair(wire({100e6}, Duration::millis(20)));
    FlowSettings f;
    f.type = "request";
    f.bytes = 10'000;
    f.interval = Duration::millis(250);
    f.new_connection = fresh;
    pair.add(f);
    const auto r = pair.run(Duration::seconds(10), Duration::seconds(1));
    CHECK(r[0].values.at("time_p50") == Approx(fresh ? 81 : 41).margin(1));
    CHECK(r[0].values.at("unfinished") == 0);
  }
}

TEST_CASE("voice and echo see the delay and the loss of the link") {
  DirectionSettings s = wire({1e6}, Duration::millis(30));
  s.loss = 0.05;
  Pair pair(wire({1e6}, Duration::millis(10)), s);
  FlowSettings voice;
  voice.type = "cbr";
  voice.packet_bytes = 200;
  FlowSettings echo;
  echo.type = "echo";
  echo.packet_bytes = 92;
  pair.add(voice);
  pair.add(echo);
  const auto r = pair.run(Duration::seconds(60), Duration::seconds(1));
  CHECK(r[0].values.at("delay_p50") == Approx(31.7).margin(1));
  CHECK(r[0].values.at("lost_share") == Approx(0.05).margin(0.02));
  CHECK(r[1].values.at("rtt_p50") == Approx(41.7).margin(1));
}

}  // namespace hawser::sim
