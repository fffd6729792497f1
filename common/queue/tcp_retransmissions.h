// What TCP sends again, in one flow queue. What was dropped here goes before what waits of its connection: its receiver can
// only store the rest until it has it, and a queue's length would be added to each stall. RACK (RFC 8985) then counts all as
// lost that was sent before that segment and is not there yet: what still waits, or waited and has just left for a tunnel that
// repairs it, is not taken twice. And what was passed is stamped as if it were sent after what passed it, else its receiver
// would take it for an old connection's (common/queue/tcp_timestamp.h).
#pragma once

#include <array>

#include "common/queue/classify.h"

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
  static Mark mark_of(const PacketHeaders& h);

  bool has_seen_any() const { return connection_ != 0; }

  // Where the segment belongs that comes now, noted in its mark; what left less than `round_trip` ago may be under way through
  // the tunnel. Connections that share a flow queue take turns at being remembered: no segment is judged by another's numbers.
  Place place(Mark& m, const PacketHeaders& h, ByteSpan packet, Duration round_trip, Time now);

  // Its sender counts the segment as lost and as sent again: it must not be dropped on top of that.
  bool is_told(const Mark& m) const { return m.data && m.connection == connection_ && told_.touches(m); }

  // A segment leaves the queue: it is dropped, or taken to be sent and may be stamped anew.
  void on_dropped(const Mark& m);
  void on_taken(const Mark& m, Time enqueued, Duration round_trip, Time now, MutableByteSpan packet);

 private:
  // Of sequence numbers.
  struct Range {
    uint32_t begin = 0, end = 0;
    bool empty() const;
    bool holds(const Mark& m) const;
    bool touches(const Mark& m) const;
  };
  // When what was not taken yet began with this sequence number.
  struct Taken {
    Time at;
    uint32_t from = 0;
  };

  bool is_of_this_life(const Mark& m) const;
  bool is_far(uint32_t end) const;
  void begin_anew(const Mark& m);
  void skip_to(uint32_t begin);
  Place place_known(Mark& m, const PacketHeaders& h, ByteSpan packet, Duration round_trip, Time now);
  void pass(uint32_t kept_after);
  uint32_t taken_since(Time since) const;
  void stamp(const Mark& m, Time enqueued, MutableByteSpan packet);

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
