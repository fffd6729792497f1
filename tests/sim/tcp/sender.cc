// The sender's way: an ack -> scoreboard -> RTT -> losses -> state and window -> send -> timers.
#include "tests/sim/tcp/sender.h"

#include <algorithm>
#include <cmath>

namespace hawser::sim {

TcpSender::TcpSender(EventLoop& loop, CongestionControl kind, uint32_t mss, Transmit transmit)
    : loop_(loop),
      mss_(mss),
      transmit_(std::move(transmit)),
      window_(kind, mss),
      timeout_(loop, [this] { on_timeout(); }),
      reordering_(loop, [this] { on_reordering_timer(); }) {}

void TcpSender::write(uint64_t bytes) {
  written_ += bytes;
  if (!started_) return;
  // After an idle time the window no longer says anything about the network (RFC 2861).
  if (board_.empty() && last_sent_.is_set()) {
    const auto rounds = static_cast<int>((loop_.now() - last_sent_).ns / rtt_.timeout().ns);
    if (rounds > 0) window_.on_idle(rounds);
  }
  send_what_fits();
  arm();
}

void TcpSender::start(uint64_t peer_window) {
  started_ = true;
  peer_window_ = peer_window;
  send_what_fits();
  arm();
}

void TcpSender::on_ack(uint64_t ack, std::span<const std::pair<uint64_t, uint64_t>> sack, uint64_t peer_window, Time echo) {
  const Time now = loop_.now();
  peer_window_ = peer_window;
  AckOutcome outcome;
  board_.on_cumulative(ack, rtt_.min(), now, outcome);
  for (const auto& [begin, end] : sack) {
    if (begin >= ack) board_.on_selective(begin, end, rtt_.min(), now, outcome);
  }
  count_duplicates(ack, sack);
  if (outcome.rtt.ns >= 0) rtt_.on_sample(outcome.rtt);
  if (outcome.advanced) {
    timer_base_ = now;
    backoff_ = 0;
    probed_ = false;
  }
  if (ack >= round_end_) {
    round_end_ = next_;
    window_.on_round(now);
  }

  const bool undone = state_ != State::open && undo_if_spurious(outcome.advanced, echo);
  if (!undone && state_ != State::open && ack >= recovery_point_) leave_recovery();
  Time check_again;
  const uint64_t newly_lost = board_.detect_losses(rtt_, state_ != State::open, now, check_again);
  reordering_.set(check_again);
  if (newly_lost && state_ == State::open) enter_recovery();

  if (state_ == State::recovery) {
    reduce(outcome.delivered);
  } else if (outcome.delivered) {
    window_.on_ack(static_cast<double>(outcome.delivered), outcome.rtt, rtt_.min(), limited_, now);
  }
  send_what_fits();
  arm();
}

// DSACK (RFC 2883): a first block below the cumulative point, or inside the second one, arrived twice.
void TcpSender::count_duplicates(uint64_t ack, std::span<const std::pair<uint64_t, uint64_t>> sack) {
  if (sack.empty()) return;
  const bool inside_second = sack.size() > 1 && sack[0].first >= sack[1].first && sack[0].second <= sack[1].second;
  if (sack[0].first >= ack && !inside_second) return;
  board_.on_duplicate_reported();
  if (resent_unaccounted_ > 0) --resent_unaccounted_;
}

// Spurious: the original arrived after all (its timestamp came back, RFC 3522), or every retransmission was a duplicate.
bool TcpSender::undo_if_spurious(bool advanced, Time echo) {
  if (!first_resent_.is_set()) return false;
  // An echo names the tick of its sending: that tick must have ended before the retransmission.
  const bool by_timestamp = advanced && echo.is_set() && echo + kTick <= first_resent_;
  const bool by_duplicates = resent_unaccounted_ == 0;
  if (!by_timestamp && !by_duplicates) return false;
  ++stats_.undone;
  board_.unmark_lost();
  window_.undo(undo_window_, undo_ssthresh_);
  state_ = State::open;
  first_resent_ = Time{};
  return true;
}

void TcpSender::enter_recovery() {
  ++stats_.recoveries;
  state_ = State::recovery;
  recovery_point_ = next_;
  undo_window_ = window_.bytes();
  undo_ssthresh_ = window_.ssthresh();
  first_resent_ = Time{};
  resent_unaccounted_ = 0;
  recover_flight_ = std::max<double>(1, static_cast<double>(next_ - board_.unacked()));
  prr_delivered_ = prr_sent_ = 0;
  window_.on_loss();
}

void TcpSender::leave_recovery() {
  if (state_ == State::recovery) window_.set_bytes(window_.ssthresh());
  state_ = State::open;
  first_resent_ = Time{};
}

// RFC 6937 with Linux' slow-start reduction bound: one extra segment per ack only while the network is not losing.
void TcpSender::reduce(uint64_t delivered) {
  prr_delivered_ += static_cast<double>(delivered);
  const auto pipe = static_cast<double>(board_.pipe());
  double send = 0;
  if (pipe > window_.ssthresh()) {
    send = std::ceil(prr_delivered_ * window_.ssthresh() / recover_flight_) - prr_sent_;
  } else {
    const double limit = std::max(prr_delivered_ - prr_sent_, static_cast<double>(delivered)) + mss_;
    send = std::min(window_.ssthresh() - pipe, limit);
  }
  if (prr_sent_ == 0) send = std::max<double>(send, mss_);  // the first retransmission goes out in any case
  window_.set_bytes(pipe + std::max(0.0, send));
}

void TcpSender::send_what_fits() {
  if (!started_) return;
  while (true) {
    const bool room = static_cast<double>(board_.pipe() + mss_) <= window_.bytes() + 0.5;
    SentSegment* lost = board_.next_lost();
    const bool fresh = next_ < written_ && next_ < board_.unacked() + peer_window_;
    if (!room) {
      limited_ = lost || fresh;
      return;
    }
    if (lost) {
      resend(*lost);
      continue;
    }
    if (!fresh) {
      limited_ = false;
      return;
    }
    const auto length = static_cast<uint32_t>(std::min<uint64_t>({mss_, written_ - next_, board_.unacked() + peer_window_ - next_}));
    if (length < mss_ && next_ + length < written_) {  // silly windows (RFC 9293, 3.8.6.2)
      limited_ = false;
      return;
    }
    const uint64_t offset = next_;
    next_ += length;
    if (board_.empty()) timer_base_ = loop_.now();
    board_.on_sent(offset, length, loop_.now());
    last_sent_ = loop_.now();
    prr_sent_ += length;
    ++stats_.segments;
    transmit_(offset, length);
  }
}

void TcpSender::resend(SentSegment& s) {
  board_.on_resent(s, loop_.now());
  last_sent_ = loop_.now();
  prr_sent_ += s.length;
  ++stats_.segments;
  ++stats_.retransmissions;
  ++resent_unaccounted_;
  if (!first_resent_.is_set()) first_resent_ = loop_.now();
  transmit_(s.begin, s.length);
}

// One timer: a tail loss probe (RFC 8985, section 7) while all is well, else the retransmission timeout.
void TcpSender::arm() {
  if (board_.empty()) {
    timeout_.cancel();
    return;
  }
  const Duration timeout = std::min(rtt_.timeout() * (int64_t{1} << std::min(backoff_, 9)), Duration::seconds(120));
  probe_is_next_ = state_ == State::open && !probed_ && rtt_.has_sample() && !board_.any_sacked() && backoff_ == 0;
  Time at = std::max(timer_base_ + timeout, loop_.now());
  if (probe_is_next_) {
    Duration wait = rtt_.smoothed() * 2 + (board_.count() == 1 ? Duration::millis(200) : Duration::millis(2));
    const Time probe = last_sent_ + wait;
    if (probe < at) {
      at = probe;
    } else {
      probe_is_next_ = false;
    }
  }
  timeout_.set(at);
}

void TcpSender::on_timeout() {
  if (board_.empty()) return;
  if (probe_is_next_) {
    probed_ = true;
    ++stats_.tail_probes;
    const uint64_t before = next_;
    if (next_ < written_ && next_ < board_.unacked() + peer_window_) {
      const auto length = static_cast<uint32_t>(std::min<uint64_t>(mss_, written_ - next_));
      next_ += length;
      board_.on_sent(before, length, loop_.now());
      last_sent_ = loop_.now();
      ++stats_.segments;
      transmit_(before, length);
    } else {
      resend(*board_.last());
      first_resent_ = Time{};
      resent_unaccounted_ = 0;
    }
    // The retransmission timeout counts from the probe.
    timer_base_ = loop_.now();
    arm();
    return;
  }
  ++stats_.timeouts;
  if (state_ != State::loss) {
    undo_window_ = window_.bytes();
    undo_ssthresh_ = window_.ssthresh();
    first_resent_ = Time{};
    resent_unaccounted_ = 0;
    window_.on_loss();
  }
  state_ = State::loss;
  recovery_point_ = next_;
  board_.mark_all_lost();
  ++backoff_;
  timer_base_ = loop_.now();
  window_.set_bytes(mss_);
  send_what_fits();
  arm();
}

void TcpSender::on_reordering_timer() {
  Time check_again;
  const uint64_t newly_lost = board_.detect_losses(rtt_, state_ != State::open, loop_.now(), check_again);
  reordering_.set(check_again);
  if (newly_lost && state_ == State::open) enter_recovery();
  if (state_ == State::recovery) reduce(0);
  send_what_fits();
  arm();
}

}  // namespace hawser::sim
