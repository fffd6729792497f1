// What one path has sent and not yet settled: acknowledgement, loss detection (RACK, RFC 8985; thresholds of RFC 9002),
// probe timeouts, and the delivery-rate sample of each ack (draft-cheng-iccrg-delivery-rate-estimation).
#pragma once

#include <array>
#include <vector>

#include "common/constants.h"
#include "common/recovery/rtt.h"
#include "common/recovery/segment.h"
#include "common/types.h"
#include "common/wire/frame.h"

namespace hawser {

// All that is known of a sent datagram but what it carries.
struct SentDatagram {
  Time sent_at;
  uint16_t size = 0;  // UDP payload, bytes
  bool ack_eliciting = false;
  bool settled = false;      // acknowledged, or declared lost, or not awaiting an ack
  bool mtu_probe = false;    // its loss is no sign of congestion
  bool app_limited = false;  // sent while there was not enough to send
  uint8_t piece = 0;         // 0: whole packets; 1, 2: the first or second piece of its only segment
  uint8_t transmission = 0;  // of a piece: which of its packet's
  uint8_t segment_count = 0;
  // State of the path when it was sent, for the rate sample.
  uint64_t delivered = 0;
  Time delivered_at, first_sent_at;
  Time delivered_peer_at;  // by the peer's clock; Time{}: not known
  uint64_t lost_bytes = 0;
};
struct SentPacket : SentDatagram {
  std::array<SegmentRef, kFramesPerDatagram> segments;  // [0, segment_count); the others refer to nothing
};

// What one ack frame changed.
struct AckResult {
  bool valid = false;        // false: it acknowledges what was never sent; the frame is ignored
  bool own_path = true;      // came on the path itself: RTT samples are good
  uint64_t acked_bytes = 0;  // newly acknowledged, ack-eliciting
  uint64_t lost_bytes = 0;   // newly declared lost, without MTU probes
  uint64_t lost_packets = 0;
  uint64_t acked_packets = 0;
  uint64_t spurious_bytes = 0;  // declared lost, and arrived after all; among acked_bytes
  uint64_t spurious_packets = 0;  // the same; not among acked_packets
  Duration overdue;  // by how much what later ones had overtaken came after a smoothed round trip: the sum of all acknowledged
  Time newest_lost_sent_at;     // when the newest of the lost and of the acknowledged was sent; Time{}: none
  Time newest_acked_sent_at;
  uint64_t full_size_acked = 0, full_size_lost = 0;  // datagrams above the base size, without MTU probes
  bool spurious_loss = false;  // something declared lost arrived after all
  uint64_t newly_ce = 0;
  bool has_rtt = false;
  Duration rtt, ack_delay;
  bool largest_newly_acked = false;
  Time largest_sent_at, largest_received_at;
  uint16_t mtu_probe_acked = 0;  // size of the largest MTU probe acknowledged, 0 if none
  // Delivery-rate sample of the newest acknowledged packet; zero interval means none.
  BitRate delivery_rate;
  Duration sample_interval;
  bool sample_app_limited = false;
  uint64_t sample_prior_delivered = 0;
  uint64_t sample_lost = 0;       // bytes declared lost between sending that packet and now
  uint64_t sample_delivered = 0;  // bytes delivered in the same span
};

class SentPackets {
 public:
  // Called for each segment of a datagram that was lost: the session decides whether to send it again.
  using LostSegments = std::vector<SegmentRef>;

  // The number the next sealed datagram must carry; on_sent advances it by one.
  PacketNumber next() const { return PacketNumber{base_ + ring_size_}; }
  // Fill in the returned record right after the datagram was sealed; it is valid until the next call.
  SentPacket& on_sent(Time now, uint16_t size, bool ack_eliciting, bool app_limited);

  // Applies an ack that came on this path (own_path) or on another. Lost segments are appended to `lost`.
  AckResult on_ack(const wire::AckFrame& ack, bool own_path, RttEstimator& rtt, OneWayDelay& owd, Time now,
                   LostSegments& lost);
  // Declares lost what has timed out by now (RACK's timer).
  AckResult on_loss_timer(const RttEstimator& rtt, Time now, LostSegments& lost);
  // Takes every unsettled segment out for reinjection without declaring it lost (the path became suspect).
  void collect_unacked(LostSegments& out) const;
  // Of them those that were sent no later than `then`, by no other datagram, and are worth a repair (Segment::sent_once), oldest
  // first, until `out` holds `most`.
  void collect_sent_once(Time then, Time now, size_t most, LostSegments& out) const;
  // When the oldest of these was sent; Time{}: there is none.
  Time oldest_sent_once(Time now) const;
  // Forgets what is in flight (path lost or moved): nothing of it counts as in flight any more; late acks still settle
  // it.
  void abandon_in_flight();

