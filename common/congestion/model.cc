// The model's state machine: startup (double until the rate stands still), drain, then cycles of cruise, probe up,
// probe down (BBR: Cardwell et al., ACM Queue 2016; draft-ietf-ccwg-bbr). What differs, and why, is said at the
// constants.
#include "common/congestion/model.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace hawser {
namespace {

constexpr double kStartupGain = 2.885;  // 2/ln 2: doubles each round
constexpr double kDrainGain = 1 / 2.885;
constexpr double kProbeDownGain = 0.75;
constexpr double kDeepDrainGain = 0.5;
constexpr double kCruiseGain = 1.0;  // no margin below the model: it would be paid on every byte
constexpr double kJitteryGain = 0.25;  // where jitter makes bursts of what arrives, the window limits and not the rate
constexpr double kTrimGain = 0.92;   // a queue that stands: the model is a little high
constexpr double kStartupWindowGain = 2.885;
constexpr Duration kAckAggregation = Duration::millis(6);  // ack delay and a scheduler's slice: in flight, not queued
constexpr double kQueueOfRtt = 0.25;                       // what may stand in the network
constexpr Duration kQueueFloor = Duration::millis(3);
constexpr Duration kQueueCeiling = Duration::millis(12);   // however long the way, where the delay does not wander more
constexpr Duration kQueueTolerance = Duration::millis(2);  // above what is allowed
constexpr BitRate kQueueReference{20e6};  // the rate that allows itself just that; see queue_scale()
constexpr double kQueueBesideCall = 0.6;  // of that, on a slow link that carries a call
constexpr double kQueueScaleMin = 0.3, kQueueScaleMax = 1.5;
constexpr Duration kQuietWander =
    Duration::millis(4);         // with half a round trip: what queues of others make of a quiet link
// A path whose delay has wandered further of late is a radio's: two flows of our kind allow themselves no more queue.
constexpr Duration kJitteryWander = kQueueCeiling * 2;
constexpr double kTaken = 0.95;  // the model per round in which others have what we do not send
constexpr int kTakenAfter = 3;   // such rounds in a row: one or two are an inner TCP that was just told to yield
constexpr int kCruiseRoundsMin = 4, kCruiseRoundsSpread = 4;
constexpr double kMeanSixteenths = 16 * (kCruiseRoundsMin + kCruiseRoundsSpread / 2.0);
constexpr Duration kCruiseMin = Duration::millis(100);
// Beside losses of a full queue: round trips between probes for each datagram that the bottleneck's paths have under way,
// and the most such datagrams and the longest time that count.
constexpr double kRoundsADatagram = 0.85;
constexpr double kMostDatagrams = 63;
constexpr Duration kCruiseMost = Duration::seconds(3);
constexpr double kProbeLossExcess =
    0.05;  // loss while probing above that while cruising: the queue is shorter than the probe
constexpr double kLossWithQueue = 0.02;  // loss above the radio's own together with a queue: the buffer is full
constexpr double kLossCut = 0.85;
constexpr double kOvershootLoss = 0.15;  // in a round of startup, of so many datagrams at least
constexpr uint64_t kOvershootDatagrams = 8;
constexpr uint64_t kTellingDatagrams = 16;  // fewer of a limited round may all stand behind one that jitter has delayed
constexpr double kJitteryRoundTrip = 1.2;  // times the least: a steady path's differ by less, when nothing stands on it
constexpr double kLittleOfWindow = 0.4;
constexpr double kFarBelow = 0.7;
constexpr double kProbePaid = 1.12;  // a probe that found so much more goes on
constexpr double kOverdueMemory = 128;  // datagrams
constexpr int kJitterSpan = 4;       // rates are taken over spans of so many times the jitter
constexpr Duration kLongestSpan = Duration::millis(400);
constexpr Duration kDeepDrainEvery = Duration::seconds(5);  // refreshes min_rtt in place of BBR's ProbeRTT
constexpr Duration kDeepDrainSoon = Duration::seconds(1);
// A queue of others that is longer than both together is none that flows of our kind leave: then we compete.
constexpr double kOthersQueueOfRtt = 0.75;
constexpr Duration kOthersQueue = Duration::millis(10);
constexpr Duration kOfOurKind = Duration::millis(28);  // what one of our kind leaves, however far away
constexpr double kRivalGrowth = 0.5;  // of a CUBIC that is fed by acknowledgements: a whole one takes more than its half
constexpr Duration kSameQueue = Duration::millis(3);        // two drains that differ by less saw the same
constexpr Duration kShowFloorEvery = Duration::seconds(7);  // while we do; a drain costs a good part of a second's share
constexpr Duration kLongestDrain = Duration::seconds(1);    // above what any takes, so that it ends well before the next
constexpr uint64_t kInitialDatagrams = 10;  // RFC 6928
constexpr uint64_t kMinDatagrams = 2;  // four, as BBR has it, are half a second of a link of 100 kbit/s

}  // namespace

