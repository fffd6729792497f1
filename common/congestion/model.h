// The default controller, `auto`: it models the path (delivery rate and minimum RTT, as BBR does) instead of reacting
// to each loss, keeps the standing queue out of the network, and believes in congestion only when delay or probing says
// so. Coupled: where several paths of the session share a bottleneck, each pushes only its part.
#pragma once

#include <array>
#include <memory>

#include "common/congestion/controller.h"
#include "common/congestion/cubic.h"
#include "common/congestion/path_signals.h"

namespace hawser {

// The greatest of the samples of the last rounds.
class WindowedMaxRate {
 public:
  void update(BitRate sample, uint64_t round) {
    if (round != slot_round_[index_]) {
      index_ = (index_ + 1) % kSlots;
      slot_round_[index_] = round;
      slots_[index_] = BitRate{};
    }
    slots_[index_] = std::max(slots_[index_], sample);
  }
  BitRate value(uint64_t round) const {
    BitRate best;
    for (size_t i = 0; i < kSlots; ++i) {
      if (slot_round_[i] + kRounds >= round) best = std::max(best, slots_[i]);
    }
    return best;
  }
  // Forgets all but this: the path has changed.
  void restart(BitRate rate, uint64_t round) {
    slots_.fill(BitRate{});
    update(rate, round);
  }
  void scale(double k) {
    for (BitRate& s : slots_) s.bps *= k;
  }

 private:
  static constexpr size_t kRounds = 10;  // full rounds; application-limited ones do not count
  static constexpr size_t kSlots = kRounds + 1;
  std::array<BitRate, kSlots> slots_{};
  std::array<uint64_t, kSlots> slot_round_{};
  size_t index_ = 0;
};

class ModelController final : public Controller {
 public:
  ModelController(uint16_t datagram_size, uint64_t seed);
  void on_sample(const CongestionSample& s) override;
  void on_sent(Time now, uint64_t bytes_in_flight, uint16_t size) override;
  void on_path_revived(Time now) override;
  void take_over(const Controller& previous) override;
  uint64_t congestion_window() const override { return window_; }
  BitRate pacing_rate() const override { return pacing_; }
  BitRate capacity() const override { return bandwidth_; }
  bool still_searching() const override { return phase_ == Phase::startup; }
  wire::CongestionKind kind() const override { return wire::CongestionKind::automatic; }

 private:
  enum class Phase : uint8_t { startup, drain, cruise, probe_up, probe_down };
  // What one round trip brought.
  struct Round {
    bool app_limited = false;
    uint64_t lost = 0, acked = 0;  // bytes
    uint64_t in_flight = 0;        // the most at any moment
    DelayRange queue;              // forward delay above its floor
    Duration rtt_low = Duration::infinite();
    Duration longest_pause;  // between acknowledgements
    BitRate max_rate;

    double loss() const { return lost + acked ? static_cast<double>(lost) / static_cast<double>(lost + acked) : 0; }
  };
  void enter(Phase phase, Time now);
  void update_delays(const CongestionSample& s);
  void yield_to_losses(const CongestionSample& s);
  void cut();
  void update_round(const CongestionSample& s);
  void update_bandwidth(const CongestionSample& s);
  bool sent_little(const CongestionSample& s) const;
  void check_startup_done(const CongestionSample& s);
  void advance_cycle(const CongestionSample& s);
  Duration cruise_length(const CongestionSample& s) const;
  void leave_probe(const CongestionSample& s);
  void look_after_drain(const CongestionSample& s);
  void compete(const CongestionSample& s);
  void feed_rival(const CongestionSample& s);
  bool must_show_the_floor(Time now) const;
  void on_round_end(const CongestionSample& s);
  void set_outputs(const CongestionSample& s);
  bool is_jittery(const RttEstimator& rtt) const;
  // The least round trip, and forward delay, that a flow sees: what is above it is a queue.
  Duration base_rtt(const RttEstimator& rtt) const;
  Duration base_forward(const RttEstimator& rtt) const;
  Duration floor_rtt(const RttEstimator& rtt) const { return rival_ ? floor_rtt_ : base_rtt(rtt); }
  double bdp(const RttEstimator& rtt, double gain) const;
  Duration rate_span(const RttEstimator& rtt) const;
  double queue_scale() const;
  Duration own_wander(const RttEstimator& rtt) const;
  Duration own_datagrams() const { return bandwidth_.time_for(2.0 * datagram_); }  // by which a slow link's delay wanders
  Duration allowed_queue(const RttEstimator& rtt) const;  // what may stand in the network
  double probe_gain() const { return 1 + kProbe / share_; }

  static constexpr double kProbe = 0.25;

  const uint16_t datagram_;
  uint64_t random_;
  Phase phase_ = Phase::startup;
  Time phase_began_;
  double pacing_gain_;
  WindowedMaxRate max_rate_;
  BitRate bandwidth_;
  uint64_t window_;
  BitRate pacing_;
  double share_ = 1;  // live paths in this bottleneck, ours included
  bool call_ = false;  // one stands behind our queue

  OneWayDelay forward_;  // ours, so that a change of controller begins afresh
  WindowedMin rtt_floor_{Duration::seconds(10)};  // that of RttEstimator takes a burst of others for a longer path at times
  Wander forward_wander_, rtt_wander_;
  Duration overdue_;  // how long reordering keeps a datagram in flight after it was overtaken, on average of all
  FlowFloor flow_floor_;
  LossRank loss_rank_;
  LongRate long_rate_;

  uint64_t round_count_ = 0;  // rounds that were not application-limited advance the filter
  uint64_t round_end_delivered_ = 0;
  bool round_ended_ = false;
  Round round_;
  Time last_acked_at_;
  int limited_rounds_ = 0;  // consecutive rounds without enough to send
  int slow_rounds_ = 0;     // consecutive rounds of a queue and a rate far below the model

  bool rate_found_ = false;  // startup has ended once
  BitRate full_bandwidth_;  // startup: the plateau's height
  int full_bandwidth_rounds_ = 0;
  int cruise_sixteenths_ = 0;  // length of this cruise, in sixteenths of a round
  int cruise_rounds_ = 0;      // since the last probe
  BitRate probe_began_at_;     // the model's rate when the probe began
  bool deep_drain_ = false;
  Time last_deep_drain_;
  bool suspects_queue_ = false;  // one stood although we had drained ours
  // Others keep the queue long whatever we do: their kind of controller, while that lasts, and what the delay was without them.
  std::unique_ptr<CubicController> rival_;
  Time losses_seen_;  // what was sent before is of an overflow that the rival has answered
  Duration floor_rtt_, floor_forward_;
  bool suspects_rivals_ = false;  // at the last deep drain
  Duration seen_queue_;           // at the last deep drain, and how often in a row it was the same
  int times_seen_ = 0;
  double cruise_loss_ = 0;       // moving average of the loss ratio outside probing
};

}  // namespace hawser
