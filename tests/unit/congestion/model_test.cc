// The default controller against an ideal link in virtual time: it finds the rate, keeps the queue small, and does not
// mistake the radio's losses for congestion.
#include <catch2/catch.hpp>

#include <deque>
#include <optional>

#include "common/congestion/controller.h"
#include "common/congestion/coupling.h"
#include "common/congestion/pacer.h"

namespace hawser {
namespace {

constexpr uint16_t kSize = 1472;
constexpr Time kBegin{1'000'000'000};
constexpr Duration kTick = Duration::micros(100);

// A drop-tail link with random loss, which several senders may share.
struct SharedLink {
  BitRate rate;
  size_t queue_bytes;
  double random_loss = 0;
  Duration filled{};  // somebody else keeps that much in the queue
  Time busy{};
  uint64_t seed = 99;

  Duration queued(Time now) const { return std::max(filled, busy - now); }
  // When the datagram is through, or nothing when it is lost.
  std::optional<Time> pass(Time now) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    const bool lose = static_cast<double>(seed % 10000) < random_loss * 10000;
    if (lose || rate.bytes_in(queued(now)) > static_cast<double>(queue_bytes)) return std::nullopt;
    busy = now + queued(now) + rate.time_for(kSize);
    return busy;
  }
};

// A sender with the default controller, or another; backlogged unless `application` limits it.
struct Sender {
  Sender(uint64_t seed, Duration one_way, wire::CongestionKind kind = wire::CongestionKind::automatic)
      : controller(make_controller(kind, kSize, seed)), delay(one_way) {}

  void take_acks(Time now) {
    while (!acks.empty() && acks.front().at <= now) {
      wire::AckFrame f;
      f.ranges[0] = {PacketNumber{acks.front().pn}, PacketNumber{acks.front().pn}};
      f.range_count = 1;
      f.largest_received_at = now;
      const AckResult r = sent.on_ack(f, true, rtt, owd, now, lost);
      tell({r, rtt, sent.bytes_in_flight(), sent.delivered(), now});
      delivered += r.acked_bytes;
      acks.pop_front();
    }
    if (sent.loss_time() > now) return;
    const AckResult r = sent.on_loss_timer(rtt, now, lost);
    tell({r, rtt, sent.bytes_in_flight(), sent.delivered(), now});
  }
  void tell(const CongestionSample& s) {
    if (coupling == nullptr) return controller->on_sample(s);
    coupling->on_sample(id, *controller, s);
  }
  void send(SharedLink& link, Time now) {
    while (pacer.may_send(now) && sent.bytes_in_flight() + kSize <= controller->congestion_window()) {
      if (application.bps > 0) {
        if (!own_pace.may_send(now)) return;
        own_pace.on_sent(now, kSize, application);
      }
      const uint64_t pn = sent.next().value;
      pacer.on_sent(now, kSize, controller->pacing_rate());
      controller->on_sent(now, sent.bytes_in_flight(), kSize);
      const bool nothing_left = application.bps > 0 && !own_pace.may_send(now);
      sent.on_sent(now, kSize, true,
                   nothing_left && sent.bytes_in_flight() + 2 * kSize <= controller->congestion_window());
      queue_sum_ms += link.queued(now).to_millis();
      ++datagrams;
      if (const auto through = link.pass(now)) {
        acks.push_back({arrive(*through) + delay * 2, pn});
      } else {
        ++dropped;
      }
    }
  }
  // What came through the link at that time, a radio's jitter later: nothing overtakes.
  Time arrive(Time through) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const double drawn = static_cast<double>(random >> 40) / static_cast<double>(1u << 24);
    newest_arrival = std::max(newest_arrival, through + jitter * drawn);
    return newest_arrival;
  }
  void forget_counts() { delivered = dropped = datagrams = 0, queue_sum_ms = 0; }