ModelController::ModelController(uint16_t datagram_size, uint64_t seed)
    : datagram_(datagram_size),
      random_(seed | 1),
      pacing_gain_(kStartupGain),
      window_(kInitialDatagrams * datagram_size),
      // Until the first RTT sample: the initial window over a typical radio round trip.
      pacing_(BitRate::from_bytes_over(static_cast<double>(window_), Duration::millis(20))) {}

// Own datagrams and half a round trip as for own_wander(), but of the last ten seconds or more: a path that is full wanders by
// much less than one that is not.
bool ModelController::is_jittery(const RttEstimator& rtt) const {
  if (bandwidth_.bps <= 0) return false;
  return forward_wander_.greatest() > std::max(rtt.min() / 2 + kQuietWander, kJitteryWander) + own_datagrams();
}

Duration ModelController::base_rtt(const RttEstimator& rtt) const {
  return is_jittery(rtt) ? rtt.min() + flow_floor_.rtt_above(rtt.min()) : rtt.min();
}

Duration ModelController::base_forward(const RttEstimator& rtt) const {
  return is_jittery(rtt) ? forward_.min() + flow_floor_.forward_above(forward_.min()) : forward_.min();
}

double ModelController::bdp(const RttEstimator& rtt, double gain) const {
  return bandwidth_.bytes_in(floor_rtt(rtt)) * gain;
}

// Jitter squeezes and stretches what arrives; over a span of several times the jitter that evens out.
Duration ModelController::rate_span(const RttEstimator& rtt) const {
  return std::clamp(forward_wander_.value() * kJitterSpan, rtt.min() / 2, std::max(rtt.min() / 2, kLongestSpan));
}

// The higher the rate, the less queue it allows itself: of two flows in one queue the greater yields and the smaller
// pushes until both are alike, as in FAST (Wei et al. 2006) and Swift (Kumar et al. 2020, section 3.5). With the
// same target for all, any split would be stable. Paths of one bottleneck count as the one flow that they are there.
double ModelController::queue_scale() const {
  if (bandwidth_.bps <= 0) return 1;
  return std::clamp(std::sqrt(kQueueReference.bps / (bandwidth_.bps * share_)), kQueueScaleMin, kQueueScaleMax);
}

// What the forward way wanders by itself, beyond what anybody's queue explains: that of others wanders as well, and whoever
// followed it would take from them what they yield.
Duration ModelController::own_wander(const RttEstimator& rtt) const {
  return std::max(Duration{}, forward_wander_.value() - (rtt.min() / 2 + kQuietWander + own_datagrams()));
}

// A way of a quarter of a second would allow itself a queue that a near flow beside it cannot tell from a rival's.
Duration ModelController::allowed_queue(const RttEstimator& rtt) const {
  const Duration most = std::max({kQueueCeiling, own_datagrams(), forward_wander_.value()});
  return std::clamp(rtt.min() * kQueueOfRtt, kQueueFloor, most) * (queue_scale() / share_ * (call_ ? kQueueBesideCall : 1.0));
}

void ModelController::enter(Phase phase, Time now) {
  phase_ = phase;
  phase_began_ = now;
  switch (phase) {
    case Phase::startup:
      pacing_gain_ = kStartupGain;
      break;
    case Phase::drain:
      rate_found_ = true;
      flow_floor_.restart(bandwidth_);
      pacing_gain_ = kDrainGain;
      break;
    case Phase::probe_up:
      pacing_gain_ = probe_gain();
      probe_began_at_ = bandwidth_;
      break;
    case Phase::probe_down:
      pacing_gain_ = deep_drain_ ? kDeepDrainGain : kProbeDownGain;
      break;
    case Phase::cruise: {
      pacing_gain_ = kCruiseGain;
      cruise_rounds_ = 0;
      forward_wander_.interrupt();
      rtt_wander_.interrupt();
      // Random length, so that the probes of paths (and of other flows) do not fall into step.
      random_ ^= random_ << 13, random_ ^= random_ >> 7, random_ ^= random_ << 17;
      cruise_sixteenths_ = kCruiseRoundsMin * 16 + static_cast<int>(random_ % (kCruiseRoundsSpread * 16));
      break;
    }
  }
}

