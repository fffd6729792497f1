// The window-based controllers: each formula against published numbers, then what all of them share, sample by sample.
#include <catch2/catch.hpp>

#include <functional>

#include "common/congestion/coupled.h"
#include "common/congestion/cubic.h"
#include "common/congestion/reno.h"
#include "common/congestion/wvegas.h"

namespace hawser {
namespace {

constexpr uint16_t kSize = 1000;

// A path without a bottleneck, driven by hand: a fixed round trip, and acks of whatever the test says.
class Driver {
 public:
  Driver(wire::CongestionKind kind, Duration round_trip)
      : controller(make_controller(kind, kSize, 7)), rtt_(round_trip) {}

  // Sends a whole window at once and hears of it a round trip later, `pieces` datagrams an ack; of these, the first
  // `lost` datagrams are lost and the last ack marks `ce`. `use`: the share of the window that is sent.
  void round(int lost = 0, uint64_t ce = 0, double use = 1, int pieces = 2) {
    const auto count = static_cast<int>(use * static_cast<double>(controller->congestion_window()) / kSize);
    now += Duration::micros(1);  // not in the moment of the last reduction
    const Time sent = now;
    for (int i = 0; i < count; ++i) controller->on_sent(now, static_cast<uint64_t>(i) * kSize, kSize);
    const uint64_t before = delivered;
    now += rtt_;
    rtt.on_sample(rtt_, {}, now);
    int left = count - lost;
    for (bool first = true; left > 0; first = false) {
      const int n = std::min(pieces, left);
      left -= n;
      AckResult r = acked(n, sent);
      r.sample_prior_delivered = before;
      if (first && lost > 0) {
        r.lost_packets = static_cast<uint64_t>(lost);
        r.lost_bytes = static_cast<uint64_t>(lost) * kSize;
        r.newest_lost_sent_at = sent;
      }
      if (left == 0) r.newly_ce = ce;
      apply(r, static_cast<uint64_t>(left) * kSize);
    }
  }
  AckResult acked(int n, Time sent) const {
    AckResult r;
    r.valid = true;
    r.acked_packets = static_cast<uint64_t>(n);
    r.acked_bytes = static_cast<uint64_t>(n) * kSize;
    r.newest_acked_sent_at = sent;
    r.has_rtt = true;
    r.rtt = rtt_;
    r.sample_interval = rtt_;
    return r;
  }
  void apply(const AckResult& r, uint64_t in_flight) {
    delivered += r.acked_bytes;
    controller->on_sample({r, rtt, in_flight, delivered, now, coupling});
  }
  double window() const { return static_cast<double>(controller->congestion_window()) / kSize; }

