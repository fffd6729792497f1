// The scoreboard: segments in order of sequence, their states, and loss detection by time.
#include "tests/sim/tcp/scoreboard.h"

#include <algorithm>

namespace hawser::sim {

void Scoreboard::on_sent(uint64_t begin, uint32_t length, Time now) {
  SentSegment s;
  s.begin = begin;
  s.length = length;
  s.sent_at = s.first_sent_at = now;
  segments_.push_back(s);
  pipe_ += length;
}

void Scoreboard::on_resent(SentSegment& s, Time now) {
  if (s.lost) {
    s.lost = false;
    --lost_;
    pipe_ += s.length;
  }
  s.sent_at = now;
  ++s.transmissions;
}

void Scoreboard::arrived(SentSegment& s, Duration least, Time now, AckOutcome& outcome) {
  outcome.delivered += s.length;
  if (s.lost) {
    s.lost = false;
    --lost_;
  } else {
    pipe_ -= s.length;
  }
  if (s.transmissions == 1) {
    outcome.rtt = now - s.sent_at;
    // An original below something that has already arrived: the network reorders (RFC 8985, 6.2 step 3).
    if (s.end() < highest_sacked_) reordering_seen_ = true;
  }
  highest_sacked_ = std::max(highest_sacked_, s.end());
  // A retransmission acknowledged faster than ever possible was not what arrived (RFC 8985, 6.2 step 2).
  const bool ambiguous = s.transmissions > 1 && now - s.sent_at < least;
  if (!ambiguous && (s.sent_at > rack_sent_ || (s.sent_at == rack_sent_ && s.end() > rack_end_))) {
    rack_sent_ = s.sent_at;
    rack_end_ = s.end();
    rack_rtt_ = now - s.sent_at;
  }
}

void Scoreboard::on_cumulative(uint64_t ack, Duration least, Time now, AckOutcome& outcome) {
  outcome.advanced = outcome.advanced || ack > unacked_;
  unacked_ = std::max(unacked_, ack);
  while (!segments_.empty() && segments_.front().end() <= ack) {
    SentSegment& s = segments_.front();
    if (s.sacked) {
      --sacked_;
    } else {
      arrived(s, least, now, outcome);
    }
    segments_.pop_front();
  }
}

void Scoreboard::on_selective(uint64_t begin, uint64_t end, Duration least, Time now, AckOutcome& outcome) {
  auto it = std::lower_bound(segments_.begin(), segments_.end(), begin,
                             [](const SentSegment& s, uint64_t at) { return s.begin < at; });
  for (; it != segments_.end() && it->end() <= end; ++it) {
    if (it->sacked) continue;
    arrived(*it, least, now, outcome);
    it->sacked = true;
    ++sacked_;
  }
}

uint64_t Scoreboard::detect_losses(const RttEstimator& rtt, bool in_recovery, Time now, Time& check_again) {
  check_again = Time::infinite();
  if (!rack_sent_.is_set() || (sacked_ == 0 && !in_recovery)) return 0;
  // Until reordering was seen, three segments above a hole are proof (RFC 8985, 6.2 step 4).
  Duration window{};
  if (reordering_seen_ || (!in_recovery && sacked_ < 3)) {
    window = std::min(rtt.min() / 4 * std::min(reorder_steps_, 16), rtt.smoothed());
  }
  uint64_t newly = 0;
  for (SentSegment& s : segments_) {
    if (s.sacked || s.lost) continue;
    if (s.sent_at > rack_sent_ || (s.sent_at == rack_sent_ && s.end() > rack_end_)) continue;
    const Time deadline = s.sent_at + rack_rtt_ + window;
    if (deadline <= now) {
      s.lost = true;
      ++lost_;
      pipe_ -= s.length;
      newly += s.length;
    } else {
      check_again = std::min(check_again, deadline);
    }
  }
  return newly;
}

void Scoreboard::mark_all_lost() {
  for (SentSegment& s : segments_) {
    if (s.sacked || s.lost) continue;
    s.lost = true;
    ++lost_;
    pipe_ -= s.length;
  }
}

void Scoreboard::unmark_lost() {
  for (SentSegment& s : segments_) {
    if (!s.lost) continue;
    s.lost = false;
    pipe_ += s.length;
  }
  lost_ = 0;
}

SentSegment* Scoreboard::next_lost() {
  if (lost_ == 0) return nullptr;
  const auto it = std::find_if(segments_.begin(), segments_.end(), [](const SentSegment& s) { return s.lost; });
  return it == segments_.end() ? nullptr : &*it;
}

}  // namespace hawser::sim