void ModelController::update_delays(const CongestionSample& s) {
  // A pause of ours empties the queue: that is no jitter. At the start there is no queue yet, and little else to go by:
  // whoever takes a radio's jitter for a queue there ends the search far below the path's rate.
  const bool paused = rate_found_ && s.ack.sample_app_limited;
  if (paused) {
    forward_wander_.interrupt();
    rtt_wander_.interrupt();
  }
  const bool steady =
      !rate_found_ || (!paused && ((phase_ == Phase::cruise && cruise_rounds_ > 0) || phase_ == Phase::probe_up));
  const bool in_flow = rate_found_ && !s.ack.sample_app_limited;
  if (in_flow) flow_floor_.on_rate(bandwidth_);
  if (in_flow && s.ack.has_rtt) flow_floor_.add_rtt(s.ack.rtt, s.now);
  if (s.ack.largest_newly_acked) {
    forward_.on_sample(s.ack.largest_sent_at, s.ack.largest_received_at, s.now);
    if (in_flow) flow_floor_.add_forward(forward_.latest(), s.now);
    round_.queue.add(forward_.latest() - base_forward(s.rtt));
    if (steady) forward_wander_.add(forward_.latest(), s.rtt.smoothed(), s.now);
  }
  if (s.ack.has_rtt) {
    rtt_floor_.update(s.ack.rtt, s.now);
    round_.rtt_low = std::min(round_.rtt_low, s.ack.rtt);
  }
  if (s.ack.has_rtt && steady) rtt_wander_.add(s.ack.rtt, s.rtt.smoothed(), s.now);
  if (s.ack.acked_packets > 0) {
    const auto packets = static_cast<double>(s.ack.acked_packets);
    overdue_ = overdue_ + (s.ack.overdue * (1 / packets) - overdue_) * (packets / (packets + kOverdueMemory));
  }
}

// The queue that we share overflows: others answer each overflow with less, and so do we, or they would have nothing. Who
// has little to send did not fill it, and would have no samples to come back by.
void ModelController::yield_to_losses(const CongestionSample& s) {
  const bool lost = s.ack.lost_bytes > 0 && loss_rank_.on_loss(forward_.latest(), s.rtt.smoothed(), s.now);
  if (s.ack.largest_newly_acked) loss_rank_.on_delay(forward_.latest(), s.rtt.smoothed(), s.now);
  if (lost && !round_.app_limited && phase_ != Phase::startup && loss_rank_.queue_overflows(s.now)) cut();
}

// Up to 15 % of what better times had are forgotten; what is delivered now counts at once again. Each path of a bottleneck
// yields as much: an overflow seldom hits all of them.
void ModelController::cut() {
  max_rate_.scale(kLossCut);
  bandwidth_ = max_rate_.value(round_count_);
}

void ModelController::update_round(const CongestionSample& s) {
  round_ended_ = false;
  round_.lost += s.ack.lost_bytes;
  round_.lost -= std::min(round_.lost, s.ack.spurious_bytes);
  round_.acked += s.ack.acked_bytes;
  round_.in_flight = std::max(round_.in_flight, s.bytes_in_flight + s.ack.acked_bytes + s.ack.lost_bytes);
  if (s.ack.acked_bytes > 0) {
    if (last_acked_at_.is_set()) round_.longest_pause = std::max(round_.longest_pause, s.now - last_acked_at_);
    last_acked_at_ = s.now;
  }
  if (s.ack.sample_interval.ns == 0) return;
  round_.app_limited = round_.app_limited || s.ack.sample_app_limited;
  if (s.ack.sample_prior_delivered < round_end_delivered_) return;
  round_end_delivered_ = s.delivered;
  round_ended_ = true;
}

