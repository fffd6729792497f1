// The rules, in the order in which a segment meets them: placed, dropped or taken.
#include "common/queue/tcp_retransmissions.h"

#include <algorithm>
#include <utility>

#include "common/queue/tcp_options.h"
#include "common/queue/tcp_timestamp.h"

namespace hawser {
namespace {

uint32_t later(uint32_t a, uint32_t b) { return is_earlier(a, b) ? b : a; }

}  // namespace

bool TcpRetransmissions::Range::empty() const { return !is_earlier(begin, end); }
bool TcpRetransmissions::Range::holds(const Mark& m) const { return !is_earlier(m.begin(), begin) && !is_earlier(end, m.end); }
bool TcpRetransmissions::Range::touches(const Mark& m) const {
  return !empty() && is_earlier(m.begin(), end) && is_earlier(begin, m.end);
}

TcpRetransmissions::Mark TcpRetransmissions::mark_of(const PacketHeaders& h) {
  const uint32_t connection = h.protocol == kTcp ? static_cast<uint32_t>(h.flow_hash >> 32) | 1u : 0;
  return {connection, h.tcp_end, static_cast<uint16_t>(h.tcp_end - h.tcp_begin), false};
}

TcpRetransmissions::Place TcpRetransmissions::place(Mark& m, const PacketHeaders& h, ByteSpan packet, Duration round_trip, Time now) {
  if (h.syn && m.connection == connection_) connection_ = 0;
  if (!m.data) return Place::last;
  if (m.connection != connection_ || is_far(m.end)) {
    begin_anew(m);
  } else if (is_earlier(end_, m.end)) {
    if (m.begin() != end_) skip_to(m.begin());
  } else {
    return place_known(m, h, packet, round_trip, now);
  }
  end_ = m.end;
  says_ = h.tcp_says;
  return Place::last;
}

// No window is so long: another connection by the same ports, or no segment of it at all.
bool TcpRetransmissions::is_far(uint32_t end) const {
  constexpr int32_t kFar = 64 << 20;
  const auto distance = static_cast<int32_t>(end - end_);
  return distance > kFar || distance < -kFar;
}

void TcpRetransmissions::begin_anew(const Mark& m) {
  connection_ = m.connection;
  waiting_from_ = m.begin();
  told_ = passed_ = {m.begin(), m.begin()};
  left_out_until_ = m.begin();
  taken_.fill({});
  holes_.fill({m.begin(), m.begin()});
}

// What lies between has not come, and may yet.
void TcpRetransmissions::skip_to(uint32_t begin) {
  waiting_from_ = begin;
  left_out_until_ = later(left_out_until_, begin);
}

// Of a segment that ends at or before what the connection has sent already. One that says something new beside its data, by
// its acknowledgement or its window, is always taken.
TcpRetransmissions::Place TcpRetransmissions::place_known(Mark& m, const PacketHeaders& h, ByteSpan packet, Duration round_trip, Time now) {
  if ((stamped_ && stamped_ != m.connection) || timestamp_of(packet).sealed) return Place::last;
  if (std::any_of(holes_.begin(), holes_.end(), [&](const Range& hole) { return hole.touches(m); })) {
    stamped_ = m.connection;
    passed_at_ = now;
    pass(taken_since(now - round_trip));
    m.first = true;
    return Place::first;
  }
  if (std::exchange(says_, h.tcp_says) != h.tcp_says) return Place::last;
  const uint32_t under_way_from = taken_since(now - round_trip);
  if (is_earlier(m.begin(), waiting_from_)) {
    // Once: what was lost beyond the tunnel soon after its arrival there, before we know of that, looks the same.
    if (!passed_.holds(m) || is_earlier(m.begin(), under_way_from) || is_earlier(m.begin(), left_out_until_)) return Place::last;
    left_out_until_ = m.end;
  }
  const uint32_t waits = later(m.begin(), waiting_from_);
  if (is_earlier(waits, m.end)) {
    told_.begin = told_.empty() || is_earlier(waits, told_.begin) ? waits : told_.begin;
    told_.end = later(told_.end, m.end);
  }
  pass(under_way_from);  // the acknowledgement of what is left out will seem to be of what was sent now
  return Place::none;
}

// All that waits was sent before something that will be there sooner, or seem so. What was passed before and ends before
// `kept_after` is forgotten.
void TcpRetransmissions::pass(uint32_t kept_after) {
  if (is_earlier(passed_.end, kept_after)) passed_.begin = waiting_from_;
  passed_.end = end_;
}

// From where on all, but for the holes, waits or was taken after `since`.
uint32_t TcpRetransmissions::taken_since(Time since) const {
  uint32_t from = waiting_from_;
  for (const Taken& t : taken_) {
    if (t.at > since) from = t.from;
  }
  return from;
}

// Not one from before the connection was begun anew.
bool TcpRetransmissions::is_of_this_life(const Mark& m) const {
  return m.data && m.connection == connection_ && !is_earlier(end_, m.end);
}

void TcpRetransmissions::on_dropped(const Mark& m) {
  if (!is_of_this_life(m) || m.first) return;
  waiting_from_ = later(waiting_from_, m.end);
  Range& last = holes_.back();
  if (last.end == m.begin()) {
    last.end = m.end;
    return;
  }
  // Only behind what is forgotten it is known what came into the tunnel.
  passed_.begin = later(passed_.begin, holes_.front().end);
  std::copy(holes_.begin() + 1, holes_.end(), holes_.begin());
  last = {m.begin(), m.end};
}

void TcpRetransmissions::on_taken(const Mark& m, Time enqueued, Duration round_trip, Time now, MutableByteSpan packet) {
  if (is_of_this_life(m) && !m.first) {
    if (now - taken_[0].at > round_trip * (1.0 / (taken_.size() - 1))) {
      std::copy_backward(taken_.begin(), taken_.end() - 1, taken_.end());
      taken_[0] = {now, waiting_from_};
    }
    waiting_from_ = later(waiting_from_, m.end);
    told_.begin = later(told_.begin, m.end);
    told_.end = later(told_.end, told_.begin);
  }
  stamp(m, enqueued, packet);
}

// What was passed bears no earlier timestamp than what passed it.
void TcpRetransmissions::stamp(const Mark& m, Time enqueued, MutableByteSpan packet) {
  if (!stamped_) return;
  if (!m.first && enqueued > passed_at_) {
    stamped_ = 0;  // what passed it is gone, and what follows was sent later
    has_least_ = false;
  }
  if (m.connection != stamped_) return;
  if (m.first) {
    const TcpTimestamp t = timestamp_of(packet);
    if (t.present && (!has_least_ || is_earlier(least_, t.value))) least_ = t.value;
    has_least_ = has_least_ || t.present;
  } else if (has_least_) {
    raise_timestamp(packet, least_);
  }
}

}  // namespace hawser
