// The default controller against an ideal link in virtual time: it finds the rate, keeps the queue small, and does not
// mistake the radio's losses for congestion.
#include <catch2/catch.hpp>

#include <deque>

#include "common/congestion/pacer.h"
#include "common/congestion/controller.h"

namespace hawser {
namespace {

struct LinkResult {
  double mbps = 0;
  double mean_queue_ms = 0;
  double loss = 0;
};

// One backlogged sender over a drop-tail link with random loss; the second half of the run is measured.
LinkResult run(double rate_bps, Duration one_way, double random_loss, size_t queue_bytes, Duration length, double new_rate = 0) {
  constexpr uint16_t kSize = 1472;
  auto c = make_controller(wire::CongestionKind::automatic, kSize, 7);
  SentPackets sent;
  RttEstimator rtt;
  OneWayDelay owd;
  Pacer pacer;
  SentPackets::LostSegments lost;
  struct Arrival {
    Time at;
    uint64_t pn;
  };
  std::deque<Arrival> acks;
  Time now{1'000'000'000}, busy;
  const Time begin = now;
  uint64_t seed = 99, delivered = 0, dropped = 0, total = 0;
  double queue_sum = 0;
  while (now - begin < length) {
    const bool late = now - begin > length / 2;
    const BitRate rate{late && new_rate > 0 ? new_rate : rate_bps};
    while (!acks.empty() && acks.front().at <= now) {
      wire::AckFrame f;
      f.ranges[0] = {PacketNumber{acks.front().pn}, PacketNumber{acks.front().pn}};
      f.range_count = 1;
      f.largest_received_at = now;
      const AckResult r = sent.on_ack(f, true, rtt, owd, now, lost);
      c->on_sample({r, rtt, sent.bytes_in_flight(), sent.delivered(), now});
      if (late) delivered += r.acked_bytes;
      acks.pop_front();
    }
    if (sent.loss_time() <= now) {
      const AckResult r = sent.on_loss_timer(rtt, now, lost);
      c->on_sample({r, rtt, sent.bytes_in_flight(), sent.delivered(), now});
    }
    while (pacer.may_send(now) && sent.bytes_in_flight() + kSize <= c->congestion_window()) {
      const uint64_t pn = sent.next().value;
      pacer.on_sent(now, kSize, c->pacing_rate());
      sent.on_sent(now, kSize, true, false);
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      const Time start = std::max(now, busy);
      const double queued = rate.bytes_in(start - now);
      if (late) queue_sum += (start - now).to_millis(), ++total;
      const bool lose = static_cast<double>(seed % 10000) < random_loss * 10000;
      if (lose || queued > static_cast<double>(queue_bytes)) {
        if (late) ++dropped;
        continue;
      }
      busy = start + rate.time_for(kSize);
      acks.push_back({busy + one_way * 2, pn});
    }
    now += Duration::micros(100);
  }
  LinkResult result;
  result.mbps = static_cast<double>(delivered) * 8 / (length / 2).to_seconds() / 1e6;
  result.mean_queue_ms = total ? queue_sum / static_cast<double>(total) : 0;
  result.loss = total ? static_cast<double>(dropped) / static_cast<double>(total) : 0;
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
  const LinkResult r = run(50e6, Duration::millis(15), 0, 400'000, Duration::seconds(20), 10e6);
  INFO(r.mbps << " Mbit/s, queue " << r.mean_queue_ms << " ms, loss " << r.loss);
  CHECK(r.mbps > 9.3);
  CHECK(r.mean_queue_ms < 60);
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
