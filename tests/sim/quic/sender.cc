// RFC 9002's loss detection over a deque of packets, and a simple pacer.
#include "tests/sim/quic/sender.h"

#include <algorithm>

namespace hawser::sim {
namespace {
constexpr uint64_t kPacketThreshold = 3;
constexpr uint64_t kRemembered = 500;  // packets for which a late acknowledgement of a lost one is still noticed
constexpr Duration kMaxAckDelay = Duration::millis(25), kGranularity = Duration::millis(1);
}  // namespace

QuicSender::QuicSender(EventLoop& loop, CongestionControl kind, size_t packet_bytes, uint64_t stream_bytes, uint64_t window,
                       std::function<void(const QuicData&)> transmit)
    : loop_(loop),
      packet_bytes_(packet_bytes),
      stream_bytes_(stream_bytes),
      flow_window_(window),
      transmit_(std::move(transmit)),
      window_(kind, static_cast<double>(packet_bytes - kUdpIpHeaders - kQuicDataHeader)),
      timer_(loop, [this] { on_timer(); }),
      pacer_(loop, [this] { send_what_fits(); }) {}

void QuicSender::on_ack(const QuicRanges& ranges) {
  if (ranges.empty()) return;
  const Time now = loop_.now();
  double delivered = 0;
  Duration rtt{-1};
  for (const auto& [low, high] : ranges) {
    for (uint64_t n = std::max(low, first_); n <= high && n < first_ + sent_.size(); ++n) {
      Sent& s = sent_[n - first_];
      if (s.acked) continue;
      s.acked = true;
      delivered += payload();
      if (s.lost) {
        ++stats_.spurious;
      } else {
        in_flight_ -= payload();
      }
      if (n >= largest_acked_ && n == high && !s.lost) rtt = now - s.at;
    }
  }
  if (rtt.ns >= 0) rtt_.on_sample(rtt);
  if (delivered > 0) probes_ = 0;
  largest_acked_ = std::max(largest_acked_, ranges.front().high);
  any_acked_ = true;
  if (largest_acked_ >= round_end_) {
    round_end_ = first_ + sent_.size();
    window_.on_round(now);
  }
  const uint64_t recovery_before = recovery_until_;
  detect_losses();
  if (delivered > 0 && recovery_until_ == recovery_before && largest_acked_ >= recovery_until_) {
    window_.on_ack(delivered, rtt, rtt_.min(), limited_, now);
  }
  while (!sent_.empty() && (sent_.front().acked || (sent_.front().lost && first_ + kRemembered < largest_acked_))) {
    sent_.pop_front();
    ++first_;
  }
  send_what_fits();
}

void QuicSender::detect_losses() {
  loss_time_ = Time::infinite();
  if (!any_acked_) return;
  const Duration threshold = std::max(std::max(rtt_.smoothed(), rtt_.latest()) * 9 / 8, kGranularity);
  for (uint64_t n = first_; n < std::min<uint64_t>(largest_acked_, first_ + sent_.size()); ++n) {
    Sent& s = sent_[n - first_];
    if (s.acked || s.lost) continue;
    if (n + kPacketThreshold <= largest_acked_ || s.at + threshold <= loop_.now()) {
      declare_lost(s);
      if (n >= recovery_until_) {
        recovery_until_ = first_ + sent_.size();
        window_.on_loss();
        window_.set_bytes(window_.ssthresh());
      }
    } else {
      loss_time_ = std::min(loss_time_, s.at + threshold);
    }
  }
}

void QuicSender::declare_lost(Sent& s) {
  s.lost = true;
  in_flight_ -= payload();
  lost_offsets_.push_back(s.offset);
}

void QuicSender::send_what_fits() {
  const Time now = loop_.now();
  while (true) {
    const bool anything = !lost_offsets_.empty() || next_offset_ < stream_bytes_;
    if (in_flight_ + payload() > window_.bytes() || !anything) {
      limited_ = anything;
      break;
    }
    // RFC 9002, 7.7: 1.25 windows per round trip, in bursts of ten.
    if (rtt_.has_sample()) {
      const Duration gap = rtt_.smoothed() * (payload() / (1.25 * window_.bytes()));
      if (pace_next_ > now) {
        pacer_.set(pace_next_);
        limited_ = true;
        break;
      }
      pace_next_ = std::max(pace_next_, now - gap * 10) + gap;
    }
    if (!send_one()) break;
  }
  arm();
}

bool QuicSender::send_one() {
  uint64_t offset = next_offset_;
  if (!lost_offsets_.empty()) {
    offset = lost_offsets_.front();
    lost_offsets_.pop_front();
    ++stats_.retransmissions;
  } else {
    const uint64_t oldest = sent_.empty() ? next_offset_ : sent_.front().offset;
    if (next_offset_ >= stream_bytes_ || next_offset_ > oldest + flow_window_) return false;
    next_offset_ += static_cast<uint64_t>(payload());
  }
  sent_.push_back({offset, loop_.now()});
  in_flight_ += payload();
  last_sent_ = loop_.now();
  ++stats_.packets;
  transmit_({first_ + sent_.size() - 1, offset});
  return true;
}

void QuicSender::arm() {
  if (loss_time_ < Time::infinite()) {
    timer_.set(loss_time_);
  } else if (in_flight_ > 0) {
    const Duration rtt = rtt_.has_sample() ? rtt_.smoothed() : Duration::millis(333);
    const Duration pto = rtt + std::max(rtt_.variance() * 4, kGranularity) + kMaxAckDelay;
    timer_.set(std::max(loop_.now(), last_sent_ + pto * (int64_t{1} << std::min(probes_, 6))));
  } else {
    timer_.cancel();
  }
}

void QuicSender::on_timer() {
  if (loss_time_ <= loop_.now()) {
    detect_losses();
    send_what_fits();
    return;
  }
  ++stats_.timeouts;
  ++probes_;
  // A probe: the oldest unacknowledged piece again, whatever the window says.
  for (Sent& s : sent_) {
    if (s.acked || s.lost) continue;
    declare_lost(s);
    break;
  }
  send_one();
  arm();
}

}  // namespace hawser::sim