  struct Arrival {
    Time at;
    uint64_t pn;
  };
  std::unique_ptr<Controller> controller;
  Duration delay;
  Duration jitter{};  // at most
  Time newest_arrival{};
  uint64_t random = 5;
  BitRate application{};  // what there is to send; zero: always enough
  Coupling* coupling = nullptr;
  PathId id;
  SentPackets sent;
  SentPackets::LostSegments lost;
  RttEstimator rtt;
  OneWayDelay owd;
  Pacer pacer, own_pace;
  std::deque<Arrival> acks;
  uint64_t delivered = 0, dropped = 0, datagrams = 0;
  double queue_sum_ms = 0;
};

// Lets them all send until `until`.
void run(SharedLink& link, std::initializer_list<Sender*> senders, Time& now, Time until) {
  for (; now < until; now += kTick) {
    for (Sender* s : senders) s->take_acks(now);
    for (Sender* s : senders) s->send(link, now);
  }
}

struct LinkResult {
  double mbps = 0;
  double mean_queue_ms = 0;
  double loss = 0;
};

// One backlogged sender; the second half of the run is measured, at `new_rate` when one is given.
LinkResult run(double rate_bps, Duration one_way, double random_loss, size_t queue_bytes, Duration length,
               double new_rate = 0) {
  SharedLink link{BitRate{rate_bps}, queue_bytes, random_loss};
  Sender sender(7, one_way);
  Time now = kBegin;
  run(link, {&sender}, now, kBegin + length / 2);
  if (new_rate > 0) link.rate.bps = new_rate;
  sender.forget_counts();
  run(link, {&sender}, now, kBegin + length);
  LinkResult result;
  result.mbps = static_cast<double>(sender.delivered) * 8 / (length / 2).to_seconds() / 1e6;
  const auto datagrams = static_cast<double>(sender.datagrams);
  result.mean_queue_ms = datagrams > 0 ? sender.queue_sum_ms / datagrams : 0;
  result.loss = datagrams > 0 ? static_cast<double>(sender.dropped) / datagrams : 0;
  return result;
}

}  // namespace