void ModelController::update_bandwidth(const CongestionSample& s) {
  if (s.ack.sample_interval.ns == 0) return;
  BitRate rate = s.ack.delivery_rate;
  const Duration span = rate_span(s.rtt);
  if (s.ack.largest_newly_acked && span > s.rtt.min()) {
    const BitRate over_span = long_rate_.add(s.ack.largest_received_at, s.delivered, span);
    if (phase_ != Phase::startup && over_span.bps > 0) rate = std::min(rate, over_span);
  } else if (span <= s.rtt.min()) {
    long_rate_.clear();
  }
  // A sample over much less than the minimum RTT is an artefact of ack compression. (A cross-ack may take half of it.)
  if (s.ack.sample_interval < s.rtt.min() / 2) return;
  if (s.ack.sample_app_limited && rate < bandwidth_) return;
  round_.max_rate = std::max(round_.max_rate, rate);
  max_rate_.update(rate, round_count_);
  bandwidth_ = max_rate_.value(round_count_);
}

// A trickle in small trains is not always marked as application-limited: each of a train's packets has one that waits behind it,
// or all wait for another path. Where jitter makes round trips longer than the least, half of what that allows says nothing: there
// the window must have been used.
bool ModelController::sent_little(const CongestionSample& s) const {
  const bool jittery = s.rtt.smoothed() > s.rtt.min() * kJitteryRoundTrip;
  if (jittery && static_cast<double>(round_.in_flight) < kLittleOfWindow * static_cast<double>(window_)) return true;
  return static_cast<double>(round_.acked + round_.lost) < bdp(s.rtt, 0.5);
}

void ModelController::check_startup_done(const CongestionSample& s) {
  // The buffer overflows. Waiting for the round's end, or for one with enough to send, would repeat it. What is full goes on
  // delivering; after a pause the path was away and says nothing about its rate.
  const bool was_away = round_.longest_pause > s.rtt.smoothed() * 2;
  if (!was_away && round_.lost >= kOvershootDatagrams * datagram_ && round_.lost + round_.acked > 2 * kOvershootDatagrams * datagram_ &&
      round_.loss() > kOvershootLoss) {
    return enter(Phase::drain, s.now);
  }
  if (!round_ended_) return;
  const Duration queue = round_.queue.any() ? round_.queue.low : Duration{};
  const bool queue_built = queue > s.rtt.min() / 4 + Duration::millis(4) + forward_wander_.value();
  // Not enough to send says nothing about the path, unless a queue grows all the same.
  if ((round_.app_limited || sent_little(s)) && !queue_built) return;
  if (round_.app_limited && round_.acked + round_.lost < kTellingDatagrams * datagram_) return;
  if (bandwidth_ >= full_bandwidth_ * 1.25) {
    full_bandwidth_ = bandwidth_;
    full_bandwidth_rounds_ = 0;
    return;
  }
  // A plateau, and the queue shows it too: one round is enough then.
  full_bandwidth_rounds_ += queue_built ? 3 : 1;
  if (full_bandwidth_rounds_ >= 3) enter(Phase::drain, s.now);
}

// After a drain the queue should be gone. When it is not, the model may be high, or the minimum stale: a deep drain
// tells.
void ModelController::look_after_drain(const CongestionSample& s) {
  if (!round_.queue.any()) return;
  if (std::exchange(deep_drain_, false)) compete(s);
  suspects_queue_ = round_.queue.low > std::max(s.rtt.min() / 5, Duration::millis(4)) + forward_wander_.value();
}

