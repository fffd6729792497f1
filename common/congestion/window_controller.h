// What all window-based controllers share (RFC 5681, RFC 9002, 7): slow start with HyStart++, one reduction per round
// trip, no growth of a window that was not filled, undoing of reductions that turn out wrong, pacing.
#pragma once

#include <algorithm>
#include <limits>

#include "common/congestion/controller.h"
#include "common/congestion/hystart.h"

namespace hawser {

class WindowController : public Controller {
 public:
  explicit WindowController(uint16_t datagram_size);
  void on_sample(const CongestionSample& sample) final;
  void on_sent(Time now, uint64_t bytes_in_flight, uint16_t size) final;
  void on_path_revived(Time now) final;
  void take_over(const Controller& previous) final;
  uint64_t congestion_window() const final { return static_cast<uint64_t>(window_); }
  BitRate pacing_rate() const final { return pacing_; }
  // What the window moves per round trip: more it cannot send, whatever the link could.
  BitRate capacity() const final { return capacity_; }
  uint64_t bytes_between_losses() const final { return std::max(acked_since_loss_, acked_before_loss_); }

  bool in_slow_start() const { return window_ < ssthresh_; }
  double ssthresh() const { return ssthresh_; }

 protected:
  // Congestion avoidance: bytes by which the window changes for `acked` bytes acknowledged.
  virtual double increase(double acked, const CongestionSample& sample) = 0;
  // The window after a congestion event, bytes; `sample` is the one that told of it.
  virtual double reduced(const CongestionSample& sample) = 0;
  // Delay-based ones may look at every round, and at every sample's round trip.
  virtual void on_rtt(Duration, Time) {}
  virtual void on_round(const CongestionSample&) {}
  // The last reduction was wrong; the window is back already.
  virtual void on_undo() {}
  // Nothing that was learnt counts any more.
  virtual void on_restart() {}
  // Time passed during which the window was not in use.
  virtual void on_unused(Duration) {}

  double window() const { return window_; }
  // The window was in full use during this round or the last.
  bool window_limited() const { return round_limited_ || last_round_limited_; }
  double datagram() const { return datagram_; }
  void set_window(double bytes);
  void leave_slow_start() { ssthresh_ = window_; }

 private:
  bool congestion_event(const CongestionSample& s);
  void undo_if_spurious(const AckResult& r);
  void grow(const CongestionSample& s);
  void update_rate(const RttEstimator& rtt);

  const double datagram_;
  double window_;
  double ssthresh_ = std::numeric_limits<double>::infinity();
  BitRate pacing_, capacity_;
  HyStart hystart_;

  Time recovery_began_;  // losses of what was sent before belong to the reduction that was made then
  Time last_growth_at_;
  uint64_t round_end_delivered_ = 0;
  bool round_limited_ = false, last_round_limited_ = false;
  uint64_t acked_since_loss_ = 0, acked_before_loss_ = 0;

  // For undoing: as it was before the last reduction.
  bool may_undo_ = false;
  double undo_window_ = 0, undo_ssthresh_ = 0;
  uint64_t undo_lost_ = 0;  // bytes of the reduction's losses that have not arrived after all
};

}  // namespace hawser
