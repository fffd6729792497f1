// Shared-bottleneck detection: the statistics by hand-made numbers, the grouping by hand-made statistics, and both by
// queues that really are shared or not.
#include <catch2/catch.hpp>

#include "common/congestion/coupling.h"

namespace hawser {
namespace {

BottleneckSummary summary(double frequency, double variation, double skew, double loss = 0) {
  BottleneckSummary s;
  s.ready = s.congested = true;
  s.frequency = frequency;
  s.variation = variation;
  s.skew = skew;
  s.loss = loss;
  return s;
}

// Controllers are not this file's matter.
class NoController final : public Controller {
 public:
  void on_sample(const CongestionSample& s) override { seen = s.coupling; }
  void on_sent(Time, uint64_t, uint16_t) override {}
  void on_path_revived(Time) override {}
  uint64_t congestion_window() const override { return 12'000; }
  BitRate pacing_rate() const override { return {1e6}; }
  BitRate capacity() const override { return {2e6}; }
  wire::CongestionKind kind() const override { return wire::CongestionKind::automatic; }
  CouplingView seen;
};

// A drop-tail queue in which an ordinary AIMD flow swings, and beside it bursts of others.
class Queue {
 public:
  explicit Queue(uint64_t seed, double swing_seconds) : random_(seed), swing_(swing_seconds) {}
  // Milliseconds of queue at this moment; steps of a millisecond.
  double step() {
    level_ += 60.0 / (swing_ * 1000) * next_length_;
    if (level_ > 60) {
      level_ *= 0.5 * (0.6 + 0.4 * uniform());
      next_length_ = 0.6 + 0.8 * uniform();
    }
    return level_;
  }
  double uniform() {
    random_ ^= random_ << 13, random_ ^= random_ >> 7, random_ ^= random_ << 17;
    return static_cast<double>(random_ % 10'000) / 10'000;
  }

 private:
  uint64_t random_;
  double swing_;
  double level_ = 30, next_length_ = 1;
};

struct Play {
  int base_ms = 0;         // one-way delay without queue, clock difference included
  Queue* queue = nullptr;  // none: an idle path with a little jitter
  double jitter_ms = 0;
};

// Two paths for `seconds`; the groups at the end and how long the paths were in one group.
struct Outcome {
  bool shared = false;
  double shared_for = 0;  // of the time after ten seconds
};
Outcome play(const Play& a, const Play& b, uint64_t hint_a, uint64_t hint_b, int seconds) {
  Coupling c;
  const PathId ids[2] = {PathId{0}, PathId{1}};
  c.join(ids[0], hint_a);
  c.join(ids[1], hint_b);
  c.set_live(ids[0], true);
  c.set_live(ids[1], true);
  NoController controllers[2];
  RttEstimator rtt;
  rtt.on_sample(Duration::millis(40), {}, Time{1});
  Queue noise(77, 1);
  Time now{1'000'000'000};
  int counted = 0, together = 0;
  for (int ms = 0; ms < seconds * 1000; ++ms, now += Duration::millis(1)) {
    // A queue moves once per step, however many paths go through it.
    double levels[2] = {0, 0};
    if (a.queue) levels[0] = a.queue->step();
    if (b.queue) levels[1] = b.queue == a.queue ? levels[0] : b.queue->step();
    for (int i = 0; i < 2; ++i) {
      if (ms % 4 != i) continue;  // a datagram each four milliseconds
      const Play& p = i == 0 ? a : b;
      // An idle path: most at the minimum, a few late ones. A radio's: any delay of its range.
      const double late = noise.uniform() < 0.1 ? 8 : 0.05;
      const double jitter = noise.uniform() * (p.queue ? 1.0 : p.jitter_ms > 0 ? p.jitter_ms : late);
      AckResult r;
      r.valid = true;
      r.acked_packets = 1;
      r.acked_bytes = 1472;
      r.lost_packets = 0;
      r.largest_newly_acked = true;
      r.largest_sent_at = now;
      r.largest_received_at = now + Duration::micros(static_cast<int64_t>((p.base_ms + levels[i] + jitter) * 1000));
      c.on_sample(ids[i], controllers[i], {r, rtt, 0, 0, now});
    }
    if (ms < 10'000 || ms % 100) continue;
    ++counted;
    together += c.group(ids[0]) == c.group(ids[1]);
  }
  return {c.group(ids[0]) == c.group(ids[1]), counted ? static_cast<double>(together) / counted : 0};
}

}  // namespace

TEST_CASE("the statistics are RFC 8382's") {
  BottleneckStatistics s;
  uint32_t n = 0;
  // Three intervals of 20 samples by hand: all 10 ms; then 10, 10, 10, 30 ms in turn; then 20 ms.
  for (int i = 0; i < 20; ++i) s.on_delay(Duration::millis(10));
  s.on_packets(18, 2);
  s.close_interval(++n);
  CHECK(s.summary().skew == 0);  // nothing to compare with yet
  CHECK(s.summary().loss == Approx(0.1));
  for (int i = 0; i < 20; ++i) s.on_delay(Duration::millis(i % 4 == 3 ? 30 : 10));
  s.close_interval(++n);
  // Against the long mean of 10 ms: 15 at it, 5 above. Deviations from the interval before: 5 x 20 ms.
  CHECK(s.summary().skew == Approx(-5.0 / 40));
  CHECK(s.summary().variation == Approx(0.100 / 40));
  CHECK(s.summary().loss == Approx(0.1));
  for (int i = 0; i < 20; ++i) s.on_delay(Duration::millis(20));
  s.close_interval(++n);
  // Long mean (10 + 15) / 2 = 12.5: 20 above. Interval before: mean 15, so 20 x 5 ms more.
  CHECK(s.summary().skew == Approx(-25.0 / 60));
  CHECK(s.summary().variation == Approx(0.200 / 60));
  CHECK_FALSE(s.summary().ready);
  SECTION("too few samples say nothing") {
    s.on_delay(Duration::millis(500));
    s.close_interval(++n);
    CHECK_FALSE(s.fresh());
    CHECK(s.summary().skew == Approx(-25.0 / 60));
  }
  SECTION("each swing through the mean is a crossing, a ripple is none") {
    BottleneckStatistics swing, ripple;
    for (uint32_t t = 0; t < 60; ++t) {
      for (int i = 0; i < 20; ++i) {
        swing.on_delay(Duration::millis(t % 10 < 5 ? 10 : 50));
        ripple.on_delay(Duration::millis((i % 2 ? 10 : 50) + t % 2));
      }
      swing.close_interval(t);
      ripple.close_interval(t);
    }
    CHECK(swing.summary().frequency == Approx(0.2));  // one in five intervals
    CHECK(ripple.summary().frequency == 0);
  }
}

TEST_CASE("grouping splits by frequency, then variation, then skew or loss") {
  struct Case {
    const char* what;
    BottleneckSummary a, b;
    bool together;
  };
  BottleneckSummary quiet = summary(0.3, 0.010, 0.0);
  quiet.congested = false;
  const Case cases[] = {
      {"equal", summary(0.3, 0.010, 0.0), summary(0.3, 0.010, 0.0), true},
      {"near in all", summary(0.3, 0.010, 0.0), summary(0.35, 0.0095, 0.1), true},
      {"frequency differs", summary(0.3, 0.010, 0.0), summary(0.45, 0.010, 0.0), false},
      {"variation differs", summary(0.3, 0.010, 0.0), summary(0.3, 0.0085, 0.0), false},
      {"skew differs", summary(0.3, 0.010, -0.1), summary(0.3, 0.010, 0.08), false},
      {"with much loss the skew does not matter", summary(0.3, 0.010, -0.1, 0.10), summary(0.3, 0.010, 0.08, 0.098),
       true},
      {"with much loss the loss does", summary(0.3, 0.010, 0.0, 0.10), summary(0.3, 0.010, 0.0, 0.07), false},
      {"one is not congested", summary(0.3, 0.010, 0.0), quiet, false},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    const BottleneckSummary paths[] = {c.a, c.b};
    const auto groups = group_bottlenecks(paths);
    CHECK(groups[0] >= 0);
    CHECK((groups[0] == groups[1]) == c.together);
  }
  const BottleneckSummary chain[] = {summary(0.3, 0.010, 0.0), summary(0.6, 0.020, 0.0), summary(0.38, 0.010, 0.0)};
  const auto groups = group_bottlenecks(chain);
  CHECK(groups[0] == groups[2]);
  CHECK(groups[0] != groups[1]);
}

TEST_CASE("paths through one queue are found, whatever was believed") {
  for (const uint64_t seed : {11u, 222u, 3333u, 44444u}) {
    for (const double swing : {0.4, 1.5, 4.0}) {
      INFO("seed " << seed << ", swing of " << swing << " s");
      Queue q(seed, swing);
      const Outcome o = play({10, &q}, {150, &q}, 0, 0, 40);
      CHECK(o.shared);
      CHECK(o.shared_for > 0.9);
    }
  }
}

TEST_CASE("paths through different queues are set apart, whatever was believed") {
  for (const uint64_t seed : {11u, 222u, 3333u, 44444u}) {
    INFO("seed " << seed);
    Queue q(seed, 0.5), other(seed * 7, 3);
    const Outcome o = play({10, &q}, {30, &other}, 5, 5, 40);
    CHECK_FALSE(o.shared);
  }
}

// The RFC's statistics cannot tell these from one: they are equal, only not at the same moments.
TEST_CASE("equal links with equal traffic are not taken for one") {
  int wrong = 0, runs = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    for (const double swing : {0.4, 1.5, 4.0}) {
      Queue q(seed * 7919, swing), other(seed * 104729 + 13, swing);
      wrong += play({10, &q}, {30, &other}, 0, 0, 40).shared;
      ++runs;
    }
    wrong += play({10, nullptr, 5}, {10, nullptr, 5}, 0, 0, 40).shared;
    ++runs;
  }
  INFO(wrong << " of " << runs);
  CHECK(wrong <= 1);
}

TEST_CASE("a path without a queue does not share one") {
  Queue q(5, 1.5);
  CHECK_FALSE(play({10, &q}, {30, nullptr}, 5, 5, 40).shared);
}

TEST_CASE("without a queue anywhere, what is known of the links decides") {
  CHECK(play({10, nullptr}, {30, nullptr}, 5, 5, 40).shared);
  CHECK_FALSE(play({10, nullptr}, {30, nullptr}, 5, 6, 40).shared);
  CHECK_FALSE(play({10, nullptr}, {30, nullptr}, 0, 0, 40).shared);
}

TEST_CASE("the view of the siblings") {
  Coupling c;
  NoController controller;
  RttEstimator rtt;
  rtt.on_sample(Duration::millis(40), {}, Time{1});
  AckResult r;
  c.join(PathId{3}, 9);
  c.join(PathId{4}, 9);
  c.join(PathId{7}, 8);
  CHECK(c.group(PathId{3}) == c.group(PathId{4}));
  CHECK(c.group(PathId{3}) != c.group(PathId{7}));
  CHECK(c.group(PathId{5}) == -1);
  for (const PathId id : {PathId{3}, PathId{4}, PathId{7}}) c.on_sample(id, controller, {r, rtt, 500, 0, Time{5}});
  CHECK(controller.seen.paths.size() == 3);
  CHECK(controller.seen.own == 2);
  CHECK(c.view(PathId{4}).paths[1].window == 12'000);
  CHECK(c.view(PathId{4}).paths[1].capacity.bps == 2e6);
  CHECK(c.view(PathId{4}).paths[1].bytes_in_flight == 500);
  CHECK(c.view(PathId{4}).group_size() == 1);  // the sibling carries nothing yet
  c.set_live(PathId{3}, true);
  CHECK(c.view(PathId{4}).group_size() == 2);
  AckResult lossy;
  lossy.lost_bytes = 1'200;
  lossy.newest_lost_sent_at = Time{6};
  c.on_sample(PathId{4}, controller, {lossy, rtt, 500, 0, Time{8}});
  CHECK_FALSE(c.view(PathId{3}).others_lost_at().is_set());  // it carries nothing: whatever it lost, no queue overflowed
  c.set_live(PathId{4}, true);
  c.on_sample(PathId{4}, controller, {lossy, rtt, 500, 0, Time{8}});
  CHECK(c.view(PathId{3}).others_lost_at() == Time{6});
  CHECK_FALSE(c.view(PathId{4}).others_lost_at().is_set());
  CHECK_FALSE(c.view(PathId{7}).others_lost_at().is_set());  // another bottleneck
  CHECK(c.view(PathId{3}).group_capacity().bps == 4e6);
  // The one in the middle leaves: the others keep their relations.
  c.leave(PathId{4});
  CHECK(c.view(PathId{7}).paths.size() == 2);
  CHECK(c.group(PathId{3}) != c.group(PathId{7}));
  c.set_live(PathId{7}, true);
  c.on_sample(PathId{7}, controller, {lossy, rtt, 500, 0, Time{9}});
  c.join(PathId{8}, 8);
  CHECK(c.group(PathId{8}) == c.group(PathId{7}));
  CHECK_FALSE(c.view(PathId{8}).others_lost_at().is_set());  // it was not there then
  // On another network nothing is known.
  c.join(PathId{8}, 0);
  CHECK(c.group(PathId{8}) != c.group(PathId{7}));
  c.on_sample(PathId{99}, controller, {r, rtt, 0, 0, Time{5}});
  CHECK(controller.seen.paths.empty());
}

}  // namespace hawser
