// Session: one association of a user and a server. Ties keys, paths, queue, scheduler, recovery and resequencer together.
// A packet's way: send.cc (TUN to UDP) and receive.cc (UDP to TUN), each readable from top to bottom; paths.cc holds the
// life of the paths, control.cc the frames that are not data, timers.cc every deadline.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "common/congestion/coupling.h"
#include "common/crypto/replay_window.h"
#include "common/path/path.h"
#include "common/path/tunnel_mtu.h"
#include "common/queue/ingress_queue.h"
#include "common/queue/queue_rtt.h"
#include "common/queue/resequencer.h"
#include "common/scheduler/copy_budget.h"
#include "common/scheduler/scheduler.h"
#include "common/session/context.h"
#include "common/session/key_ring.h"
#include "common/session/reassembly.h"
#include "common/session/repair_queue.h"
#include "common/wire/datagram.h"

namespace hawser {

struct SessionPath : Path {
  using Path::Path;
  ReplayWindow replay;
  std::vector<SegmentRef> copies;  // a queue, [copies_head, end): packets to be sent here beside another path
  size_t copies_head = 0;
  bool has_copies() const { return copies_head < copies.size(); }
  SegmentRef second_half;  // of the packet whose first half went here
  Time call_until;         // something that is no bulk went here lately
  bool narrow = false;     // a full datagram takes long
  // Something stands before whatever else is to go here.
  bool owes() const { return has_copies() || second_half; }
};

// A path that is gone, to be told several times over: nothing acknowledges it. Its last ack state goes along, so that the
// peer need not send again what came.
struct ClosedPath {
  wire::PathCloseFrame frame;
  std::optional<wire::AckFrame> ack;
  int copies = 3;
  Time next_at;
  std::optional<PathId> told_by;  // the path that carried the last copy
};

// The memory of an interface's IPv4 or IPv6 that outlives its paths.
struct InterfaceFlaps {
  std::string interface;
  IpAddress::Family family = IpAddress::Family::v4;
  FlapCount count;
};

struct SessionIdentity {
  UserId user;
  std::string name;
  IpAddress inner_v4, inner_v6;    // the user's
  IpAddress server_v4, server_v6;  // the server's inner ones, as far as this end knows them
};

class Session {
 public:
  Session(SessionContext context, SessionIdentity identity, uint64_t own_nonce, uint64_t peer_nonce, uint16_t tunnel_mtu, Time now);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // ---- bytes in
  // A datagram addressed to one of our keys. False when it was not authentic (counted in `drops`): then nothing changed.
  bool on_datagram(ReceivedDatagram& d, const wire::DataHeader& header, DropCounters& drops, Time now);
  // A packet from the TUN, addressed to this session.
  void on_packet(Packet packet, const PacketHeaders& headers, Time now);

  // ---- bytes out
  bool poll_transmit(TransmitBatch& batch, Time now);

  // ---- time
  void on_timer(Time now);
  Time next_timeout(Time now) const;
  // The loop was held up: silence until now proves nothing about the paths.
  void on_held_up(Time now);

  // ---- paths (client)
  PathId open_path(const LinkUp& link, bool validated, Time now);
  // A handshake was answered over this link: its path works. False when no path uses the link.
  bool on_link_answered(LinkId link, Time now);
  // The link's path was opened, but the server never answered on it.
  bool never_answered(LinkId link) const;
  // Its path works; `active_only`: and is no standby.
  bool link_works(LinkId link, bool active_only) const;
  // How long the link's path has been lost; zero when it is not.
  Duration lost_for(LinkId link, Time now) const;
  void on_link_down(LinkId link, Time now);
  void on_link_priority(LinkId link, wire::PathPriority priority, Time now);
  void on_link_trouble(LinkId link, Time now);
  void on_writable(LinkId link, bool writable);
  // Server: the handshake's answer went here; the first path, if it begins at this address, counts as validated.
  void trust_address(const UdpTuple& tuple);
  // The answer went to another address too: none of them is proved by it.
  void distrust_addresses(const UdpTuple& other);

  // ---- keys
  KeyRing& keys() { return keys_; }
  const KeyRing& keys() const { return keys_; }
  bool wants_rekey(Time now) const { return !keys_.current() || keys_.current()->wants_rekey(now); }
  // Indices that no longer belong to this session since the last call.
  std::vector<SessionIndex> take_released_indices() { return std::move(released_indices_); }
  // The client proves possession of new keys at once.
  void confirm_keys(Time now);

  // ---- wishes
  void set_policy(wire::Mode mode, wire::SchedulerKind scheduler, wire::CongestionKind congestion, Time now);
  void close(wire::CloseReason reason, Time now);
  // Says the reason again on every path.
  void repeat_close() {
    for (auto& p : paths_) p->closed_told = false;
  }
  void announce(const std::vector<SocketAddress>& endpoints);
  // The peer closed the session: this reason, once.
  std::optional<wire::CloseReason> take_peer_close() { return std::exchange(peer_close_, std::nullopt); }
  // Endpoints that the server announced, once.
  std::optional<wire::AnnounceFrame> take_announced() { return std::exchange(announced_, std::nullopt); }