// After a deep drain what stands is not ours. Who fills a long buffer until it overflows leaves nothing to who keeps it short:
// then we do as they do (the idea is Copa's: Arun, Balakrishnan, NSDI 2018, section 2.2), and look again at every deep drain.
void ModelController::compete(const CongestionSample& s) {
  if (!rival_ && !suspects_rivals_) floor_rtt_ = rtt_floor_.value(), floor_forward_ = forward_.min();
  // Clocks drift, round trips do not.
  const Duration queue = std::min(round_.queue.low + (forward_.min() - floor_forward_), round_.rtt_low - floor_rtt_);
  Duration ordinary = std::max(floor_rtt_ * kOthersQueueOfRtt + kOthersQueue, kOfOurKind);
  if (rival_) ordinary = ordinary / 3;  // they halve their windows now and then
  // At the rate that the path once had: who is being starved is not on a slow link.
  ordinary += forward_wander_.value() + std::max(bandwidth_, full_bandwidth_).time_for(4.0 * datagram_);
  // A queue of others is never the same for long. What is has become the path's.
  const bool as_before = queue - seen_queue_ < kSameQueue && seen_queue_ - queue < kSameQueue;
  times_seen_ = as_before ? times_seen_ + 1 : 0;
  seen_queue_ = queue;
  const bool path_is_longer = queue > ordinary && times_seen_ >= 3;
  if (path_is_longer) {
    forward_.restart(s.now);
    rtt_floor_.reset();
  }
  if (queue <= ordinary || path_is_longer) {
    rival_.reset();
    suspects_rivals_ = false;
  } else if (!suspects_rivals_) {
    suspects_rivals_ = true;
  } else if (!rival_) {
    rival_ = std::make_unique<CubicController>(datagram_);
    rival_->take_over(*this);
    losses_seen_ = s.now;
  }
}

// All paths of a process at the same time, or each would see the others' queue.
bool ModelController::must_show_the_floor(Time now) const {
  return rival_ && now.ns / kShowFloorEvery.ns != last_deep_drain_.ns / kShowFloorEvery.ns;
}

void ModelController::on_round_end(const CongestionSample& s) {
  // Own datagrams are no noise, where they take longer than what is tolerated anyway.
  const Duration own = std::max(Duration{}, own_datagrams() - kQueueTolerance);
  const Duration noise = std::max(Duration{}, forward_wander_.value() - own);
  const Duration queue = round_.queue.any() ? round_.queue.low : Duration{};
  const bool queue_stands = queue > allowed_queue(s.rtt) + kQueueTolerance + noise;
  const double loss = round_.loss();
  if (phase_ == Phase::cruise) {
    if (cruise_rounds_ == 0) look_after_drain(s);
    ++cruise_rounds_;
    cruise_loss_ += (loss - cruise_loss_) / 8;
    pacing_gain_ = queue_stands ? kTrimGain : kCruiseGain;
  }
  // More loss than the radio's own together with a queue: the buffer is full, and the filter still remembers a better
  // time.
  const bool full =
      queue > std::max(s.rtt.min() / 3, Duration::millis(6)) + noise && loss > cruise_loss_ + kLossWithQueue;
  if (phase_ != Phase::startup && full && round_.lost >= 3u * datagram_) {
    cut();
  }
  // A queue stands although we send less than the model says: others have taken the rest. Samples of such rounds do not
  // count, so the model would stay where it was and take all back with the first burst.
  const bool enough_to_tell =
      bandwidth_ > std::max(round_.max_rate * 1.05, BitRate::from_bytes_over(10.0 * datagram_, s.rtt.smoothed()));
  limited_rounds_ = round_.app_limited ? limited_rounds_ + 1 : 0;
  if (phase_ == Phase::cruise && queue_stands && limited_rounds_ >= kTakenAfter && enough_to_tell) {
    max_rate_.scale(kTaken);
    bandwidth_ = max_rate_.value(round_count_);
  }
  // A queue that does not go away while far less is delivered than the model says: the path has become slower. The
  // filter would remember the old rate for ten of the (now long) rounds.
  // What is delivered was sent a round trip ago: just after a drain it is little because we sent little.
  const bool in_full = (phase_ == Phase::cruise && cruise_rounds_ > 1) || phase_ == Phase::probe_up;
  const bool far_below = !rival_ && queue_stands && in_full && !round_.app_limited && round_.max_rate < bandwidth_ * kFarBelow;
  slow_rounds_ = far_below ? slow_rounds_ + 1 : 0;
  if (slow_rounds_ >= 2) {
    max_rate_.restart(round_.max_rate, round_count_);
    bandwidth_ = round_.max_rate;
    slow_rounds_ = 0;
    deep_drain_ = true;
    enter(Phase::probe_down, s.now);
  }
  if (!round_.app_limited) ++round_count_;
  round_ = Round{};
}

