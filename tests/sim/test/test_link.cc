// Does a link do what it says: rate, delay, queue, loss, bursts, jitter, duplication, CoDel, outages.
#include <cstring>

#include "tests/sim/test/truth.h"

namespace hawser::sim {
namespace {

// Frames of `wire_bytes` pushed into one direction; when each one came out.
struct Probe final : FrameSink {
  explicit Probe(const DirectionSettings& s, uint64_t seed = 7) : direction(loop, "probe", s, Random(seed, "probe")) {
    route = {{&direction}, this};
  }
  void push(uint32_t id, size_t wire_bytes = 1000) {
    auto f = std::make_unique<Frame>();
    f->bytes.resize(4);
    std::memcpy(f->bytes.data(), &id, 4);
    f->wire_bytes = wire_bytes;
    f->route = &route;
    launch(std::move(f));
  }
  // One frame each `gap`.
  void push_many(uint32_t count, Duration gap, size_t wire_bytes = 1000) {
    for (uint32_t i = 0; i < count; ++i) {
      push(i, wire_bytes);
      loop.run_until(loop.now() + gap);
    }
    loop.run_until(loop.now() + Duration::seconds(5));
  }
  void on_frame(FramePtr f) override {
    uint32_t id;
    std::memcpy(&id, f->bytes.data(), 4);
    ids.push_back(id);
    times.push_back(loop.now());
  }

