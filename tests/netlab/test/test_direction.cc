// The link model in virtual time: rate, queue, delay, jitter, loss and changes come out exactly or within 2 %.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <vector>

#include "tests/netlab/emulator/direction.h"

using namespace hawser;
using namespace hawser::netlab;

namespace {

constexpr uint32_t kFull = 1514;
constexpr Time kStart{1'000'000'000};

DirectionSettings settings(const std::string& text) {
  LinkSettings both;
  size_t at = 0;
  while (at < text.size()) {
    size_t end = std::min(text.find(' ', at), text.size());
    Status status = parse_setting(both, Which::both, text.substr(at, end - at));
    if (!status) FAIL(status.error().message);
    at = end + 1;
  }
  return both.up;
}

// A direction with its pool, and what came out of it.
struct Lab {
  explicit Lab(const std::string& text, uint64_t seed = 7) : direction(pool, settings(text), seed) {}

  void arrive(Time at, uint32_t bytes = kFull) {
    drain(at);
    auto slot = pool.acquire();
    REQUIRE(slot);
    std::memcpy(pool.data(*slot), &at, sizeof at);
    direction.arrive(*slot, bytes, at);
  }

  void drain(Time until) {
    while (direction.next_due() <= until) {
      Time due = direction.next_due();
      direction.advance(due);
      while (auto departure = direction.pop_due(due)) {
        Time at;
        std::memcpy(&at, pool.data(departure->slot), sizeof at);
        out.push_back(departure->due);
        entered.push_back(at);
        delays.push_back(departure->due - at);
        pool.release(departure->slot);
      }
    }
  }

  void finish() { drain(Time::infinite() - Duration{1}); }

  FramePool pool{2048, 65536};
  Direction direction;
  // Of each frame that came out: when it did, when it had entered, how long it took.
  std::vector<Time> out, entered;
  std::vector<Duration> delays;

  bool in_order() const { return std::is_sorted(entered.begin(), entered.end()); }
};

double mean_ms(const std::vector<Duration>& values) {
  double sum = 0;
  for (Duration value : values) sum += value.to_millis();
  return sum / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("a frame takes its time on the wire and then the delay") {
  Lab lab("rate=20M delay=10ms");
  lab.arrive(kStart);
  lab.finish();
  REQUIRE(lab.delays.size() == 1);
  CHECK(lab.delays[0].ns == 10'000'000 + kFull * 8 * 50);  // 50 ns per bit
}

TEST_CASE("an overloaded link carries exactly its rate, and the queue adds exactly its length") {
  Lab lab("rate=20M delay=10ms queue=100k");
  for (int i = 0; i < 20000; ++i) lab.arrive(kStart + Duration::micros(300) * i);  // 40 Mbit/s
  lab.finish();
  double bits = static_cast<double>(lab.out.size() - 1) * kFull * 8;
  CHECK(bits / (lab.out.back() - lab.out.front()).to_seconds() == Approx(20e6).epsilon(0.0001));
  // A frame that just fits waits for 100 kB less itself, and for what is on the wire.
  double queue_ms = 100e3 * 8 / 20e6 * 1e3, frame_ms = kFull * 8 / 20e6 * 1e3;
  double longest = 0;
  for (Duration delay : lab.delays) longest = std::max(longest, delay.to_millis());
  CHECK(longest > 10 + queue_ms - frame_ms);
  CHECK(longest <= 10 + queue_ms + frame_ms);
  const Counters& counters = lab.direction.counters();
  CHECK(counters.in_packets == 20000);
  CHECK(counters.drop_queue + lab.out.size() == 20000);
  CHECK(lab.pool.in_use() == 0);
}

TEST_CASE("the default queue is 100 ms of the rate, but ten full frames at least") {
  CHECK(settings("rate=20M").queue_limit() == 250'000);
  CHECK(settings("rate=100k").queue_limit() == 15'140);
  CHECK(settings("rate=20M queue=0").queue_limit() == 0);
  CHECK(settings("delay=1ms").queue_limit() > 1'000'000'000);
}

TEST_CASE("a free wire takes a frame even without a queue") {
  Lab lab("rate=20M queue=0");
  lab.arrive(kStart);
  lab.arrive(kStart + Duration::micros(100));  // the wire is busy for 605 us
  lab.arrive(kStart + Duration::micros(700));
  lab.finish();
  CHECK(lab.out.size() == 2);
  CHECK(lab.direction.counters().drop_queue == 1);
}

TEST_CASE("random loss comes out within 2 %") {
  for (double loss : {0.005, 0.02, 0.3}) {
    const int frames = 4'000'000;
    Lab lab("delay=1ms loss=" + std::to_string(loss));
    for (int i = 0; i < frames; ++i) lab.arrive(kStart + Duration::micros(10) * i);
    lab.finish();
    CHECK(static_cast<double>(lab.direction.counters().drop_loss) / frames == Approx(loss).epsilon(0.02));
  }
}

TEST_CASE("Gilbert-Elliott loss: share p/(p+r), bursts of 1/r frames, within 2 %") {
  const int frames = 4'000'000;
  Lab lab("delay=1ms ge=2%:20%");
  uint64_t bursts = 0, lost_before = 0;
  bool was_lost = false;
  for (int i = 0; i < frames; ++i) {
    lab.arrive(kStart + Duration::micros(10) * i);
    bool lost = lab.direction.counters().drop_loss > lost_before;
    lost_before = lab.direction.counters().drop_loss;
    bursts += lost && !was_lost ? 1 : 0;
    was_lost = lost;
  }
  auto lost = static_cast<double>(lost_before);
  CHECK(lost / frames == Approx(0.02 / 0.22).epsilon(0.02));
  CHECK(lost / static_cast<double>(bursts) == Approx(5).epsilon(0.02));
}

TEST_CASE("Gilbert-Elliott with partial loss in both states") {
  const int frames = 4'000'000;
  Lab lab("ge=5%:15%:40%:1%");
  for (int i = 0; i < frames; ++i) lab.arrive(kStart + Duration::micros(10) * i);
  double bad = 0.05 / 0.20;
  CHECK(static_cast<double>(lab.direction.counters().drop_loss) / frames ==
        Approx(bad * 0.4 + (1 - bad) * 0.01).epsilon(0.02));
}

TEST_CASE("jitter keeps the order, stays in its range, and has the mean of a uniform draw") {
  for (const char* text : {"rate=50M delay=4ms jitter=4ms", "delay=20ms jitter=8ms jitter-period=1ms"}) {
    INFO(text);
    Lab lab(text);
    DirectionSettings set = lab.direction.settings();
    for (int i = 0; i < 400'000; ++i) lab.arrive(kStart + Duration::micros(400) * i);
    lab.finish();
    REQUIRE(lab.out.size() == 400'000);
    CHECK(lab.in_order());
    Duration wire = set.rate.bps > 0 ? set.rate.time_for(kFull) : Duration{};
    auto [low, high] = std::minmax_element(lab.delays.begin(), lab.delays.end());
    CHECK(*low >= set.delay + wire);
    CHECK(*high <= set.delay + set.jitter + wire + Duration{2});
    CHECK(*high - *low > set.jitter * 0.9);
    // A short period makes the order hold frames back; then the mean is higher.
    if (set.jitter_period.ns == 0) {
      CHECK(mean_ms(lab.delays) == Approx((set.delay + set.jitter / 2 + wire).to_millis()).epsilon(0.02));
    }
  }
}

TEST_CASE("jitter with reordering is drawn per frame") {
  Lab lab("delay=20ms jitter=8ms reorder=on");
  for (int i = 0; i < 100'000; ++i) lab.arrive(kStart + Duration::micros(400) * i);
  lab.finish();
  int overtaken = 0;
  for (size_t i = 1; i < lab.out.size(); ++i) {
    if (lab.entered[i] < lab.entered[i - 1]) ++overtaken;
  }
  CHECK(overtaken > 30'000);
  CHECK(mean_ms(lab.delays) == Approx(24).epsilon(0.02));
}

TEST_CASE("a blackhole lets nothing in and nothing out, and is counted") {
  Lab lab("rate=20M delay=10ms");
  for (int i = 0; i < 10; ++i) lab.arrive(kStart + Duration::millis(1) * i);
  Time cut = kStart + Duration::micros(12'700);  // three frames are through
  lab.drain(cut);
  CHECK(lab.out.size() == 3);
  lab.direction.set(settings("rate=20M delay=10ms blackhole=on"), cut);
  lab.arrive(cut + Duration::millis(1));
  lab.finish();
  CHECK(lab.out.size() == 3);
  CHECK(lab.direction.counters().drop_blackhole == 8);
  CHECK(lab.pool.in_use() == 0);
  lab.direction.set(settings("rate=20M delay=10ms"), cut + Duration::seconds(1));
  lab.arrive(cut + Duration::seconds(1));
  lab.finish();
  CHECK(lab.out.size() == 4);
}

TEST_CASE("a new rate holds for what waits, a shorter delay never reorders") {
  Lab lab("rate=1M delay=100ms queue=1M");
  for (int i = 0; i < 100; ++i) lab.arrive(kStart + Duration::micros(i));
  Time change = kStart + Duration::millis(200);
  lab.drain(change);
  lab.direction.set(settings("rate=100M delay=10ms queue=1M"), change);
  lab.finish();
  REQUIRE(lab.out.size() == 100);
  CHECK(lab.in_order());
  // 17 frames started at 1 Mbit/s, the other 83 take 10 ms together instead of a second.
  CHECK(lab.out.back() < change + Duration::millis(140));
}

TEST_CASE("duplicates") {
  Lab lab("delay=1ms duplicate=10%");
  for (int i = 0; i < 100'000; ++i) lab.arrive(kStart + Duration::micros(10) * i);
  lab.finish();
  CHECK(static_cast<double>(lab.out.size()) == Approx(110'000).epsilon(0.02));
  CHECK(lab.direction.counters().duplicated == lab.out.size() - 100'000);
}

TEST_CASE("the same seed gives the same losses") {
  std::vector<Time> first;
  for (uint64_t seed : {7u, 7u, 8u}) {
    Lab lab("delay=1ms loss=5% jitter=1ms", seed);
    for (int i = 0; i < 1000; ++i) lab.arrive(kStart + Duration::micros(500) * i);
    lab.finish();
    if (first.empty()) first = lab.out;
    CHECK((lab.out == first) == (seed == 7));
  }
}

TEST_CASE("settings: what people may write, and what is refused with a reason") {
  CHECK(settings("rate=1.5M").rate.bps == 1.5e6);
  CHECK(settings("rate=unlimited").rate.bps == 0);
  CHECK(settings("delay=250us").delay.ns == 250'000);
  CHECK(settings("loss=0.5%").loss == Approx(0.005));
  CHECK(settings("queue=64KiB").queue_bytes == 65536);
  CHECK(settings("ge=1%:25%:80%:0.1%").bursts->loss_good == Approx(0.001));
  // What is written reads back the same.
  std::string text = settings("rate=20M delay=10ms jitter=2ms queue=5000 loss=1% ge=1%:25% blackhole=on").to_text();
  CHECK(settings(text).to_text() == text);
  for (const char* bad : {"rate=fast", "rate=-1", "delay=10", "loss=150%", "loss=2", "queue=1ms", "ge=1%", "ge=1%:x",
                          "blackhole=yes", "speed=1", "rate", "rate=20Mx"}) {
    LinkSettings both;
    Status status = parse_setting(both, Which::both, bad);
    INFO(bad);
    REQUIRE_FALSE(status);
    CHECK_FALSE(status.error().message.empty());
  }
  LinkSettings both;
  CHECK(parse_setting(both, Which::both, "down.rate=5M"));
  CHECK(both.down.rate.bps == 5e6);
  CHECK(both.up.rate.bps == 0);
}

TEST_CASE("lateness percentiles are right within a bucket of 1/32") {
  Histogram histogram;
  for (int i = 1; i <= 10000; ++i) histogram.add(Duration::micros(i));
  CHECK(histogram.percentile(0.5).to_millis() == Approx(5).epsilon(0.04));
  CHECK(histogram.percentile(0.999).to_millis() == Approx(9.99).epsilon(0.04));
  CHECK(histogram.max().to_millis() == Approx(10));
  histogram.add(Duration::micros(-5));
  CHECK(histogram.percentile(0).ns == 0);
}