TEST_CASE("the model fills a link and keeps its queue small") {
  struct Case {
    const char* what;
    double mbps;
    int one_way_ms;
    double loss;
    size_t queue;
    double share;
    double queue_ms;
  };
  const Case cases[] = {
      {"20 Mbit/s, 10 ms", 20, 10, 0, 250'000, 0.97, 6},
      {"30 Mbit/s, 25 ms", 30, 25, 0, 375'000, 0.97, 8},
      {"1 Mbit/s, 30 ms", 1, 30, 0, 60'000, 0.93, 40},
      {"100 Mbit/s, 5 ms", 100, 5, 0, 500'000, 0.97, 5},
      {"60 Mbit/s, 100 ms", 60, 100, 0, 1'000'000, 0.95, 20},
      {"20 Mbit/s, 2 % random loss", 20, 15, 0.02, 250'000, 0.94, 8},
      {"50 Mbit/s, 8 % random loss", 50, 4, 0.08, 250'000, 0.86, 8},
      {"20 Mbit/s, queue of a quarter BDP", 20, 20, 0, 25'000, 0.93, 8},
  };
  for (const Case& c : cases) {
    const LinkResult r = run(c.mbps * 1e6, Duration::millis(c.one_way_ms), c.loss, c.queue, Duration::seconds(16));
    INFO(c.what << ": " << r.mbps << " Mbit/s, queue " << r.mean_queue_ms << " ms, loss " << r.loss);
    CHECK(r.mbps > c.share * c.mbps * (c.loss > 0 ? 1 - c.loss / 2 : 1));
    CHECK(r.mean_queue_ms < c.queue_ms);
  }
}

TEST_CASE("a rate that falls to a fifth is followed, and the queue does not stay") {
  // How much stands at first depends on the moment: a probe, a drain. So several moments.
  constexpr int kMoments = 10;
  double queue_ms = 0;
  for (int i = 0; i < kMoments; ++i) {
    const Duration length = Duration::seconds(20) + Duration::millis(130) * i;
    const LinkResult r = run(50e6, Duration::millis(15), 0, 400'000, length, 10e6);
    INFO(r.mbps << " Mbit/s, queue " << r.mean_queue_ms << " ms, loss " << r.loss);
    CHECK(r.mbps > 9.3);
    CHECK(r.mean_queue_ms < 90);
    queue_ms += r.mean_queue_ms / kMoments;
  }
  CHECK(queue_ms < 35);
}

TEST_CASE("two senders at one link come to even shares, the later one from nothing, both ways round") {
  struct Case {
    const char* what;
    double mbps;
    Duration first, second;
    double least;
  };
  const Case cases[] = {
      {"alike", 40, Duration::millis(10), Duration::millis(10), 0.4},
      {"slow", 6, Duration::millis(20), Duration::millis(20), 0.4},
      {"fast", 150, Duration::millis(5), Duration::millis(5), 0.4},
      // The longer the way, the more queue it allows itself: far flows have the advantage, within bounds.
      {"the later one is farther away", 40, Duration::millis(10), Duration::millis(20), 0.3},
      {"the later one is nearer", 40, Duration::millis(20), Duration::millis(10), 0.3},
  };
  for (const Case& c : cases) {
    SharedLink link{BitRate{c.mbps * 1e6}, static_cast<size_t>(BitRate{c.mbps * 1e6}.bytes_in(Duration::millis(60)))};
    Sender first(7, c.first), second(11, c.second);
    Time now = kBegin;
    run(link, {&first}, now, kBegin + Duration::seconds(4));
    run(link, {&first, &second}, now, kBegin + Duration::seconds(12));
    first.forget_counts(), second.forget_counts();
    run(link, {&first, &second}, now, kBegin + Duration::seconds(24));
    const double both = static_cast<double>(first.delivered + second.delivered);
    const double share = static_cast<double>(second.delivered) / both;
    INFO(c.what << ": the later one has " << share << " of " << both * 8 / 12e6 << " Mbit/s");
    CHECK(share > c.least);
    CHECK(share < 1 - c.least);
    CHECK(both * 8 / 12e6 > 0.93 * c.mbps);
  }
}

namespace {

// What the window holds beyond the round trip, as time; the least of two seconds, so that no probe is meant.
Duration queue_allowed(double rate_bps, Duration one_way) {
  SharedLink link{BitRate{rate_bps}, 2'000'000};
  Sender sender(7, one_way);
  Time now = kBegin;
  run(link, {&sender}, now, kBegin + Duration::seconds(6));
  Duration least = Duration::infinite();
  while (now < kBegin + Duration::seconds(8)) {
    run(link, {&sender}, now, now + Duration::millis(10));
    const auto window = static_cast<double>(sender.controller->congestion_window());
    least = std::min(least, sender.controller->capacity().time_for(window) - one_way * 2);
  }
  return least;
}

}  // namespace

TEST_CASE("the higher the rate, the less queue it allows itself") {
  const Duration slow = queue_allowed(10e6, Duration::millis(20)), fast = queue_allowed(150e6, Duration::millis(20));
  INFO(slow.to_millis() << " ms at 10 Mbit/s, " << fast.to_millis() << " ms at 150 Mbit/s");
  CHECK(slow - fast > Duration::millis(8));
}

TEST_CASE("the longer the way, the more queue it allows itself, within bounds") {
  const Duration near = queue_allowed(20e6, Duration::millis(10)), far = queue_allowed(20e6, Duration::millis(125));
  INFO(near.to_millis() << " ms by a way of 10 ms, " << far.to_millis() << " ms by one of 125 ms");
  CHECK(far > near);
  CHECK(far - near < Duration::millis(12));
}

TEST_CASE("what a far sender of our kind leaves in a queue is not taken for a rival's") {
  SharedLink link{BitRate{10e6}, 200'000};
  Sender near(7, Duration::millis(5)), far(11, Duration::millis(40));
  Time now = kBegin;
  run(link, {&near, &far}, now, kBegin + Duration::seconds(17));
  near.forget_counts(), far.forget_counts();
  run(link, {&near, &far}, now, kBegin + Duration::seconds(57));
  const double both = static_cast<double>(near.delivered + far.delivered);
  const double queue = near.queue_sum_ms / static_cast<double>(near.datagrams);
  INFO("a queue of " << queue << " ms, the far one has " << static_cast<double>(far.delivered) / both);
  CHECK(queue < 45);
  CHECK(static_cast<double>(near.delivered) > 0.25 * both);
  CHECK(static_cast<double>(far.delivered) > 0.25 * both);
}

TEST_CASE("who sends less than the model says while a queue stands loses the claim to the rest") {
  SharedLink link{BitRate{40e6}, 300'000};
  Sender limited(7, Duration::millis(10));
  Time now = kBegin;
  run(link, {&limited}, now, kBegin + Duration::seconds(4));
  REQUIRE(limited.controller->capacity().bps > 36e6);
  limited.application = BitRate{6e6};
  SECTION("somebody else has taken it") {
    link.filled = Duration::millis(30);
    run(link, {&limited}, now, kBegin + Duration::seconds(8));
    CHECK(limited.controller->capacity().bps < 20e6);
    // And takes it back when it is free again.
    link.filled = Duration{};
    limited.application = BitRate{};
    run(link, {&limited}, now, kBegin + Duration::seconds(14));
    CHECK(limited.controller->capacity().bps > 36e6);
  }
  SECTION("nobody has: it is still there") {
    run(link, {&limited}, now, kBegin + Duration::seconds(12));
    CHECK(limited.controller->capacity().bps > 36e6);
  }
}

TEST_CASE("beside a sender that keeps a long buffer full the model keeps a part, and afterwards a short queue") {
  SharedLink link{BitRate{20e6}, 250'000};
  Sender ours(7, Duration::millis(10)), other(11, Duration::millis(10), wire::CongestionKind::cubic);
  Time now = kBegin;
  run(link, {&ours}, now, kBegin + Duration::seconds(4));
  run(link, {&ours, &other}, now, kBegin + Duration::seconds(30));
  ours.forget_counts(), other.forget_counts();
  run(link, {&ours, &other}, now, kBegin + Duration::seconds(60));
  const double share = static_cast<double>(ours.delivered) / static_cast<double>(ours.delivered + other.delivered);
  INFO("our share " << share);
  CHECK(share > 0.3);
  CHECK(share < 0.6);
  // The other has gone; at the latest at the second deep drain that is noticed.
  run(link, {&ours}, now, kBegin + Duration::seconds(75));
  ours.forget_counts();
  run(link, {&ours}, now, kBegin + Duration::seconds(85));
  CHECK(ours.queue_sum_ms / static_cast<double>(ours.datagrams) < 6);
}

// How often `ours`, one of `senders`, probes for more within `length`.
int probes(SharedLink& link, Sender& ours, std::initializer_list<Sender*> senders, Time& now, Duration length) {
  int count = 0;
  bool probing = false;
  for (const Time end = now + length; now < end;) {
    run(link, senders, now, now + Duration::millis(1));
    const bool above = ours.controller->pacing_rate() > ours.controller->capacity() * 1.2;
    count += above && !probing;
    probing = above;
  }
  return count;
}

TEST_CASE("where a flow beside ours makes a queue overflow, probes are as far apart as it needs to grow again") {
  const Duration second = Duration::seconds(1);
  // 20 Mbit/s and 20 ms are 33 datagrams: 28 round trips of 30 to 40 ms apart, or a second while the queue is in doubt.
  SharedLink shared{BitRate{20e6}, 50'000};
  Sender ours(7, Duration::millis(10)), other(11, Duration::millis(10), wire::CongestionKind::reno);
  Time now = kBegin;
  run(shared, {&ours, &other}, now, kBegin + second * 20);
  const int beside = probes(shared, ours, {&ours, &other}, now, second * 60);
  INFO("probes in a minute: beside Reno " << beside);
  CHECK(beside >= 40);
  CHECK(beside <= 120);
  // Random losses are no reason.
  SharedLink radio{BitRate{20e6}, 250'000, 0.02};
  Sender alone(7, Duration::millis(10));
  now = kBegin;
  run(radio, {&alone}, now, kBegin + second * 20);
  CHECK(probes(radio, alone, {&alone}, now, second * 60) >= 200);
}

TEST_CASE("two paths of one bottleneck leave a sender that keeps a long buffer full what one path would") {
  SharedLink link{BitRate{20e6}, 250'000};
  Sender first(7, Duration::millis(10)), second(8, Duration::millis(10));
  Sender other(11, Duration::millis(10), wire::CongestionKind::cubic);
  Coupling coupling;
  for (Sender* s : {&first, &second}) {
    s->coupling = &coupling;
    s->id = PathId{static_cast<uint32_t>(s == &first ? 1 : 2)};
    coupling.join(s->id, 9);
    coupling.set_live(s->id, true);
  }
  Time now = kBegin;
  run(link, {&first, &second, &other}, now, kBegin + Duration::seconds(30));
  for (Sender* s : {&first, &second, &other}) s->forget_counts();
  run(link, {&first, &second, &other}, now, kBegin + Duration::seconds(90));
  const auto ours = static_cast<double>(first.delivered + second.delivered);
  const double share = ours / (ours + static_cast<double>(other.delivered));
  INFO("our share " << share);
  CHECK(share > 0.3);
  CHECK(share < 0.5);  // .51 when each answers its own losses only
}

TEST_CASE("a way that has become longer is not taken for rivals for ever") {
  SharedLink link{BitRate{20e6}, 2'000'000};
  Sender ours(7, Duration::millis(10));
  Time now = kBegin;
  run(link, {&ours}, now, kBegin + Duration::seconds(4));
  ours.delay = Duration::millis(60);
  run(link, {&ours}, now, kBegin + Duration::seconds(45));
  ours.forget_counts();
  run(link, {&ours}, now, kBegin + Duration::seconds(60));
  CHECK(ours.queue_sum_ms / static_cast<double>(ours.datagrams) < 25);
  CHECK(static_cast<double>(ours.delivered) * 8 / 15e6 > 18);
}

TEST_CASE("small trains, far from the path's rate, do not end the search for it") {
  SharedLink link{BitRate{50e6}, 250'000};
  Sender s(7, Duration::millis(20));
  Time now = kBegin;
  const auto train = [&](int packets, bool told) {  // told: the last has nothing behind it
    for (int i = 0; i < packets; ++i) {
      const uint64_t pn = s.sent.next().value;
      s.sent.on_sent(now, kSize, true, told && i + 1 == packets);
      if (const auto through = link.pass(now)) s.acks.push_back({*through + s.delay * 2, pn});
    }
    for (const Time end = now + Duration::millis(50); now < end; now += kTick) s.take_acks(now);
  };
  train(20, true);
  for (int i = 0; i < 9; ++i) train(3, false);
  CHECK(s.controller->still_searching());
}

// While packets wait for another path nobody calls what this one carries application-limited.
TEST_CASE("what uses little of the window does not end the search on a jittery path") {
  for (const auto& [train, gap] : {std::pair(2, Duration::millis(15)), std::pair(3, Duration::millis(30))}) {
    SharedLink link{BitRate{100e6}, 1'000'000};
    Sender s(7, Duration::millis(20));
    s.jitter = Duration::millis(20);
    Time now = kBegin;
    run(link, {&s}, now, kBegin + Duration::millis(60));
    for (int i = 0; i < 100; ++i) {
      for (int k = 0; k < train; ++k) {
        const uint64_t pn = s.sent.next().value;
        s.sent.on_sent(now, kSize, true, false);
        if (const auto through = link.pass(now)) s.acks.push_back({s.arrive(*through) + s.delay * 2, pn});
      }
      for (const Time end = now + gap; now < end; now += kTick) s.take_acks(now);
    }
    INFO(train << " datagrams each " << gap.to_millis() << " ms");
    CHECK(s.controller->still_searching());
  }
}

TEST_CASE("a few datagrams that stand behind one that jitter has delayed do not end the search") {
  for (const double rate : {0.3e6, 0.6e6, 1e6}) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      SharedLink link{BitRate{100e6}, 1'000'000};
      Sender s(seed, Duration::millis(1));
      s.jitter = Duration::millis(100);
      s.random = seed * 77;
      s.application = BitRate{rate};
      Time now = kBegin;
      run(link, {&s}, now, kBegin + Duration::seconds(4));
      INFO("seed " << seed << ", " << rate / 1e6 << " Mbit/s");
      CHECK(s.controller->still_searching());
    }
  }
}

TEST_CASE("a jittery link is filled whatever the least round trip of its first few datagrams was") {
  // In order, so that at the full rate one delayed datagram holds up all behind it.
  const Duration jitter = GENERATE(Duration::millis(20), Duration::millis(40), Duration::millis(80), Duration::millis(100));
  const bool trickles_first = GENERATE(false, true);
  SharedLink link{BitRate{50e6}, 1'000'000};
  Sender s(7, Duration::millis(5));
  s.jitter = jitter;
  Time now = kBegin;
  s.application = trickles_first ? BitRate{6e6} : BitRate{};
  run(link, {&s}, now, kBegin + Duration::seconds(8));
  s.application = BitRate{};
  run(link, {&s}, now, now + Duration::seconds(2));
  // In every four seconds of the next twelve.
  for (int i = 0; i < 3; ++i) {
    s.forget_counts();
    run(link, {&s}, now, now + Duration::seconds(4));
    const double mbps = static_cast<double>(s.delivered) * 8 / 4e6;
    INFO(mbps << " Mbit/s of 50 with " << jitter.to_millis() << " ms of jitter" << (trickles_first ? " after a trickle" : ""));
    CHECK(mbps > 45);
  }
}

TEST_CASE("the pacer spreads at the rate and owes at most a burst after idling") {
  Pacer p;
  Time now{1'000'000'000};
  const BitRate rate{8e6};  // 1000 bytes a millisecond
  int sent = 0;
  for (int i = 0; i < 10'000; ++i) {
    while (p.may_send(now)) p.on_sent(now, 1000, rate), ++sent;
    now += Duration::micros(100);
  }
  CHECK(sent == Approx(1000).margin(10));
  now += Duration::seconds(5);
  int burst = 0;
  while (p.may_send(now)) p.on_sent(now, 1000, rate), ++burst;
  CHECK(burst <= 5);
}

}  // namespace hawser
