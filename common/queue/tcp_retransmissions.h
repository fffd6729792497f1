// What TCP sends again, in one flow queue. What was dropped here goes before what waits of its connection: its receiver can
// only store the rest until it has it, and a queue's length would be added to each stall. RACK (RFC 8985) then counts all as
// lost that was sent before that segment and is not there yet: what still waits, or waited and has just left for a tunnel that
// repairs it, is not taken twice. And what was passed is stamped as if it were sent after what passed it, else its receiver
// would take it for an old connection's (common/queue/tcp_timestamp.h).
#pragma once

#include <algorithm>
#include <array>
#include <utility>

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
    uint16_t data = 0;        // bytes of it; 0 also when it carries more than data
    bool first = false;       // it was placed first
    uint32_t begin() const { return end - data; }
  };
  static Mark mark_of(const PacketHeaders& h) {
    constexpr uint8_t kTcp = 6;
    const uint32_t connection = h.protocol == kTcp ? static_cast<uint32_t>(h.flow_hash >> 32) | 1u : 0;
    return {connection, h.tcp_end, static_cast<uint16_t>(h.tcp_end - h.tcp_begin), false};
  }

  bool has_seen_any() const { return connection_ != 0; }

  // Where the segment belongs that comes now; what left less than `round_trip` ago may be under way through the tunnel.
  // Connections that share a flow queue take turns at being remembered: no segment is judged by another's numbers.
  Place place(const Mark& m, const PacketHeaders& h, ByteSpan packet, Duration round_trip, Time now) {
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

  // Its sender counts the segment as lost and as sent again: it must not be dropped on top of that.
  bool is_told(const Mark& m) const { return m.data && m.connection == connection_ && told_.touches(m); }

  // A segment is dropped.
  void on_dropped(const Mark& m) {
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

  // A segment is taken, to be sent.
  void on_taken(const Mark& m, Time enqueued, Duration round_trip, Time now, MutableByteSpan packet) {
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

 private:
  struct Range {
    uint32_t begin = 0, end = 0;
    bool empty() const { return !is_earlier(begin, end); }
    bool holds(const Mark& m) const { return !is_earlier(m.begin(), begin) && !is_earlier(end, m.end); }
    bool touches(const Mark& m) const { return !empty() && is_earlier(m.begin(), end) && is_earlier(begin, m.end); }
  };
  // When what was not taken yet began with this sequence number.
  struct Taken {
    Time at;
    uint32_t from = 0;
  };

  static uint32_t later(uint32_t a, uint32_t b) { return is_earlier(a, b) ? b : a; }

  // Not one from before the connection was begun anew.
  bool is_of_this_life(const Mark& m) const { return m.data && m.connection == connection_ && !is_earlier(end_, m.end); }

  // No window is so long: another connection by the same ports, or no segment of it at all.
  bool is_far(uint32_t end) const {
    constexpr int32_t kFar = 64 << 20;
    const auto distance = static_cast<int32_t>(end - end_);
    return distance > kFar || distance < -kFar;
  }

  // What lies between has not come, and may yet.
  void skip_to(uint32_t begin) {
    waiting_from_ = begin;
    left_out_until_ = later(left_out_until_, begin);
  }

  void begin_anew(const Mark& m) {
    connection_ = m.connection;
    waiting_from_ = m.begin();
    told_ = passed_ = {m.begin(), m.begin()};
    left_out_until_ = m.begin();
    taken_.fill({});
    holes_.fill({m.begin(), m.begin()});
  }

  // Of a segment that ends at or before what the connection has sent already. One that says something new beside its data, by
  // its acknowledgement or its window, is always taken.
  Place place_known(const Mark& m, const PacketHeaders& h, ByteSpan packet, Duration round_trip, Time now) {
    if ((stamped_ && stamped_ != m.connection) || timestamp_of(packet).sealed) return Place::last;
    const uint32_t under_way_from = taken_since(now - round_trip);
    if (std::any_of(holes_.begin(), holes_.end(), [&](const Range& hole) { return hole.touches(m); })) {
      stamped_ = m.connection;
      passed_at_ = now;
      pass(under_way_from);
      return Place::first;
    }
    if (std::exchange(says_, h.tcp_says) != h.tcp_says) return Place::last;
    if (is_earlier(m.begin(), waiting_from_)) {
      // Once: what was lost beyond the tunnel soon after its arrival there, before we know of that, looks the same.
      if (!passed_.holds(m) || is_earlier(m.begin(), under_way_from) || is_earlier(m.begin(), left_out_until_))
        return Place::last;
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

  // All that waits was sent before something that will be there sooner, or seem so.
  void pass(uint32_t under_way_from) {
    if (is_earlier(passed_.end, under_way_from)) passed_.begin = waiting_from_;
    passed_.end = end_;
  }

  // From where on all, but for the holes, waits or was taken after `since`.
  uint32_t taken_since(Time since) const {
    uint32_t from = waiting_from_;
    for (const Taken& t : taken_) {
      if (t.at > since) from = t.from;
    }
    return from;
  }

  void stamp(const Mark& m, Time enqueued, MutableByteSpan packet) {
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

  uint32_t connection_ = 0;       // the one seen last
  uint32_t end_ = 0;              // the sequence number after the last byte it has sent
  uint64_t says_ = 0;             // what its latest segment says beside its data
  uint32_t waiting_from_ = 0;     // from here on to the end all of it waits, without a gap
  std::array<Range, 8> holes_{};  // what was dropped; latest last
  std::array<Taken, 5> taken_{};  // latest first, a quarter of the round trip apart
  Range told_;                    // of what waits so much was sent again
  Range passed_;                  // waited when something went first or was left out, but for the holes
  uint32_t left_out_until_ = 0;   // of what is under way so much was sent again
  uint32_t stamped_ = 0;          // the one of which a segment has passed others; 0: none
  bool has_least_ = false;
  uint32_t least_ = 0;            // those that were passed are stamped with this at least
  Time passed_at_;
};

}  // namespace hawser