  EventLoop loop;
  Direction direction;
  Route route;
  std::vector<uint32_t> ids;
  std::vector<Time> times;
};

}  // namespace

TEST_CASE("a frame takes its time on the wire and the delay") {
  Probe p(wire({8e6}, Duration::millis(10)));
  p.push(0);
  p.loop.run_until(p.loop.now() + Duration::seconds(1));
  REQUIRE(p.times.size() == 1);
  CHECK(p.times[0] - EventLoop::kStart == Duration::millis(11));  // 1000 bytes at 8 Mbit/s: 1 ms
}

TEST_CASE("the rate comes out to the bit, and the queue holds what its limit says") {
  DirectionSettings s = wire({8e6}, Duration{});
  s.queue_bytes = 5'000;
  Probe p(s);
  for (uint32_t i = 0; i < 20; ++i) p.push(i);
  p.loop.run_until(p.loop.now() + Duration::seconds(1));
  CHECK(p.ids == std::vector<uint32_t>{0, 1, 2, 3, 4, 5});  // one on the wire, five waiting
  CHECK(p.times.back() - EventLoop::kStart == Duration::millis(6));
  CHECK(p.direction.counters().drop_queue == 14);
}

TEST_CASE("the measured loss does not count what was lost before") {
  DirectionSettings s = wire({8e6}, Duration{});
  s.queue_bytes = 5'000;
  Probe p(s);
  CHECK(p.direction.measured_loss() == 0);
  for (uint32_t i = 0; i < 20; ++i) p.push(i);
  CHECK(p.direction.measured_loss() == Approx(0.7));
  p.loop.run_until(p.loop.now() + Duration::seconds(1));
  p.direction.begin_measuring();
  CHECK(p.direction.measured_loss() == 0);
  for (uint32_t i = 0; i < 8; ++i) p.push(i);
  CHECK(p.direction.measured_loss() == Approx(0.25));
}

TEST_CASE("a rate that changes applies to what waits") {
  Probe p(wire({8e6}, Duration{}));
  for (uint32_t i = 0; i < 3; ++i) p.push(i);
  p.direction.set(wire({80e6}, Duration{}));
  p.loop.run_until(p.loop.now() + Duration::seconds(1));
  CHECK(p.times.at(0) - EventLoop::kStart == Duration::millis(1));
  CHECK(p.times.at(2) - p.times.at(0) == Duration::micros(200));
}

TEST_CASE("random loss has its rate, and what is lost has used the wire") {
  DirectionSettings s = wire({80e6}, Duration::millis(1));
  s.loss = 0.02;
  Probe p(s);
  p.push_many(50'000, Duration::micros(100));
  CHECK(p.ids.size() == Approx(49'000).margin(150));
}

TEST_CASE("bursts of loss have their rate and their length") {
  DirectionSettings s = wire({}, Duration::millis(1));
  s.bursts = GilbertElliott{0.01, 0.25, 1, 0};
  Probe p(s);
  p.push_many(100'000, Duration::micros(10));
  const double lost = 100'000.0 - static_cast<double>(p.ids.size());
  CHECK(lost / 100'000 == Approx(0.01 / 0.26).epsilon(0.1));
  uint32_t bursts = 0;
  for (size_t i = 1; i < p.ids.size(); ++i) bursts += p.ids[i] > p.ids[i - 1] + 1;
  CHECK(lost / bursts == Approx(4).epsilon(0.1));
}

TEST_CASE("ordered jitter never overtakes and stays within its bound; the other forms do overtake") {
  using enum DirectionSettings::Jitter;
  for (const auto form : {ordered, reordering, normal}) {
    DirectionSettings s = wire({}, Duration::millis(20));
    s.jitter = Duration::millis(4);
    s.jitter_form = form;
    Probe p(s);
    p.push_many(5'000, Duration::micros(500));
    REQUIRE(p.ids.size() == 5'000);
    CHECK(std::is_sorted(p.ids.begin(), p.ids.end()) == (form == ordered));
    Samples delay;
    for (size_t i = 0; i < p.ids.size(); ++i) {
      delay.add((p.times[i] - EventLoop::kStart - Duration::micros(500) * p.ids[i]).to_millis());
    }
    CHECK(delay.mean() == Approx(form == normal ? 20 : 22).margin(0.3));
    if (form != normal) CHECK(delay.max() <= 24.0);
    if (form == normal) CHECK(delay.percentile(0.84) == Approx(24).margin(0.3));  // one standard deviation
  }
}

TEST_CASE("duplicates have their rate") {
  DirectionSettings s = wire({}, Duration::millis(1));
  s.duplicate = 0.1;
  Probe p(s);
  p.push_many(10'000, Duration::micros(10));
  CHECK(p.ids.size() == Approx(11'000).margin(120));
}

TEST_CASE("a blackhole swallows what comes and what is under way; a pause only holds") {
  for (const bool pause : {false, true}) {
    DirectionSettings s = wire({8e6}, Duration::millis(10));
    Probe p(s);
    p.push(0);
    p.loop.run_until(p.loop.now() + Duration::millis(5));
    DirectionSettings broken = s;
    (pause ? broken.paused : broken.blackhole) = true;
    p.direction.set(broken);
    p.push(1);
    p.loop.run_until(p.loop.now() + Duration::millis(100));
    p.direction.set(s);
    p.push(2);
    p.loop.run_until(p.loop.now() + Duration::millis(100));
    CHECK(p.ids == (pause ? std::vector<uint32_t>{0, 1, 2} : std::vector<uint32_t>{2}));
  }
}

TEST_CASE("CoDel keeps the queue short where drop-tail fills it") {
  for (const bool codel : {false, true}) {
    DirectionSettings s = wire({10e6}, Duration::millis(10));
    if (codel) s.queue_kind = DirectionSettings::Queue::codel;
    Pair pair(s);
    pair.add({});
    pair.run(Duration::seconds(20));
    const double median = pair.link.down.counters().queue_delay_ms.percentile(0.5);
    CHECK((median < 20) == codel);
  }
}

TEST_CASE("the same seed draws the same, another one something else") {
  DirectionSettings s = wire({}, Duration::millis(1));
  s.loss = 0.3;
  Probe a(s, 1), b(s, 1), c(s, 2);
  for (Probe* p : {&a, &b, &c}) p->push_many(100, Duration::micros(10));
  CHECK(a.ids == b.ids);
  CHECK(a.ids != c.ids);
}

}  // namespace hawser::sim