// In round trips as they are: of a jittery path the least is a fraction of them, and it would do little but probe.
// Each probe into a queue that overflows costs the others there half a window, which takes a Reno flow as many round trips to
// grow again as half of it has segments. So BBRv2 and v3 wait that long, but no longer than some seconds
// (draft-ietf-ccwg-bbr, BBRIsRenoCoexistenceProbeTime); .85 of it is measured. Several paths probe at different moments, each
// for its part: each waits longer by the root of their number. A queue that may be others' is looked at soon.
Duration ModelController::cruise_length(const CongestionSample& s) const {
  const Duration ordinary = std::max(kCruiseMin, s.rtt.smoothed() * cruise_sixteenths_ / 16);
  if (!loss_rank_.queue_overflows(s.now)) return ordinary;
  const BitRate together = std::max(bandwidth_, s.coupling.group_capacity());
  const double datagrams = std::min(together.bytes_in(s.rtt.min()) / datagram_, kMostDatagrams);
  const double rounds = kRoundsADatagram * datagrams * std::sqrt(share_);
  const Duration most = suspects_queue_ || suspects_rivals_ ? kDeepDrainSoon : kCruiseMost;
  return std::max(ordinary, std::min(s.rtt.smoothed() * rounds, most) * (cruise_sixteenths_ / kMeanSixteenths));
}

void ModelController::leave_probe(const CongestionSample& s) {
  deep_drain_ = rival_ || s.now - last_deep_drain_ >= (suspects_queue_ ? kDeepDrainSoon : kDeepDrainEvery);
  if (deep_drain_) last_deep_drain_ = s.now;
  enter(Phase::probe_down, s.now);
}

void ModelController::advance_cycle(const CongestionSample& s) {
  const Duration in_phase = s.now - phase_began_;
  const Duration rtt = s.rtt.min();
  const auto in_flight = static_cast<double>(s.bytes_in_flight);
  switch (phase_) {
    case Phase::startup:
      check_startup_done(s);
      break;
    case Phase::drain:
      if (in_flight <= bdp(s.rtt, 1.0) || in_phase > rtt * 4 + Duration::millis(50)) enter(Phase::cruise, s.now);
      break;
    case Phase::cruise:
      if (rival_) {
        if (cruise_rounds_ > 0 && must_show_the_floor(s.now)) leave_probe(s);
        break;
      }
      if (in_phase >= cruise_length(s)) enter(Phase::probe_up, s.now);
      break;
    case Phase::probe_up: {
      // Long enough for the rate over its span to see it; where jitter makes the span, all of it must be of the probe, whose first
      // acknowledgement comes a round trip after it began.
      const Duration first_answer = own_wander(s.rtt).ns > 0 ? s.rtt.smoothed() : Duration{};
      const Duration length = std::max(rtt, rate_span(s.rtt) + first_answer);
      const bool too_much_loss =
          round_.lost + round_.acked > 16u * datagram_ && round_.loss() > cruise_loss_ + kProbeLossExcess;
      const bool filled = in_flight >= bdp(s.rtt, probe_gain());
      if (in_phase >= length && bandwidth_ > probe_began_at_ * kProbePaid && !too_much_loss) {
        // There was more: double again from here, as at the start, until a round brings nothing.
        full_bandwidth_ = bandwidth_;
        full_bandwidth_rounds_ = 2;
        enter(Phase::startup, s.now);
      } else if ((in_phase >= length && filled) || too_much_loss || in_phase > length * 2 + Duration::millis(20) ||
                 s.ack.sample_app_limited) {
        leave_probe(s);
      }
      break;
    }
    case Phase::probe_down: {
      const double target = deep_drain_ ? bdp(s.rtt, 0.6) : bdp(s.rtt, 0.95) + 2.0 * datagram_;
      // As long as it takes at half the rate, and all paths of the bottleneck till then.
      const Duration ours = rival_ ? std::min(s.rtt.smoothed() * 2, kLongestDrain) : Duration{};
      const bool drained = in_flight <= target && (share_ == 1 || in_phase >= ours);
      if (drained || in_phase > floor_rtt(s.rtt) * 3 + Duration::millis(20) + ours) {
        enter(Phase::cruise, s.now);
      }
      break;
    }
  }
}

