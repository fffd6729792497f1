// What TCP sends again, in one flow queue. What was lost goes before what waits of its connection: its receiver can only store
// the rest until it has it, and a queue's length would be added to each stall. RACK (RFC 8985) then counts all as lost that was
// sent before that segment and is not there yet: what still waits, or left just now for a tunnel that repairs it, is not taken
// twice. And what went last is stamped as if it were sent after what went first, else its receiver would take it for an old
// connection's (common/queue/tcp_timestamp.h).
#pragma once

#include <algorithm>
#include <array>

#include "common/queue/classify.h"
#include "common/queue/tcp_timestamp.h"

namespace hawser {

class TcpRetransmissions {
 public:
  enum class Place : uint8_t { last, first, none };  // none: it is in the tunnel already

  // A TCP segment as the queue remembers it.
  struct Mark {
    uint32_t connection = 0;  // 0: no TCP
    uint32_t end = 0;         // the sequence number after its last byte
    uint16_t data = 0;        // bytes of it
    bool first = false;       // it was placed first
    uint32_t begin() const { return end - data; }
  };
  static Mark mark_of(const PacketHeaders& h) {
    constexpr uint8_t kTcp = 6;
    const uint32_t connection = h.protocol == kTcp ? static_cast<uint32_t>(h.flow_hash >> 32) | 1u : 0;
    return {connection, h.tcp_end, static_cast<uint16_t>(h.tcp_end - h.tcp_begin), false};
  }

  bool has_seen_any() const { return connection_ != 0; }

  // Where the segment belongs that comes now; what left less than `under_way` ago is on its way. Connections that share a flow
  // queue take turns at being remembered: no segment is judged by another connection's numbers.
  Place place(const Mark& m, ByteSpan packet, Duration under_way, Time now) {
    if (!m.data) return Place::last;
    if (m.connection != connection_ || is_earlier(end_, m.end)) {
      if (m.connection != connection_) told_until_ = m.begin();
      if (m.connection != connection_ || m.begin() != end_) begin_whole(m.begin());
      connection_ = m.connection;
      end_ = m.end;
      return Place::last;
    }
    if ((stamped_ && stamped_ != m.connection) || timestamp_of(packet).sealed) return Place::last;
    if (!is_earlier(m.begin(), waiting_from_)) {
      told_until_ = later(told_until_, m.end);
      return Place::none;
    }
    if (is_under_way(m, under_way, now)) {
      left_out_until_ = later(left_out_until_, m.end);
      return Place::none;
    }
    stamped_ = m.connection;
    passed_at_ = now;
    return Place::first;
  }

  // Its sender counts the segment as lost and as sent again: it must not be dropped on top of that.
  bool is_told(const Mark& m) const { return m.data && m.connection == connection_ && !is_earlier(told_until_, m.end); }

  // A segment is dropped.
  void on_dropped(const Mark& m) {
    if (!m.data || m.first || m.connection != connection_) return;
    waiting_from_ = later(waiting_from_, m.end);
    Hole& last = holes_.back();
    if (last.end == m.begin()) {
      last.end = m.end;
      return;
    }
    // What is forgotten is not whole any more.
    whole_from_ = later(whole_from_, holes_.front().end);
    std::copy(holes_.begin() + 1, holes_.end(), holes_.begin());
    last = {m.begin(), m.end};
  }

  // A segment is taken, to be sent.
  void on_taken(const Mark& m, Time enqueued, Duration under_way, Time now, MutableByteSpan packet) {
    if (m.data && !m.first && m.connection == connection_) {
      if (now - taken_[0].at > under_way * (1.0 / (taken_.size() - 1))) remember(now);
      waiting_from_ = later(waiting_from_, m.end);
      told_until_ = later(told_until_, waiting_from_);
    }
    if (!m.connection || m.connection != stamped_) return;
    if (m.first) {
      const TcpTimestamp t = timestamp_of(packet);
      if (t.present && (!has_least_ || is_earlier(least_, t.value))) least_ = t.value;
      has_least_ = has_least_ || t.present;
    } else if (enqueued > passed_at_) {
      stamped_ = 0;  // what passed it is gone, and what follows was sent later
      has_least_ = false;
    } else if (has_least_) {
      raise_timestamp(packet, least_);
    }
  }

 private:
  // When what was not taken yet began with this sequence number.
  struct Taken {
    Time at;
    uint32_t from = 0;
  };

  struct Hole {
    uint32_t begin = 0, end = 0;
  };

  static uint32_t later(uint32_t a, uint32_t b) { return is_earlier(a, b) ? b : a; }

  // What comes before is not, or not whole, in the tunnel.
  void begin_whole(uint32_t from) {
    whole_from_ = waiting_from_ = left_out_until_ = from;
    taken_.fill({});
    holes_.fill({from, from});
  }
  void remember(Time now) {
    // All numbers follow, so that none is ever half of their range behind and seems to lie ahead.
    if (taken_.back().at.is_set()) whole_from_ = later(whole_from_, taken_.back().from);
    left_out_until_ = later(left_out_until_, whole_from_);
    std::copy_backward(taken_.begin(), taken_.end() - 1, taken_.end());
    taken_[0] = {now, waiting_from_};
  }
  // From where on all, but for the holes, waits or was taken after `since`.
  uint32_t whole_from(Time since) const {
    uint32_t from = waiting_from_;
    for (const Taken& t : taken_) {
      if (t.at > since) from = t.from;
    }
    return later(from, whole_from_);
  }
  // Only for a while after a segment went first, and once: what was lost beyond the tunnel soon after its arrival there, before
  // we know of that, looks the same.
  bool is_under_way(const Mark& m, Duration under_way, Time now) const {
    constexpr int kRoundTrips = 4;  // its acknowledgement, and what the sender makes of that
    return passed_at_.is_set() && now - passed_at_ < under_way * kRoundTrips && !is_earlier(m.begin(), whole_from(now - under_way)) &&
           !is_earlier(m.begin(), left_out_until_) && !was_dropped(m);
  }
  bool was_dropped(const Mark& m) const {
    return std::any_of(holes_.begin(), holes_.end(),
                       [&](const Hole& h) { return is_earlier(m.begin(), h.end) && is_earlier(h.begin, m.end); });
  }

  uint32_t connection_ = 0;       // the one seen last
  uint32_t end_ = 0;              // the sequence number after the last byte it has sent
  uint32_t whole_from_ = 0;       // from here on to the end all of it came without a gap
  std::array<Hole, 6> holes_{};   // but these were dropped; latest last
  uint32_t waiting_from_ = 0;     // from here on it waits
  std::array<Taken, 5> taken_{};  // latest first, a quarter of the way through the tunnel apart
  uint32_t told_until_ = 0;       // of what waits so much was sent again
  uint32_t left_out_until_ = 0;   // of what is under way so much was sent again
  uint32_t stamped_ = 0;          // the one of which a segment has passed others; 0: none
  bool has_least_ = false;
  uint32_t least_ = 0;            // those that were passed are stamped with this at least
  Time passed_at_;
};

}  // namespace hawser
