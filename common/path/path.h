// One path: its state machine (changed in one function), addresses, packet numbers, acks, RTT, controller, and its
// timers.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>

#include "common/congestion/controller.h"
#include "common/congestion/pacer.h"
#include "common/constants.h"
#include "common/interface_type.h"
#include "common/net.h"
#include "common/path/mtu.h"
#include "common/path/path_state.h"
#include "common/path/quality.h"
#include "common/path/rate_meter.h"
#include "common/recovery/ack_tracker.h"
#include "common/recovery/rtt.h"
#include "common/recovery/sent_packets.h"
#include "common/wire/frame.h"

namespace hawser {

using ChallengeData = std::array<uint8_t, 8>;

// A challenge that we sent and whose answer we await (RFC 9000, 8.2). Each repetition has bytes of its own; the answer to
// an earlier one counts too, or a path whose round trip is longer than the time between them would never be validated.
struct Challenge {
  bool outstanding = false;
  ChallengeData data{};                   // of the newest
  std::array<ChallengeData, 7> earlier{};
  size_t sent = 0;
  Time sent_at;
  Time next_at = Time::infinite();  // when to send it (again)
  Duration back_off = kValidationRetryFirst;

  bool is_answer(const ChallengeData& answer) const {
    if (!outstanding) return false;
    const size_t kept = std::min(sent > 0 ? sent - 1 : 0, earlier.size());
    return answer == data || std::find(earlier.begin(), earlier.begin() + static_cast<ptrdiff_t>(kept), answer) != earlier.begin() + static_cast<ptrdiff_t>(kept);
  }
};

// Where a path leads, and whether that has been proved.
struct PathAddress {
  UdpTuple tuple;
  bool validated = false;
  uint64_t received_bytes = 0, sent_bytes = 0;  // while not validated: at most three times the received may be sent

  bool may_send(size_t bytes) const { return validated || sent_bytes + bytes <= kAntiAmplification * received_bytes; }
};

struct Path {
  Path(PathId path_id, const UdpTuple& tuple, uint16_t max_datagram, wire::CongestionKind congestion, uint64_t seed,
       Time now);

  // What the client's platform said of the link.
  PathId id;
  std::string interface;
  InterfaceType type = InterfaceType::other;
  bool metered = false;
  uint32_t gateway_group = 0;
  uint32_t twins = 0;   // client: LinkUp::twins
  bool leads = false;   // client: of its twins the one that carries

  PathAddress address;
  std::optional<PathAddress> previous_address;  // while an address move is provisional
  Challenge challenge;                          // to `address`
  Challenge previous_challenge;                 // to `previous_address`
  std::optional<ChallengeData> response_due;    // the peer's challenge, to be answered where it came from
  UdpTuple response_to;
  SocketAddress observed;       // our address as the peer sees it
  bool blocked = false;         // the socket takes no more at present
  bool ever_validated = false;  // it answered at least once
  bool peer_knows = false;      // the peer has answered a datagram of this very path
  bool closed_told = false;     // the session's CLOSE went out here
  Time forget_at;               // removed; kept until then for what was under way (Session::leaving_)

  PathMachine machine;
  wire::PathPriority priority = wire::PathPriority::automatic;
  wire::PathIntent peer_intent = wire::PathIntent::active;  // server: the client's word
  BitRate rate_cap;
  uint64_t status_sequence = 0;  // newest PATH_STATUS sent (client) or applied (server)
  bool status_acked = true;      // client
  Time status_due_at;            // when it is told next, by all paths that work
  Duration status_back_off;      // and again so much later
  uint64_t statuses_due = 0;     // paths of which this one is to tell; see Session::status_bit
  bool policy_due = false;       // this one is to tell of the policy

  AckTracker acks;
  SentPackets sent;
  RttEstimator rtt;
  OneWayDelay one_way_delay;
  std::unique_ptr<Controller> controller;
  Pacer pacer;
  PathMtu mtu;
  LossJudge loss_judge;
  DelayJudge delay_judge;
  Time settle_at = Time::infinite();  // the penalty for flapping ends