void ModelController::set_outputs(const CongestionSample& s) {
  const RttEstimator& rtt = s.rtt;
  if (bandwidth_.bps <= 0) {
    if (rtt.has_sample())
      pacing_ = BitRate::from_bytes_over(static_cast<double>(window_), std::max(rtt.smoothed(), kGranularity / 10)) * kStartupGain;
    return;
  }
  const bool starting = phase_ == Phase::startup;
  // The first samples are of a handshake's few datagrams: what follows must not be paced by them.
  const double least = !rate_found_ ? kStartupGain * kInitialDatagrams * datagram_ : 1.0 * kMinDatagrams * datagram_;
  const Duration base = base_rtt(rtt);
  const Duration jitter = own_wander(rtt);
  const double jittery = std::min(1.0, jitter.to_seconds() / kQuietWander.to_seconds());
  const double gain = phase_ == Phase::cruise && pacing_gain_ == kCruiseGain ? 1 + kJitteryGain * jittery / share_ : 1;
  const Duration round_trip = std::max(rtt.smoothed(), kGranularity / 10);
  pacing_ = std::max(bandwidth_ * (pacing_gain_ * gain), BitRate::from_bytes_over(least, round_trip));
  // Jitter and the other direction's queue keep datagrams in flight that stand in no queue of ours.
  const Duration elsewhere = kAckAggregation + std::min(rtt_wander_.value(), base + Duration::millis(100)) + overdue_;
  Duration allowed = allowed_queue(rtt);
  allowed += jitter;  // it keeps datagrams in flight too
  if (phase_ == Phase::probe_up) allowed += base * (kProbe / share_);
  const double window = starting ? bdp(rtt, kStartupWindowGain) + bandwidth_.bytes_in(elsewhere)
                                 : bandwidth_.bytes_in(base + allowed + elsewhere);
  const auto target = static_cast<uint64_t>(window + 3.0 * datagram_);
  if (rival_ && phase_ == Phase::cruise) {
    window_ = std::max(target, rival_->congestion_window());
    pacing_ = std::max(pacing_, rival_->pacing_rate());
    return;
  }
  window_ = std::max(starting ? std::max(target, kInitialDatagrams * datagram_) : target,
                     kMinDatagrams * uint64_t{datagram_});
}

void ModelController::on_sample(const CongestionSample& s) {
  share_ = static_cast<double>(s.coupling.group_size());
  call_ = s.call;
  update_delays(s);
  update_round(s);
  yield_to_losses(s);
  update_bandwidth(s);
  if (rival_) feed_rival(s);
  advance_cycle(s);
  if (round_ended_) on_round_end(s);
  set_outputs(s);
}

// Paths of one bottleneck are one flow there: when one of them loses, all answer. An overflow hits one of them and not the
// others, and together they would give back little of their windows. That they grow by the square of their number more slowly
// (the number itself would make them one flow) is what measured best.
void ModelController::feed_rival(const CongestionSample& s) {
  AckResult ack = s.ack;
  ack.acked_bytes = static_cast<uint64_t>(static_cast<double>(ack.acked_bytes) * kRivalGrowth / (share_ * share_));
  // Once for each overflow: what was sent before the last answer belongs to that one. A mark is answered like a loss, and
  // not taken back when a loss of ours turns out to have been none.
  const bool ours = ack.lost_bytes > 0 && ack.newest_lost_sent_at > losses_seen_;
  const bool theirs = ack.acked_bytes > 0 && s.coupling.others_lost_at() > losses_seen_;
  if (theirs && !ours) ++ack.newly_ce;
  if (ours || theirs) losses_seen_ = s.now;
  CongestionSample scaled{ack, s.rtt, s.bytes_in_flight, s.delivered, s.now, s.coupling};
  rival_->on_sample(scaled);
}

void ModelController::on_sent(Time now, uint64_t bytes_in_flight, uint16_t size) {
  if (rival_) rival_->on_sent(now, bytes_in_flight, size);
}

void ModelController::on_path_revived(Time now) {
  // The rate that was known is a good first guess, but it must prove itself again.
  max_rate_.scale(0.5);
  bandwidth_.bps *= 0.5;
  full_bandwidth_ = BitRate{};
  full_bandwidth_rounds_ = 0;
  loss_rank_ = LossRank{};
  rival_.reset();
  suspects_rivals_ = deep_drain_ = false;
  enter(Phase::startup, now);
}

void ModelController::take_over(const Controller& previous) {
  if (previous.capacity().bps <= 0) return;
  bandwidth_ = previous.capacity();
  max_rate_.restart(bandwidth_, round_count_);
  window_ = previous.congestion_window();
  pacing_ = previous.pacing_rate();
}

}  // namespace hawser
