// What goes into and comes out of an Endpoint besides bytes: path events in, events and batches out, status snapshots.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/crypto/key.h"
#include "common/crypto/secret.h"
#include "common/drop.h"
#include "common/interface_type.h"
#include "common/net.h"
#include "common/path/path_state.h"
#include "common/queue/packet.h"
#include "common/types.h"
#include "common/wire/frame.h"
#include "common/wire/handshake_payload.h"

namespace hawser {

// ---- bytes ------------------------------------------------------------------------------------------------------

// One UDP payload as received. `bytes` is opened in place and must stay valid until the next on_datagrams or release.
struct ReceivedDatagram {
  MutableByteSpan bytes;
  UdpTuple from;              // our socket, the address it came to, the peer
  uint8_t ecn = 0;            // two bits: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE
  Time received_at;
};

// Datagrams for one socket and one destination, all `segment_size` long but the last, which may be shorter: one GSO send.
// The caller owns the batch and reuses it; the engine fills it.
class TransmitBatch {
 public:
  static constexpr size_t kMaxBytes = 65'000;
  static constexpr size_t kMaxSegments = 63;

  UdpTuple to;
  uint8_t ecn = 0;
  uint16_t segment_size = 0;
  size_t count = 0;           // datagrams

  // `count` datagrams back to back.
  ByteSpan bytes() const { return {memory_.data(), used_}; }
  size_t size() const { return used_; }
  ByteSpan datagram(size_t i) const {
    const size_t begin = i * segment_size;
    return bytes().subspan(begin, std::min<size_t>(segment_size, used_ - begin));
  }

  void clear() {
    used_ = count = segment_size = 0;
    ecn = 0;
  }
  // Where the next datagram will stand. What is written there is kept, and counts once it is added; valid until more is asked for.
  MutableByteSpan room(size_t size) {
    if (memory_.size() < used_ + size) memory_.resize(used_ + size);
    return MutableByteSpan{memory_}.subspan(used_, size);
  }
  // The first `size` bytes of the room are a datagram.
  void add(size_t size) {
    if (count++ == 0) segment_size = static_cast<uint16_t>(size);
    used_ += size;
  }

