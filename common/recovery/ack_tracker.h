// The receiver's side of acknowledgements of one path: which packet numbers came, and when an ack is due (RFC 9000, 13.2).
#pragma once

#include <algorithm>
#include <vector>

#include "common/constants.h"
#include "common/types.h"
#include "common/wire/frame.h"

namespace hawser {

class AckTracker {
 public:
  static constexpr size_t kNewest = 8;  // ranges that every frame carries

  // An authentic, new datagram of this path. `ecn` as on the wire; `rtt` is the path's, which says how far apart acks may be.
  void on_received(PacketNumber pn, bool ack_eliciting, uint8_t ecn, Duration rtt, Time now);

  // An ack on the path itself should leave at this moment (Time::infinite(): nothing to acknowledge).
  Time due() const { return due_; }
  bool is_due(Time now) const { return due_ <= now; }
  // Something came since the last ack on the path itself.
  bool has_news() const { return eliciting_pending_ > 0; }
  // Something came since the last cross-ack.
  bool has_cross_news() const { return cross_news_; }

  // The present state as a frame for the path itself, and for another; mark_sent / mark_cross_sent when it left.
  wire::AckFrame frame(PathId path, Time now) const { return frame_of(path, now, &Range::told); }
  wire::AckFrame cross_frame(PathId path, Time now) const { return frame_of(path, now, &Range::cross_told); }
  void mark_sent(Time now);
  void mark_cross_sent();
  // It may not be sent now: the next datagram that comes asks again.
  void postpone() { due_ = Time::infinite(); }

  bool has_any() const { return !ranges_.empty(); }
  PacketNumber largest() const { return ranges_[0].last; }
  // So many bytes hold all news that the next frame has, and more than a full datagram has beside its data: batches keep one size.
  size_t frame_bytes() const;
  size_t memory_bytes() const { return ranges_.capacity() * sizeof(Range); }

 private:
  struct Range : wire::AckRange {
    uint8_t told = 0, cross_told = 0;  // frames on the path itself, and on others, that carried it as it is
  };
  using Told = uint8_t Range::*;
  void insert(PacketNumber pn);
  // Beyond the newest, those that have not been told often enough.
  size_t changed(Told told) const;
  // Calls f(range) for those that the next frame carries, descending.
  template <typename Ranges, typename F>
  void each_told(Ranges& ranges, Told told, F&& f) const;
  void count_told(Told told);
  wire::AckFrame frame_of(PathId path, Time now, Told told) const;

  std::vector<Range> ranges_;  // descending
  Time largest_received_at_;
  wire::EcnCounts ecn_;
  int eliciting_pending_ = 0;
  double late_share_ = 0;     // of the datagrams of late: those that others overtook
  bool gap_pending_ = false;  // a number that did not follow the one before, not told yet
  bool cross_news_ = false;
  Time sent_at_;
  Time due_ = Time::infinite();
};

}  // namespace hawser