  Time last_received;  // any authentic datagram of this path
  Time last_progress;  // an ack for something sent here, by whichever way
  Time last_own_ack;   // an ack that travelled here
  Time unanswered_since;  // when the first was sent that asks for an ack and came after the last progress; Time{}: none
  Time last_sent;
  Duration keepalive = kKeepalive;  // client: an idle path sends so often
  Duration quiet;                   // the last time that nothing was sent for long
  Time quiet_ended;
  Time probe_at = Time::infinite();  // next liveness probe
  Duration probe_back_off = kProbeLostFirst;
  bool ping_due = false;
  Time asked_at;  // when a ping was last wanted, whether or not it could be sent
  int probes_unanswered = 0;
  Time cross_ack_at;  // when its ack state last travelled on another path

  uint64_t received_bytes = 0, sent_bytes = 0, received_packets = 0;
  uint64_t reinjected_packets = 0;
  uint64_t copied_packets = 0, copied_bytes = 0;  // sent here beside another path; UDP payload
  RateMeter receive_rate, send_rate;
  LossMeter loss;
  BusyMeter busy;

  bool gone() const { return forget_at.is_set(); }
  void note_progress(Time now) {
    last_progress = now;
    unanswered_since = Time{};
  }
  bool carries_data() const { return machine.state() == PathState::active; }
  // Could carry, if only when nothing else does.
  bool works() const { return carries_data() || machine.state() == PathState::standby; }
  // May be written to at all: the socket is there and takes bytes.
  bool writable() const { return !blocked; }
  uint64_t window_room() const;
  void note_sent(Time now) {
    if (last_sent.is_set() && now - last_sent >= kKeepaliveLeast) quiet = now - last_sent, quiet_ended = now;
    last_sent = now;
  }
  // The peer asks whether a new address is ours. A translator has forgotten the old one while nothing was sent: it shall not again.
  void on_address_moved(Time now) {
    if (!quiet_ended.is_set() || now - quiet_ended > Duration::seconds(2)) return;
    keepalive = std::max(kKeepaliveLeast, std::min(keepalive, quiet * 0.7));
    quiet_ended = Time{};
  }
  bool has_room(Time now) const { return writable() && window_room() >= mtu.datagram() && pacer.may_send(now); }
  // Small urgent packets may overdraw the window by a few datagrams and the pacer altogether.
  bool has_urgent_room() const {
    return writable() && sent.bytes_in_flight() < controller->congestion_window() + 4u * mtu.datagram();
  }
  // Data unanswered for longer than a probe timeout: it may be dying, and will be suspect soon.
  bool is_silent(Time now) const {
    const Time oldest = sent.oldest_unacked();
    return oldest.is_set() && now - std::max(oldest, last_progress) > rtt.probe_timeout();
  }
  // In flight above one bandwidth-delay product, as time at the path's capacity.
  Duration queued() const;
  // What a packet that waits for no room meets on its way, as delays show it: in flight is also what waits for its
  // acknowledgement behind the other direction's queue. Nothing measured: as queued() says.
  Duration queue_met() const;
  BitRate pacing_rate() const;
  // What it is known to carry. Before a few datagrams were delivered nothing is known, and what it is sent at is assumed.
  BitRate measured_rate() const {
    const bool known = controller->capacity().bps > 0 && sent.delivered() >= kMeasuredAfter * mtu.datagram();
    return known ? controller->capacity() : pacing_rate();
  }
  // Full over about a round trip, not for the moment only.
  bool is_full(Time now) const { return busy.is_full(known_capacity(), busy_span(), now); }
  void note_busy(size_t bytes, Time now) { busy.on_sent(bytes, known_capacity(), busy_span(), now); }
  BitRate known_capacity() const { return controller->still_searching() ? BitRate{} : controller->capacity(); }
  Duration busy_span() const { return std::max(rtt.smoothed(), Duration::millis(30)); }
};

}  // namespace hawser
