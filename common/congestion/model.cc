// The model's state machine: startup (double until the rate stands still), drain, then cycles of cruise, probe up, probe
// down (BBR: Cardwell et al., ACM Queue 2016; draft-ietf-ccwg-bbr). What differs, and why, is said at the constants.
#include "common/congestion/model.h"

#include <algorithm>
#include <cmath>

namespace hawser {
namespace {

constexpr double kStartupGain = 2.885;      // 2/ln 2: doubles each round
constexpr double kDrainGain = 1 / 2.885;
constexpr double kProbeUpGain = 1.25;
constexpr double kProbeDownGain = 0.75;
constexpr double kCruiseGain = 1.0;         // no margin below the model: it would be paid on every byte
constexpr double kWindowGain = 1.25;
constexpr double kStartupWindowGain = 2.885;
constexpr Duration kAckAggregation = Duration::millis(8);  // ack delay and a scheduler's slice: in flight, not queued
constexpr int kCruiseRoundsMin = 4, kCruiseRoundsSpread = 4;
constexpr Duration kCruiseMin = Duration::millis(100);
constexpr double kLossIsCongestion = 0.10;  // DESIGN.md, 5: below it, without a rise of delay, loss is the radio's
constexpr double kProbeLossExcess = 0.05;   // loss while probing above that while cruising: the queue is shorter than the probe
constexpr double kFarBelow = 0.7;
constexpr Duration kDeepDrainEvery = Duration::seconds(5);  // refreshes min_rtt in place of BBR's ProbeRTT
constexpr uint64_t kInitialDatagrams = 10;  // RFC 6928
constexpr uint64_t kMinDatagrams = 4;

}  // namespace

ModelController::ModelController(uint16_t datagram_size, uint64_t seed)
    : datagram_(datagram_size),
      random_(seed | 1),
      pacing_gain_(kStartupGain),
      window_(kInitialDatagrams * datagram_size),
      // Until the first RTT sample: the initial window over a typical radio round trip.
      pacing_(BitRate::from_bytes_over(static_cast<double>(window_), Duration::millis(20)) ) {}

double ModelController::bdp(const RttEstimator& rtt, double gain) const {
  return bandwidth_.bytes_in(rtt.min()) * gain;
}

void ModelController::enter(Phase phase, Time now) {
  phase_ = phase;
  phase_began_ = now;
  switch (phase) {
    case Phase::startup: pacing_gain_ = kStartupGain; break;
    case Phase::drain: pacing_gain_ = kDrainGain; break;
    case Phase::probe_up: pacing_gain_ = kProbeUpGain; break;
    case Phase::probe_down: pacing_gain_ = kProbeDownGain; break;
    case Phase::cruise: {
      pacing_gain_ = kCruiseGain;
      // Random length, so that the probes of paths (and of other flows) do not fall into step.
      random_ ^= random_ << 13, random_ ^= random_ >> 7, random_ ^= random_ << 17;
      cruise_sixteenths_ = kCruiseRoundsMin * 16 + static_cast<int>(random_ % (kCruiseRoundsSpread * 16));
      break;
    }
  }
}

void ModelController::update_round(const CongestionSample& s) {
  round_ended_ = false;
  round_lost_ += s.ack.lost_bytes;
  round_acked_ += s.ack.acked_bytes;
  if (s.ack.has_rtt) round_min_rtt_ = std::min(round_min_rtt_, s.ack.rtt);
  if (s.ack.sample_interval.ns == 0) return;
  round_app_limited_ = round_app_limited_ || s.ack.sample_app_limited;
  if (s.ack.sample_prior_delivered < round_end_delivered_) return;
  round_end_delivered_ = s.delivered;
  round_ended_ = true;
}

void ModelController::update_bandwidth(const CongestionSample& s) {
  if (s.ack.sample_interval.ns == 0) return;
  // A sample over much less than the minimum RTT is an artefact of ack compression. (A cross-ack may take half of it.)
  if (s.ack.sample_interval < s.rtt.min() / 2) return;
  if (s.ack.sample_app_limited && s.ack.delivery_rate < bandwidth_) return;
  round_max_rate_ = std::max(round_max_rate_, s.ack.delivery_rate);
  max_rate_.update(s.ack.delivery_rate, round_);
  bandwidth_ = max_rate_.value(round_);
}

void ModelController::check_startup_done(const CongestionSample& s) {
  if (!round_ended_ || round_app_limited_) return;
  const bool loss_storm = round_lost_ > 0.2 * static_cast<double>(round_lost_ + round_acked_) &&
                          round_lost_ >= 8u * datagram_;
  if (bandwidth_ >= full_bandwidth_ * 1.25 && !loss_storm) {
    full_bandwidth_ = bandwidth_;
    full_bandwidth_rounds_ = 0;
    return;
  }
  // A plateau, and the queue shows it too: two rounds are enough then.
  const bool queue_built = round_min_rtt_ > s.rtt.min() * 1.25 + Duration::millis(5);
  full_bandwidth_rounds_ += queue_built || loss_storm ? 2 : 1;
  if (full_bandwidth_rounds_ >= 3) enter(Phase::drain, s.now);
}

void ModelController::on_round_end(const CongestionSample& s) {
  const double total = static_cast<double>(round_lost_ + round_acked_);
  const double loss = total > 0 ? static_cast<double>(round_lost_) / total : 0;
  const bool delay_rose = round_min_rtt_ < Duration::infinite() && round_min_rtt_ > s.rtt.min() * 1.5 + Duration::millis(10);
  if (phase_ == Phase::cruise) cruise_loss_ += (loss - cruise_loss_) / 8;
  // Much loss together with a queue: the rate has fallen and the filter still remembers the old one.
  if (phase_ != Phase::startup && loss > kLossIsCongestion && delay_rose && round_lost_ >= 3u * datagram_) {
    max_rate_.scale(0.85);
    bandwidth_ = max_rate_.value(round_);
  }
  // A queue that does not go away while far less is delivered than the model says: the path has become slower. The filter
  // would remember the old rate for ten of the (now long) rounds.
  const bool far_below = delay_rose && !round_app_limited_ && round_max_rate_ < bandwidth_ * kFarBelow && phase_ != Phase::startup;
  slow_rounds_ = far_below ? slow_rounds_ + 1 : 0;
  if (slow_rounds_ >= 2) {
    max_rate_.restart(round_max_rate_, round_);
    bandwidth_ = round_max_rate_;
    slow_rounds_ = 0;
    deep_drain_ = true;
    enter(Phase::probe_down, s.now);
  }
  round_max_rate_ = BitRate{};
  if (!round_app_limited_) ++round_;
  round_lost_ = round_acked_ = 0;
  round_app_limited_ = false;
  round_min_rtt_ = Duration::infinite();
}

void ModelController::advance_cycle(const CongestionSample& s) {
  const Duration in_phase = s.now - phase_began_;
  const Duration rtt = s.rtt.min();
  const auto in_flight = static_cast<double>(s.bytes_in_flight);
  const double round_total = static_cast<double>(round_lost_ + round_acked_);
  switch (phase_) {
    case Phase::startup:
      check_startup_done(s);
      break;
    case Phase::drain:
      if (in_flight <= bdp(s.rtt, 1.0) || in_phase > rtt * 4 + Duration::millis(50)) enter(Phase::cruise, s.now);
      break;
    case Phase::cruise:
      if (in_phase >= std::max(kCruiseMin, rtt * cruise_sixteenths_ / 16)) enter(Phase::probe_up, s.now);
      break;
    case Phase::probe_up: {
      const bool filled = in_flight >= bdp(s.rtt, kProbeUpGain);
      const bool too_much_loss = round_total > 16.0 * datagram_ &&
                                 static_cast<double>(round_lost_) > (cruise_loss_ + kProbeLossExcess) * round_total;
      const bool starved = s.ack.sample_app_limited;
      if ((in_phase >= rtt && filled) || too_much_loss || in_phase > rtt * 2 + Duration::millis(20) || starved) {
        deep_drain_ = s.now - last_deep_drain_ >= kDeepDrainEvery;
        if (deep_drain_) last_deep_drain_ = s.now;
        enter(Phase::probe_down, s.now);
      }
      break;
    }
    case Phase::probe_down: {
      const double target = bdp(s.rtt, deep_drain_ ? 0.6 : 0.95) + (deep_drain_ ? 0 : 2.0 * datagram_);
      if (in_flight <= target || in_phase > rtt * 3 + Duration::millis(20)) enter(Phase::cruise, s.now);
      break;
    }
  }
}

void ModelController::set_outputs(const RttEstimator& rtt) {
  if (bandwidth_.bps <= 0) {
    if (rtt.has_sample()) pacing_ = BitRate::from_bytes_over(static_cast<double>(window_), rtt.smoothed()) * kStartupGain;
    return;
  }
  const double floor_rate = static_cast<double>(kMinDatagrams * datagram_);
  pacing_ = std::max(bandwidth_ * pacing_gain_, BitRate::from_bytes_over(floor_rate, rtt.smoothed()));
  const bool starting = phase_ == Phase::startup;
  const double gain = starting ? kStartupWindowGain : phase_ == Phase::probe_up ? kProbeUpGain * 1.1 : kWindowGain;
  // Jitter keeps datagrams in flight that no queue holds: allow for it, within reason.
  const Duration jitter = std::min(rtt.variance() * 2, std::max(rtt.min() / 2, Duration::millis(10)));
  const double window = bdp(rtt, gain) + bandwidth_.bytes_in(kAckAggregation + jitter) + 3.0 * datagram_;
  const auto target = static_cast<uint64_t>(window);
  window_ = std::max(starting ? std::max(target, kInitialDatagrams * datagram_) : target, kMinDatagrams * uint64_t{datagram_});
}

void ModelController::on_sample(const CongestionSample& s) {
  update_round(s);
  update_bandwidth(s);
  advance_cycle(s);
  if (round_ended_) on_round_end(s);
  set_outputs(s.rtt);
}

void ModelController::on_sent(Time, uint64_t, uint16_t) {}

void ModelController::on_path_revived(Time now) {
  // The rate that was known is a good first guess, but it must prove itself again.
  max_rate_.scale(0.5);
  bandwidth_.bps *= 0.5;
  full_bandwidth_ = BitRate{};
  full_bandwidth_rounds_ = 0;
  enter(Phase::startup, now);
}

}  // namespace hawser