  Time loss_time() const { return loss_time_; }
  uint64_t bytes_in_flight() const { return bytes_in_flight_; }
  bool has_eliciting_in_flight() const { return eliciting_in_flight_ > 0; }
  Time last_eliciting_sent() const { return last_eliciting_sent_; }
  // The time of the oldest ack-eliciting datagram without answer, or Time{} when all are answered.
  Time oldest_unacked() const;
  uint64_t delivered() const { return delivered_; }
  uint64_t total_lost_bytes() const { return lost_bytes_; }
  uint64_t sent_packets() const { return base_ + ring_size_; }
  uint64_t lost_packets() const { return lost_packets_; }
  size_t tracked() const { return ring_size_; }
  // With the buffers of the packets that may have to be sent again; one that was sent twice counts twice.
  size_t memory_bytes() const;

 private:
  SentPacket& at(uint64_t pn) { return ring_[(head_ + (pn - base_)) & (ring_.size() - 1)]; }
  const SentPacket& at(uint64_t pn) const { return ring_[(head_ + (pn - base_)) & (ring_.size() - 1)]; }
  // When `pn` was sent, also shortly after it was settled; Time{} when that is no longer known.
  Time sent_time(uint64_t pn) const;
  void take_rtt(const wire::AckFrame& ack, AckResult& r, RttEstimator& rtt, Time now);
  void take_rate(const wire::AckFrame& ack, const SentDatagram& newest, AckResult& r, Time now);
  void grow();
  void trim_front();
  // A datagram declared lost is remembered for a while: a late ack proves the loss spurious.
  struct LostPacket {
    uint64_t pn = 0;
    Time sent_at;
    Time overdue_at;  // from when on it could only have been reordered; Time{}: nobody judged it
    uint16_t size = 0;
    uint8_t piece = 0;
    uint8_t segment_count = 0;
    std::array<SegmentRef, kFramesPerDatagram> segments;
  };

  Duration lateness(Time now) const;
  void widen(Duration late, Time now);
  static void mark_delivered(Segment& s, uint8_t piece);
  void settle_acked(SentPacket& p, AckResult& r, Time now);
  void settle_late(const wire::AckFrame& ack, AckResult& r, Time now);
  void declare_lost(uint64_t pn, SentPacket& p, Time overdue_at, AckResult& r, LostSegments& lost);
  void retire(uint64_t pn, SentPacket& p, Time overdue_at);
  void detect_losses(const RttEstimator& rtt, Time now, AckResult& r, LostSegments& lost);
  void trim(Time now, const RttEstimator& rtt);

  std::vector<SentPacket> ring_;  // power of two; holds numbers base_ .. base_ + ring_size_ - 1
  size_t head_ = 0;
  size_t ring_size_ = 0;
  uint64_t base_ = 0;

  std::vector<LostPacket> lost_;  // ascending by the time they were declared so
  uint64_t bytes_in_flight_ = 0;
  bool ran_dry_ = true;          // the newest left nothing to send behind
  uint64_t limited_until_ = 0;  // what is sent before so much was delivered belongs to a flight that began with a want of data
  uint64_t eliciting_in_flight_ = 0;
  Time last_eliciting_sent_;
  Time loss_time_ = Time::infinite();

  // RACK.
  Time rack_sent_at_;
  Duration rack_rtt_;
  uint64_t largest_acked_ = 0;
  uint64_t next_rtt_pn_ = 0;    // RTT samples come from numbers not below it: one sample a datagram
  uint64_t history_begin_ = 0;  // the ring still knows the sending times from here on
  bool any_acked_ = false;
  bool reordering_seen_ = false;
  Duration lateness_;  // by how much most of what was declared lost was overdue when it came, then
  Time lateness_at_;

  // Delivery rate.
  uint64_t delivered_ = 0;
  Time delivered_at_, first_sent_at_;
  uint64_t largest_reported_ = 0;  // the largest number of any ack
  Time delivered_peer_at_;         // when the newest delivered datagram came, by the peer's clock; Time{}: not known
  uint64_t lost_bytes_ = 0;
  uint64_t lost_packets_ = 0;
  uint64_t last_ce_ = 0;
};

}  // namespace hawser
