// Order of work for a sample: rounds, undoing, reductions, growth, pacing.
#include "common/congestion/window_controller.h"

#include <algorithm>
#include <utility>

namespace hawser {
namespace {

constexpr double kInitialDatagrams = 10;  // RFC 6928
constexpr double kMinDatagrams = 2;       // RFC 9002, 7.2
constexpr double kSlowStartPacing = 2.0;  // room for the window to double within the round
constexpr double kPacing = 1.2;           // room for the window to be filled in spite of a late datagram
constexpr Duration kFirstRoundTrip = Duration::millis(20);  // spreads the initial window until there is a sample

}  // namespace

WindowController::WindowController(uint16_t datagram_size)
    : datagram_(datagram_size),
      window_(kInitialDatagrams * datagram_size),
      pacing_(BitRate::from_bytes_over(window_, kFirstRoundTrip)) {}

void WindowController::set_window(double bytes) {
  window_ = std::max(bytes, kMinDatagrams * datagram_);
}

// RFC 9002, 7.8 and RFC 7661: only a window that was full says that more would have gone. Once in a round suffices,
// because the pacer leaves the window unfilled most of the time; in slow start half of it is full use.
void WindowController::on_sent(Time, uint64_t bytes_in_flight, uint16_t size) {
  const auto used = static_cast<double>(bytes_in_flight + size);
  if (used * (in_slow_start() ? 2 : 1) + 2 * datagram_ > window_) round_limited_ = true;
}

// Whether this sample tells of congestion that no earlier reduction covers (RFC 9002, 7.3.2).
bool WindowController::congestion_event(const CongestionSample& s) {
  const AckResult& r = s.ack;
  const bool lost = r.lost_bytes > 0 && r.newest_lost_sent_at > recovery_began_;
  const bool marked = r.newly_ce > 0 && (!recovery_began_.is_set() || r.newest_acked_sent_at > recovery_began_);
  if (!lost && !marked) {
    undo_lost_ += r.lost_bytes;
    return false;
  }
  may_undo_ = !marked;
  undo_window_ = window_;
  undo_ssthresh_ = ssthresh_;
  undo_lost_ = r.lost_bytes;
  acked_before_loss_ = acked_since_loss_;
  acked_since_loss_ = 0;
  set_window(reduced(s));
  leave_slow_start();
  hystart_.on_congestion();
  recovery_began_ = s.now;
  return true;
}

// Everything that the last reduction was made for arrived after all: it was reordering (RFC 4015, RFC 9438, 4.9).
void WindowController::undo_if_spurious(const AckResult& r) {
  if (r.spurious_bytes == 0) return;
  undo_lost_ -= std::min(undo_lost_, r.spurious_bytes);
  if (undo_lost_ > 0 || !may_undo_) return;
  may_undo_ = false;
  window_ = std::max(window_, undo_window_);
  ssthresh_ = undo_ssthresh_;
  on_undo();
}

void WindowController::grow(const CongestionSample& s) {
  const auto acked = static_cast<double>(s.ack.acked_bytes);
  acked_since_loss_ += s.ack.acked_bytes;
  // What was sent before the reduction says nothing about the reduced window.
  if (recovery_began_.is_set() && s.ack.newest_acked_sent_at <= recovery_began_) return;
  if (!window_limited()) {
    if (last_growth_at_.is_set()) on_unused(s.now - last_growth_at_);
    last_growth_at_ = s.now;
    return;
  }
  last_growth_at_ = s.now;
  if (!in_slow_start()) {
    set_window(window_ + increase(acked, s));
    ssthresh_ = std::min(ssthresh_, window_);  // OLIA's and wVegas' small steps down lead to no slow start
    return;
  }
  if (hystart_.phase() == HyStart::Phase::done && ssthresh_ == std::numeric_limits<double>::infinity()) {
    leave_slow_start();
    return;
  }
  set_window(window_ + (hystart_.phase() == HyStart::Phase::conservative ? acked / HyStart::kGrowthDivisor : acked));
}

void WindowController::update_rate(const RttEstimator& rtt) {
  if (!rtt.has_sample()) return;
  const Duration round_trip = std::max(rtt.smoothed(), kGranularity / 10);
  capacity_ = BitRate::from_bytes_over(window_, round_trip);
  pacing_ = capacity_ * (in_slow_start() ? kSlowStartPacing : kPacing);
}

void WindowController::on_sample(const CongestionSample& s) {
  const AckResult& r = s.ack;
  if (r.has_rtt) {
    const Duration without_waiting = r.rtt - std::min(r.ack_delay, kMaxAckDelay);
    hystart_.on_rtt(without_waiting);
    on_rtt(without_waiting, s.now);
  }
  undo_if_spurious(r);
  congestion_event(s);
  if (r.acked_bytes > 0) grow(s);
  if (r.sample_interval.ns > 0 && r.sample_prior_delivered >= round_end_delivered_) {
    round_end_delivered_ = s.delivered;
    hystart_.on_round();
    on_round(s);
    last_round_limited_ = std::exchange(round_limited_, false);
  }
  update_rate(s.rtt);
}

void WindowController::take_over(const Controller& previous) {
  if (previous.capacity().bps <= 0) return;  // it had not learnt anything
  set_window(static_cast<double>(previous.congestion_window()));
  leave_slow_start();
  hystart_.on_congestion();
  pacing_ = previous.pacing_rate();
  capacity_ = previous.capacity();
}

// As after a retransmission time-out (RFC 5681, 3.1), but with the window of a new path: it has just been proved anew.
void WindowController::on_path_revived(Time now) {
  ssthresh_ = std::max(window_ / 2, kMinDatagrams * datagram_);
  window_ = std::min(window_, kInitialDatagrams * datagram_);
  recovery_began_ = now;
  may_undo_ = false;
  on_restart();
}

}  // namespace hawser