  std::unique_ptr<Controller> controller;
  RttEstimator rtt;
  CouplingView coupling;
  Time now{1'000'000'000};
  uint64_t delivered = 0;

 private:
  Duration rtt_;
};

constexpr wire::CongestionKind kClassic[] = {wire::CongestionKind::lia,   wire::CongestionKind::olia,
                                             wire::CongestionKind::balia, wire::CongestionKind::wvegas,
                                             wire::CongestionKind::cubic, wire::CongestionKind::reno};

// Slow start, then a loss: the rest is congestion avoidance.
void leave_slow_start(Driver& d, int rounds = 3) {
  for (int i = 0; i < rounds; ++i) d.round();
  d.round(1);
}

}  // namespace

TEST_CASE("LIA, OLIA and BALIA give the published numbers") {
  const CoupledPath unlike[] = {{20, 0.020, 1'000}, {40, 0.150, 100'000}};  // the best is the largest: no epsilon
  const CoupledPath equal[] = {{10, 0.050}, {10, 0.050}};
  CHECK(lia_alpha(unlike) == Approx(1.8698).epsilon(1e-4));
  CHECK(lia_increase(unlike, 0) == Approx(0.031163).epsilon(1e-4));
  CHECK(lia_increase(unlike, 1) == Approx(0.025));  // capped by 1/w
  CHECK(lia_alpha(equal) == Approx(0.5));
  CHECK(lia_increase(equal, 0) == Approx(0.025));
  CHECK(olia_increase(unlike, 0) == Approx(0.031163).epsilon(1e-4));
  CHECK(olia_increase(unlike, 1) == Approx(0.001108).epsilon(1e-3));
  CHECK(olia_increase(equal, 0) == Approx(0.025));
  CHECK(balia_increase(unlike, 0) == Approx(0.031163).epsilon(1e-4));
  CHECK(balia_increase(unlike, 1) == Approx(0.004079).epsilon(1e-3));
  CHECK(balia_decrease(unlike, 0) == Approx(10));
  CHECK(balia_decrease(unlike, 1) == Approx(30));
}

TEST_CASE("OLIA moves windows from large paths to better ones") {
  // Equal round trips, so that l decides: the small one had more between its losses.
  const CoupledPath p[] = {{10, 0.1, 900'000}, {30, 0.1, 300'000}, {20, 0.1, 100'000}};
  const double rates = 60 / 0.1;
  const auto first = [&](double w) { return w / 0.01 / (rates * rates); };
  CHECK(olia_increase(p, 0) == Approx(first(10) + 1.0 / 3 / 10));  // B without M
  CHECK(olia_increase(p, 1) == Approx(first(30) - 1.0 / 3 / 30));  // M
  CHECK(olia_increase(p, 2) == Approx(first(20)));                 // neither
  // The best is the largest already: nothing to move.
  const CoupledPath settled[] = {{10, 0.1, 300'000}, {30, 0.1, 900'000}};
  CHECK(olia_increase(settled, 0) == Approx(10 / 0.01 / (400.0 * 400.0)));
}

TEST_CASE("alone, all coupled ones are Reno") {
  const CoupledPath one[] = {{25, 0.08, 5'000}};
  CHECK(lia_increase(one, 0) == Approx(1.0 / 25));
  CHECK(olia_increase(one, 0) == Approx(1.0 / 25));
  CHECK(balia_increase(one, 0) == Approx(1.0 / 25));
  CHECK(balia_decrease(one, 0) == Approx(12.5));
}

TEST_CASE("coupled controllers see the siblings that carry data, and only these") {
  std::vector<Sibling> siblings(3);
  siblings[1] = {0, true, true, 20 * kSize, 0, 0, Duration::millis(100), Duration::millis(100), {}, {}, 0};
  siblings[2] = siblings[1];
  siblings[2].live = false;
  Driver d(wire::CongestionKind::lia, Duration::millis(100));
  leave_slow_start(d);
  const double alone_before = d.window();
  d.round();
  CHECK(d.window() - alone_before == Approx(1).epsilon(0.1));
  d.coupling = {siblings, 0};
  const double w = d.window();
  d.round();
  const CoupledPath p[] = {{w, 0.1}, {20, 0.1}};
  CHECK(d.window() - w == Approx(w * lia_increase(p, 0)).epsilon(0.1));
}

TEST_CASE("CUBIC's curve") {
  // RFC 9438: W_max 100, back to 70; K = cbrt(30 / 0.4) = 4.217 s.
  const double k = CubicController::time_to(100, 70);
  CHECK(k == Approx(4.2172).epsilon(1e-4));
  CHECK(CubicController::window_at(0, k, 100) == Approx(70));
  CHECK(CubicController::window_at(k, k, 100) == Approx(100));
  CHECK(CubicController::window_at(k + 5, k, 100) == Approx(150));

  Driver d(wire::CongestionKind::cubic, Duration::millis(200));
  while (d.window() < 300) d.round();
  const double top = d.window();
  d.round(1);
  CHECK(d.window() == Approx(0.7 * top).epsilon(0.01));
  const Time reduced = d.now;
  d.round();
  const double plateau = CubicController::time_to(top, 0.7 * top);
  while ((d.now - reduced).to_seconds() < plateau / 2) d.round();
  CHECK(d.window() > 0.9 * top);  // concave: most is back early
  CHECK(d.window() < top);
  while ((d.now - reduced).to_seconds() < plateau) d.round();
  CHECK(d.window() == Approx(top).epsilon(0.03));
  // It loses again before it was back: fast convergence leaves room for others.
  d.round(1);
  d.round();
  d.round(1);
  for (int i = 0; i < 40; ++i) d.round();
  CHECK(d.window() < top);
}

TEST_CASE("CUBIC is no slower than Reno where windows are small") {
  Driver cubic(wire::CongestionKind::cubic, Duration::millis(10));
  leave_slow_start(cubic, 1);
  const double w = cubic.window();
  for (int i = 0; i < 100; ++i) cubic.round();
  // Reno with alpha 0.529 until the old window, 1 after it: far above what the cubic gives in a second.
  CHECK(cubic.window() > w + 50);
}

TEST_CASE("wVegas keeps its few datagrams in the queue") {
  CHECK(WvegasController::queued(50, 0.100, 0.080) == Approx(10));
  // A bottleneck of 100 datagrams a 100 ms: what exceeds it queues.
  Driver d(wire::CongestionKind::wvegas, Duration::millis(100));
  double last_queue = 0;
  for (int i = 0; i < 200; ++i) {
    last_queue = std::max(0.0, d.window() - 100);
    const Duration trip = Duration::from_seconds(0.1 * (1 + last_queue / 100));
    const Time sent = d.now;
    const auto count = static_cast<int>(d.window());
    for (int k = 0; k < count; ++k) d.controller->on_sent(d.now, static_cast<uint64_t>(k) * kSize, kSize);
    const uint64_t before = d.delivered;
    d.now += trip;
    for (int left = count; left > 0; left -= 2) {
      AckResult r = d.acked(std::min(2, left), sent);
      r.rtt = trip;
      r.sample_prior_delivered = before;
      d.rtt.on_sample(trip, {}, d.now);
      d.apply(r, static_cast<uint64_t>(left) * kSize);
    }
  }
  CHECK(d.window() > 95);
  CHECK(last_queue < 15);
}

TEST_CASE("slow start doubles each round; a pacer of twice the window lets it") {
  for (const auto kind : kClassic) {
    INFO(static_cast<int>(kind));
    Driver d(kind, Duration::millis(50));
    CHECK(d.window() == 10);
    d.round();
    CHECK(d.window() == 20);
    CHECK(d.controller->kind() == kind);
    CHECK(d.controller->pacing_rate().bps == Approx(2 * 20 * kSize * 8 / 0.05));
    CHECK(d.controller->capacity().bps == Approx(20 * kSize * 8 / 0.05));
    d.round(1);
    CHECK(d.controller->pacing_rate().bps == Approx(1.2 * d.window() * kSize * 8 / 0.05).epsilon(0.01));
  }
}

TEST_CASE("each controller's cut: once per round trip, by loss and by CE") {
  for (const auto kind : kClassic) {
    INFO(static_cast<int>(kind));
    const double kept = kind == wire::CongestionKind::cubic ? 0.7 : 0.5;
    const double step = 1.01;  // a datagram: wVegas' step of the round
    Driver d(kind, Duration::millis(50));
    for (int i = 0; i < 3; ++i) d.round();
    const double w = d.window();
    d.round(5);
    CHECK(d.window() == Approx(kept * w).margin(step));
    // More losses of the same flight cut nothing more; those of the next do.
    double reduced = d.window();
    AckResult r;
    r.valid = true;
    r.lost_packets = 2;
    r.lost_bytes = 2 * kSize;
    r.newest_lost_sent_at = d.now - Duration::millis(50);
    d.apply(r, 0);
    CHECK(d.window() == reduced);
    d.now += Duration::millis(1);
    r.newest_lost_sent_at = d.now;
    d.apply(r, 0);
    CHECK(d.window() == Approx(kept * reduced).margin(0.01));
    // A mark counts as a loss, and likewise once.
    d.now += Duration::millis(1);
    reduced = d.window();
    d.round(0, 1);
    CHECK(d.window() == Approx(kept * reduced).margin(step + 1));
    reduced = d.window();
    r = d.acked(1, d.now - Duration::millis(1));
    r.newly_ce = 1;
    d.apply(r, 0);
    CHECK(d.window() == Approx(reduced).margin(0.2));
  }
}

TEST_CASE("a window that was not filled does not grow") {
  for (const auto kind : kClassic) {
    INFO(static_cast<int>(kind));
    Driver d(kind, Duration::millis(50));
    leave_slow_start(d, 4);
    d.round();
    d.round(0, 0, 0.3);
    const double w = d.window();
    for (int i = 0; i < 50; ++i) d.round(0, 0, 0.3);
    CHECK(d.window() == Approx(w).margin(1.01));
    // And in slow start, where half is full use.
    Driver s(kind, Duration::millis(50));
    for (int i = 0; i < 50; ++i) s.round(0, 0, 0.3);
    CHECK(s.window() <= 20);
  }
}

TEST_CASE("CUBIC does not catch up on time in which it was not used") {
  Driver d(wire::CongestionKind::cubic, Duration::millis(100));
  while (d.window() < 200) d.round();
  const double top = d.window();
  d.round(1);
  for (int i = 0; i < 4; ++i) d.round();
  for (int i = 0; i < 100; ++i) d.round(0, 0, 0.3);  // ten seconds: the cubic would be far beyond
  d.round();
  CHECK(d.window() < top);
}

TEST_CASE("a reduction is undone when all its losses arrive after all") {
  for (const auto kind : kClassic) {
    INFO(static_cast<int>(kind));
    Driver d(kind, Duration::millis(50));
    for (int i = 0; i < 3; ++i) d.round();
    const double w = d.window();
    d.round(3);
    REQUIRE(d.window() < w);
    AckResult r = d.acked(2, d.now - Duration::millis(50));
    r.spurious_loss = true;
    r.spurious_bytes = 2 * kSize;
    d.apply(r, 0);
    CHECK(d.window() < w);  // one is still missing
    r = d.acked(1, d.now - Duration::millis(50));
    r.spurious_loss = true;
    r.spurious_bytes = kSize;
    d.apply(r, 0);
    CHECK(d.window() >= w);
    // Once only, and never after a mark.
    Driver m(kind, Duration::millis(50));
    for (int i = 0; i < 3; ++i) m.round();
    m.round(1, 0);
    m.now += Duration::millis(1);
    m.round(0, 1);
    const double cut = m.window();
    r.spurious_bytes = 5 * kSize;
    r.newest_acked_sent_at = m.now - Duration::millis(500);
    m.apply(r, 0);
    CHECK(m.window() == Approx(cut).epsilon(0.01));
  }
}

TEST_CASE("slow start ends when the round trip grows (HyStart++)") {
  HyStart h;
  const auto round = [&](int ms) {
    h.on_round();
    for (int i = 0; i < 10; ++i) h.on_rtt(Duration::millis(ms));
  };
  round(40);
  round(44);
  CHECK(h.phase() == HyStart::Phase::slow_start);  // an eighth of 40 is 5
  round(50);
  CHECK(h.phase() == HyStart::Phase::conservative);
  SECTION("it was jitter") {
    round(42);
    CHECK(h.phase() == HyStart::Phase::slow_start);
  }
  SECTION("it stays: five rounds, then congestion avoidance") {
    for (int i = 0; i < 4; ++i) round(51);
    CHECK(h.phase() == HyStart::Phase::conservative);
    round(51);
    CHECK(h.phase() == HyStart::Phase::done);
  }
  SECTION("too few samples decide nothing") {
    HyStart few;
    for (const int ms : {40, 80, 160}) {
      few.on_round();
      for (int i = 0; i < 7; ++i) few.on_rtt(Duration::millis(ms));
    }
    CHECK(few.phase() == HyStart::Phase::slow_start);
  }
}

TEST_CASE("a revived path begins as a new one does, with half of the old window as threshold") {
  for (const auto kind : kClassic) {
    INFO(static_cast<int>(kind));
    Driver d(kind, Duration::millis(50));
    for (int i = 0; i < 4; ++i) d.round();
    const double w = d.window();
    d.controller->on_path_revived(d.now);
    CHECK(d.window() == 10);
    d.now += Duration::millis(1);
    d.round();
    CHECK(d.window() == 20);
    for (int i = 0; i < 3; ++i) d.round();
    CHECK(d.window() < w);
  }
}

TEST_CASE("a controller that takes over goes on from where the other was") {
  Driver old(wire::CongestionKind::cubic, Duration::millis(50));
  auto fresh = make_controller(wire::CongestionKind::reno, kSize, 7);
  fresh->take_over(*old.controller);
  CHECK(fresh->congestion_window() == 10 * kSize);
  for (int i = 0; i < 4; ++i) old.round();
  old.round(1);
  for (const auto kind : kClassic) {
    Driver d(kind, Duration::millis(50));
    d.controller->take_over(*old.controller);
    CHECK(d.window() == old.window());
    CHECK(d.controller->pacing_rate().bps == old.controller->pacing_rate().bps);
    d.round();
    CHECK(d.window() < old.window() + 8);  // no slow start
  }
}

}  // namespace hawser