 private:
  std::vector<uint8_t> memory_;  // never shrinks: what is reused is not cleared first
  size_t used_ = 0;
};

// Packets for the TUN in lane order. The spans are valid until the next on_datagrams, on_timer or poll_deliver.
struct DeliverBatch {
  std::vector<ByteSpan> packets;
};

// ---- path events (client) ----------------------------------------------------------------------------------------

// A socket of the client bound to one interface and source address, towards one server address.
struct LinkUp {
  LinkId link;
  SocketAddress local;
  SocketAddress remote;
  uint32_t group = 0;  // links of one group (one interface and family) are alternatives: the first that answers becomes the path
  uint32_t twins = 0;  // paths with equal non-zero values share one line: one carries, the others are its warm spares
  std::string interface;
  InterfaceType type = InterfaceType::other;
  bool metered = false;
  uint16_t interface_mtu = 1500;
  uint32_t gateway_group = 0;  // links with equal non-zero values share a gateway: coupled until proven disjoint
  wire::PathPriority priority = wire::PathPriority::automatic;
};
struct LinkDown {
  LinkId link;
};
struct LinkPriority {
  LinkId link;
  wire::PathPriority priority = wire::PathPriority::automatic;
};
// A socket-level hint (ECONNREFUSED, ENETUNREACH): never more than a reason to probe.
struct LinkTrouble {
  LinkId link;
};
using PathEvent = std::variant<LinkUp, LinkDown, LinkPriority, LinkTrouble>;

// ---- registry (server) -------------------------------------------------------------------------------------------

struct LookupId {
  uint64_t value = 0;
  bool operator==(const LookupId&) const = default;
};

// "Who is this?" A token id is set when the client wants to enrol. Answer with Endpoint::on_registry_answer, at any time.
struct RegistryLookup {
  LookupId id;
  PublicKey key;
  std::optional<std::array<uint8_t, 16>> token_id;
};

// "This key has proved the token: write it down now." Answer with on_registry_answer (same form as a lookup's answer).
struct EnrolmentCommit {
  LookupId id;
  PublicKey key;
  std::array<uint8_t, 16> token_id{};
};

struct RegistryAnswer {
  LookupId id;
  // `accepted`: an active user, or a token that may still be used by this key. `unknown` is answered with silence.
  enum class Verdict : uint8_t { unknown, accepted, removed, disabled, token_used, token_expired } verdict = Verdict::unknown;
  UserId user;
  std::string name;
  IpAddress inner_v4, inner_v6;
  std::array<uint8_t, 32> psk{};       // zero unless a token is being used or one is configured
  std::array<uint8_t, 32> verifier{};  // the token's, when a token id was asked for
};

// ---- events out --------------------------------------------------------------------------------------------------

// Client: keys are confirmed and the first path is validated. Again after a restart of either side (then `resumed` is false).
struct Connected {
  wire::AcceptPayload accept;
  UdpTuple via;
  bool resumed = false;  // a rekey or return within the same session
  uint16_t mtu = 0;      // of the TUN, as far as the paths are known: at most what the server offers
};
// Client: the paths carry smaller packets than before, or have carried larger ones for a while.
struct TunnelMtuChanged {
  uint16_t mtu = 0;  // of the TUN
};
// Client: no path has answered for long; the session keeps trying.
struct Reconnecting {};
// Client: the server knows this key or token and does not want it; the engine stops.
struct Refused {
  wire::RefusalReason reason = wire::RefusalReason::removed;
};
// Either: the peer closed the session. A client stops on removed and disabled, else starts again by itself.
struct Closed {
  UserId user;
  wire::CloseReason reason = wire::CloseReason::done;
};
struct PathChanged {
  UserId user;
  PathId path;
  LinkId link;
  PathState from = PathState::validating, to = PathState::validating;
  PathReason reason = PathReason::none;
  Duration gap;  // failover: how long the path had been silent before it was declared so
};
// Server: a user's session is up (keys confirmed).
struct SessionUp {
  UserId user;
  std::string name;
  PublicKey key;  // of the device
  UdpTuple via;
};
// Server with several workers: a handshake by a user whom another worker owns; for that one's Endpoint::on_handover.
struct HandedHandshake;
struct Handover {
  uint32_t worker = 0;
  std::shared_ptr<HandedHandshake> what;
};
using Event = std::variant<Connected, Reconnecting, Refused, Closed, TunnelMtuChanged, PathChanged, SessionUp, RegistryLookup, EnrolmentCommit,
                           Handover>;

// ---- status ------------------------------------------------------------------------------------------------------

struct PathInfo {
  PathId id;
  LinkId link;
  std::string interface;
  InterfaceType type = InterfaceType::other;
  bool metered = false;
  wire::PathPriority priority = wire::PathPriority::automatic;
  PathState state = PathState::validating;
  PathReason reason = PathReason::none;
  SocketAddress local, remote, observed;  // observed: our address as the peer sees it
  Duration smoothed_rtt, min_rtt;
  double loss = 0;                 // of the last seconds, 0..1
  uint64_t congestion_window = 0, bytes_in_flight = 0;
  BitRate pacing_rate, capacity;   // capacity: the controller's estimate of the bottleneck
  Duration queue_delay;            // estimated standing queue of the path
  uint16_t mtu = 0;                // UDP payload
  int bottleneck_group = -1;
  uint64_t received_bytes = 0, sent_bytes = 0;  // UDP payload, whole datagrams
  uint64_t received_packets = 0, sent_packets = 0, lost_packets = 0, reinjected_packets = 0;
  uint64_t copied_packets = 0, copied_bytes = 0;  // sent here beside another path
  BitRate receive_rate, send_rate;  // of the last second
  double share = 0;                 // of the bytes both ways of the last seconds
};

struct SessionInfo {
  UserId user;
  std::string name;
  bool connected = false;
  Time since;
  IpAddress inner_v4, inner_v6;
  uint8_t cipher = 0;  // wire::CipherBit
  wire::SchedulerKind scheduler = wire::SchedulerKind::automatic;
  wire::CongestionKind congestion = wire::CongestionKind::automatic;
  Duration smoothed_rtt;
  double loss = 0, repaired = 0;
  BitRate receive_rate, send_rate;
  uint64_t received_bytes = 0, sent_bytes = 0;  // inner packets
  std::vector<PathInfo> paths;
  DropCounters drops;
  size_t memory_bytes = 0;  // what the session holds at present
};

struct EndpointInfo {
  DropCounters drops;  // before a session is known
  uint64_t handshakes_started = 0, handshakes_completed = 0, handshakes_refused = 0, cookies_sent = 0;
  size_t sessions = 0;
};

}  // namespace hawser