  // ---- views
  const SessionIdentity& identity() const { return identity_; }
  uint64_t own_nonce() const { return own_nonce_; }
  uint64_t peer_nonce() const { return peer_nonce_; }
  bool any_path_works() const;
  bool has_active_path() const;
  // When the last authentic datagram came, by any path.
  Time last_received() const { return last_received_; }
  Time last_progress() const;
  bool closing() const { return closing_.has_value(); }
  // Of the TUN, as the paths allow at present.
  uint16_t tunnel_mtu() const { return tunnel_mtu_.mtu(); }
  const DropCounters& drops() const { return drops_; }
  SessionInfo info(Time now) const;
  size_t memory_bytes() const;

 private:
  // receive.cc
  SessionPath* path_for_low8(uint8_t low8);
  std::optional<PathId> new_path_id(uint8_t low8) const;
  bool was_opened(PathId id) const;
  bool on_frames(SessionPath& p, const ReceivedDatagram& d, ByteSpan plaintext, PacketNumber pn, Time now);
  void on_data(const wire::DataFrame& f, const ReceivedDatagram& d, Time now);
  void on_fragment(const wire::FragmentFrame& f, const ReceivedDatagram& d, Time now);
  void deliver(LaneId lane, PacketClass packet_class, uint32_t seq24, MutableByteSpan packet, uint8_t outer_ecn, Packet owner,
               Time now);
  bool source_is_users(ByteSpan packet) const;

  // send.cc
  struct Choice {
    SessionPath* path = nullptr;
    bool reinjection = false;
  };
  void tell_too_big(ByteSpan packet, Time now);
  bool transmit_control(TransmitBatch& batch, Time now);
  bool transmit_data(TransmitBatch& batch, Time now);
  bool transmit_acks(TransmitBatch& batch, Time now);
  std::optional<Choice> choose(Time now);
  SessionPath* pick_path(SchedulerRequest request, Time now);
  const Segment* next_reinjection(Time now);
  SegmentRef take_from_ingress(Time now);
  size_t buffer_share() const { return context_.pool.most_packets() / kSessionShareOfPool; }
  size_t next_size(bool reinjection, Time now);
  bool append_segment_datagram(TransmitBatch& batch, SessionPath& p, Time now, bool reinjection);
  bool append_piece(TransmitBatch& batch, SessionPath& p, const SegmentRef& segment, uint8_t piece, Time now);
  bool start_or_join(TransmitBatch& batch, const UdpTuple& to);
  SentPacket* seal_into(TransmitBatch& batch, SessionPath& p, const UdpTuple& to, ByteSpan plaintext, bool eliciting, Time now);
  PathAddress* address_of(SessionPath& p, const UdpTuple& to) const;
  void note_segment(SentPacket& sent, const SegmentRef& segment, Time now);
  bool seal_frames(TransmitBatch& batch, SessionPath& p, const UdpTuple& to, const wire::FrameWriter& w, bool eliciting, Time now);
  void write_acks(wire::FrameWriter& w, SessionPath& p, Time now, bool with_cross);
  bool owes_cross_ack(const SessionPath& of, const SessionPath& by, Time now) const;
  const SessionPath* cross_ack_path(const SessionPath& of) const;

  // copies.cc
  // Bytes sent of what is no copy: copies may be a share of them.
  void earn_copies(size_t bytes) {
    copy_budget_.on_sent(bytes);
    early_repair_budget_.on_sent(bytes);
  }
  void queue_copy(SessionPath& p, const SegmentRef& segment);
  SegmentRef drop_copy(SessionPath& p);
  void orphan(SegmentRef segment);
  void drop_copies(SessionPath& p);
  void copy_everywhere(const SegmentRef& segment, const SessionPath& sent_on);
  void copy_to_measure(const SegmentRef& segment, const SessionPath& sent_on, Time now);
  void copy_urgent(const SegmentRef& segment, const SessionPath& sent_on, Time now);
  SessionPath* early_repairer(const SessionPath& slow, Time now) const;
  struct EarlyRepair {
    Time at = Time::infinite();
    SessionPath *slow = nullptr, *quick = nullptr;
  };
  EarlyRepair next_early_repair(Time now) const;
  bool repair_early(Time now);
  bool transmit_copies(TransmitBatch& batch, Time now);
  bool append_copy(TransmitBatch& batch, SessionPath& p, Time now);

  // interleave.cc
  bool delays_call(SessionPath& p, Time now) const;
  bool is_halved(const Segment& segment, SessionPath& p, Time now) const;
  void hold_second_half(SessionPath& p, const SegmentRef& segment);
  void drop_second_half(SessionPath& p);
  bool transmit_second_half(TransmitBatch& batch, Time now);

  // control.cc
  void on_ack(SessionPath& arrived_on, const wire::AckFrame& f, Time now);
  void apply_ack_result(SessionPath& p, const AckResult& r, bool own_path, Time now);
  void on_path_response(SessionPath& p, const wire::PathResponseFrame& f, const UdpTuple& from, Time now);
  void on_path_status(const wire::PathStatusFrame& f, Time now);
  void on_policy(const wire::PolicyFrame& f);
  void obey_policy();
  void on_control_ack(const wire::ControlAckFrame& f);
  void on_path_close(const wire::PathCloseFrame& f, Time now);
  void queue_control_ack(const wire::ControlAckFrame& f);
  bool write_control_frames(SessionPath& p, wire::FrameWriter& w, Time now);
  bool control_due(const SessionPath& p, Time now) const;
  bool transmit_to_addresses(TransmitBatch& batch, SessionPath& p, Time now);

  // paths.cc
  SessionPath* find_path(PathId id);
  SessionPath* find_path_or_leaving(PathId id);
  SessionPath* path_of_link(LinkId link);
  SessionPath& add_path(PathId id, const UdpTuple& tuple, uint16_t max_datagram, Time now);
  void elect_leader(uint32_t twins, Time now);
  void apply(SessionPath& p, const PathAction& action, Time now);
  void follow_address(SessionPath& p, const ReceivedDatagram& d, bool newest, Time now);
  void validate_path(SessionPath& p, Time now);
  void start_challenge(Challenge& c, Time now);
  Duration longest_probe_step(Time now) const;
  void send_status(SessionPath& p, Time now);
  void spread_wishes(Time now);
  static bool may_tell(const SessionPath& by, const SessionPath& of);
  static uint64_t status_bit(const SessionPath& of) { return uint64_t{1} << (of.id.value % 64); }
  bool drop_lost_path();
  void remove_path(PathId id, Time now);
  void reinject_unacked(SessionPath& p);
  void reinject(std::vector<SegmentRef>& segments);
  void give_up(const Segment& s);
  int tier(const SessionPath& p) const;
  void update_estimates(Time now);
  void follow_path_mtu(Time now);
  wire::PathIntent intent(const SessionPath& p) const;

  // path_quality.cc
  void judge_path(SessionPath& p, Time now);
  FlapCount* flaps_of(const SessionPath& p);
  void close_path(SessionPath& p, Time now);
  bool close_due(const ClosedPath& c, const SessionPath& via, Time now) const;
  void write_path_closes(SessionPath& p, wire::FrameWriter& w, Time now);

  // timers.cc
  void path_timers(SessionPath& p, Time now);
  static bool move_unconfirmed(const SessionPath& p);
  Time suspect_at(const SessionPath& p) const;
  Time probe_timeout_at(const SessionPath& p) const;
  Time liveness_at(const SessionPath& p) const;
  Time cross_ack_at(const SessionPath& p) const;
  Time data_at(Time now) const;

  SessionContext context_;
  SessionIdentity identity_;
  const uint64_t own_nonce_, peer_nonce_;
  TunnelMtu tunnel_mtu_;
  Time too_big_spent_until_;         // token bucket: each message costs its share of a second from here on
  Time created_;
  KeyRing keys_;
  size_t segments_held_ = 0;  // packets sent and kept for repair; declared before whatever refers to them
  std::vector<SessionIndex> released_indices_;

  std::vector<std::unique_ptr<SessionPath>> paths_;
  std::vector<std::unique_ptr<SessionPath>> leaving_;  // gone; what was under way on them still arrives, and is told of by the others
  uint32_t highest_path_id_ = 0;
  bool any_path_seen_ = false;
  uint64_t opened_ids_ = 0;          // bit i: path id highest - i was opened once; never again (nonces!)
  std::vector<UdpTuple> trusted_;    // addresses proved by the handshake

  IngressQueue ingress_;
  QueueRtt queue_rtt_;
  std::array<std::unique_ptr<std::array<uint64_t, 64>>, kLanes / 64> lane_next_;  // next lane sequence to assign
  RepairQueue repairs_;
  std::unique_ptr<Scheduler> scheduler_;
  CopyBudget copy_budget_{kCopyShare, kCopyBurst};
  CopyBudget early_repair_budget_{kEarlyRepairShare, kEarlyRepairBurst};
  wire::CongestionKind congestion_ = wire::CongestionKind::automatic;
  Coupling coupling_;
  std::vector<PathView> views_;      // scratch
  std::vector<SegmentRef> lost_;     // scratch

  Resequencer resequencer_;
  Reassembly reassembly_;

  std::vector<wire::ControlAckFrame> control_acks_;
  std::vector<wire::GaveUpFrame> gave_up_;
  std::vector<ClosedPath> closed_paths_;
  std::vector<InterfaceFlaps> flaps_;  // client
  wire::PolicyFrame policy_;
  bool policy_acked_ = true;
  Time policy_due_at_;
  Duration policy_back_off_;
  std::optional<wire::CloseReason> closing_;
  std::optional<wire::CloseReason> peer_close_;
  std::optional<wire::AnnounceFrame> announced_;
  std::vector<SocketAddress> announce_due_;

  Time last_received_, last_inner_traffic_, held_up_until_;
  Time estimates_at_;
  DropCounters drops_;
  uint64_t inner_received_bytes_ = 0, inner_sent_bytes_ = 0;
  RateMeter inner_receive_rate_, inner_send_rate_;
  uint64_t segments_sent_ = 0, segments_repaired_ = 0;
};

}  // namespace hawser
