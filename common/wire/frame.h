// The frames of a sealed datagram: encode and decode. PROTOCOL.md specifies them to the byte.
// Views point into the buffer that was parsed; nothing here allocates.
#pragma once

#include <array>
#include <optional>
#include <variant>

#include "common/net.h"
#include "common/traffic_class.h"
#include "common/types.h"

namespace hawser::wire {

// Types below 0x40 have a fixed shape, known to every implementation of this major version; an unknown one makes the
// datagram malformed. Types from 0x40 carry a 16-bit length after the type, so that an unknown one is skipped.
enum class FrameType : uint8_t {
  padding = 0x00,
  data = 0x01,           // 6 bytes of header, payload to the end of the datagram
  data_sized = 0x02,     // the same with a 16-bit length: more frames follow
  fragment = 0x03,       // one of two pieces of a packet
  ack = 0x04,
  ping = 0x05,
  path_challenge = 0x06,
  path_response = 0x07,
  observed_address = 0x08,
  path_status = 0x09,
  policy = 0x0a,
  control_ack = 0x0b,
  path_close = 0x0c,
  close = 0x0d,
  gave_up = 0x0e,
  announce = 0x0f,           // the server's current endpoints
  compressed_header = 0x40,  // reserved
  repair_symbol = 0x41,      // reserved
};

inline constexpr size_t kDataFrameHeader = 6;        // type 1, lane and class 2, lane sequence 3
inline constexpr size_t kSizedDataFrameHeader = 8;   // and length 2
inline constexpr size_t kFragmentFrameHeader = 10;   // type 1, lane and class 2, lane sequence 3, offset and last 2, length 2
inline constexpr size_t kMaxAckRanges = 32;
inline constexpr size_t kMaxClassRules = 64;
// A GAVE_UP costs its receiver a step per sequence: bounded, so that a datagram full of them is no attack.
inline constexpr uint16_t kMaxGaveUp = 64;
// Times on the wire, microseconds (71 years): sums and differences of two of them fit a Duration.
inline constexpr uint64_t kMaxWireMicros = (uint64_t{1} << 51) - 1;
inline constexpr uint64_t kMaxRateCapKbits = 0xffff'ffff;  // 4.3 Tbit/s; more on the wire is nonsense

// The low 24 bits of a lane sequence; queue/ widens them to LaneSeq.
struct DataFrame {
  LaneId lane;
  PacketClass packet_class;
  uint32_t seq24 = 0;
  ByteSpan payload;
};

// One of two pieces (`last` exactly when `offset` > 0); `offset` is the piece's place in the packet (0 for the first), `last` marks the second.
struct FragmentFrame {
  LaneId lane;
  PacketClass packet_class;
  uint32_t seq24 = 0;
  uint16_t offset = 0;
  bool last = false;
  ByteSpan payload;
};

struct AckRange {
  PacketNumber first;  // inclusive
  PacketNumber last;   // inclusive
};

struct EcnCounts {
  uint64_t ect0 = 0, ect1 = 0, ce = 0;
};

// The receiver's view of one path. Ranges are in descending order with at least one number missing between two of them
// (adjacent ranges must have been merged); ranges[0].last is the largest packet number.
struct AckFrame {
  PathId path;
  Duration ack_delay;               // from receiving the largest to sending this frame (microsecond steps)
  Time largest_received_at;         // the receiver's clock when the largest came (microsecond steps): one-way delay differences
  EcnCounts ecn;
  std::array<AckRange, kMaxAckRanges> ranges{};
  size_t range_count = 0;
};

struct PingFrame {};
struct PathChallengeFrame { std::array<uint8_t, 8> data{}; };
// Echoes a challenge; the address from which the challenge came is reported in an ObservedAddressFrame beside it.
struct PathResponseFrame { std::array<uint8_t, 8> data{}; };
struct ObservedAddressFrame { SocketAddress address; };

enum class PathPriority : uint8_t { automatic = 0, always = 1, secondary = 2, backup = 3, never = 4 };
enum class PathIntent : uint8_t { active = 0, standby = 1, suspect = 2, lost = 3, paused = 4 };

// The client's wish for one path. Newest `sequence` wins. rate_cap zero means no cap; it bounds what the server sends there.
struct PathStatusFrame {
  PathId path;
  uint64_t sequence = 0;
  PathIntent intent = PathIntent::active;
  PathPriority priority = PathPriority::automatic;
  BitRate rate_cap;  // whole kbit/s on the wire, rounded down but never to zero
};

enum class Mode : uint8_t { automatic = 0, speed = 1, redundant = 2, latency = 3 };
enum class SchedulerKind : uint8_t {
  automatic = 0, earliest = 1, min_rtt = 2, blest = 3, ecf = 4, round_robin = 5, queue_length = 6, service_time = 7, redundant = 8,
};
enum class CongestionKind : uint8_t { automatic = 0, lia = 1, olia = 2, balia = 3, wvegas = 4, cubic = 5, reno = 6 };

enum class RulePolicy : uint8_t { realtime = 0, interactive = 1, bulk = 2, pin = 3 };

// One traffic rule: zero or empty fields match everything. First match wins.
struct ClassRule {
  uint8_t protocol = 0;                 // IP protocol number; 0 = any
  uint16_t port_low = 0, port_high = 0; // either end's port; 0-0 = any
  RulePolicy policy = RulePolicy::bulk;
  PathId pin;                           // for RulePolicy::pin; not on the wire for the others
  bool operator==(const ClassRule&) const = default;
};

struct PolicyFrame {
  uint64_t sequence = 0;
  Mode mode = Mode::automatic;
  SchedulerKind scheduler = SchedulerKind::automatic;
  CongestionKind congestion = CongestionKind::automatic;
  std::array<ClassRule, kMaxClassRules> rules{};
  size_t rule_count = 0;
};

// Says that a PATH_STATUS or POLICY with this sequence was applied.
struct ControlAckFrame {
  bool policy = false;   // else a path status
  PathId path;           // for a path status
  uint64_t sequence = 0;
};

struct PathCloseFrame {
  PathId path;
  uint8_t reason = 0;
};

enum class CloseReason : uint8_t { done = 0, removed = 1, disabled = 2, replaced = 3, shutdown = 4, expired = 5, used = 6, idle = 7 };
struct CloseFrame { CloseReason reason = CloseReason::done; };

// The sender will not send these lane sequences (again): the resequencer need not wait for them.
struct GaveUpFrame {
  LaneId lane;
  uint32_t first_seq24 = 0;
  uint16_t count = 0;  // 1..kMaxGaveUp
};

struct AnnounceFrame {
  std::array<SocketAddress, 8> endpoints{};
  size_t count = 0;
};

using Frame = std::variant<DataFrame, FragmentFrame, AckFrame, PingFrame, PathChallengeFrame, PathResponseFrame,
                           ObservedAddressFrame, PathStatusFrame, PolicyFrame, ControlAckFrame, PathCloseFrame, CloseFrame,
                           GaveUpFrame, AnnounceFrame>;

// Everything but ACK, CLOSE and padding asks for an acknowledgement.
bool is_ack_eliciting(const Frame& frame);

// Reads the frames of an opened datagram one by one. Never reads outside `plaintext`.
class FrameReader {
 public:
  enum class Next : uint8_t { frame, end, malformed };
  explicit FrameReader(ByteSpan plaintext) : rest_(plaintext) {}
  // Fills `out` on Next::frame. Padding and unknown skippable frames are passed over. After end or malformed: the same again.
  Next next(Frame& out);
  // True once an unknown skippable frame was passed over (it asks for an acknowledgement).
  bool skipped_unknown() const { return skipped_unknown_; }

 private:
  ByteSpan rest_;
  bool skipped_unknown_ = false;
  bool malformed_ = false;
};

class ByteWriter;

// Appends frames to a buffer. Each call writes the whole frame or, when it does not fit, nothing and returns false. False also
// for what a reader would call malformed: an empty payload, a lane above 1023, a sequence above 24 bits, ranges out of order,
// an address that is not set, nothing announced or given up, an enumerator without a name.
class FrameWriter {
 public:
  explicit FrameWriter(MutableByteSpan buffer) : buffer_(buffer) {}
  size_t size() const { return used_; }
  size_t room() const { return buffer_.size() - used_; }
  ByteSpan written() const { return ByteSpan{buffer_.data(), used_}; }

  // Must be the last frame: it has no length and runs to the end of the datagram.
  bool data(const DataFrame& f);
  bool data_sized(const DataFrame& f);
  bool write(const FragmentFrame& f);
  // Drops the oldest ranges until the frame fits in `room()`; false when not even one range fits.
  bool write(const AckFrame& f);
  bool write(const PingFrame& f);
  bool write(const PathChallengeFrame& f);
  bool write(const PathResponseFrame& f);
  bool write(const ObservedAddressFrame& f);
  bool write(const PathStatusFrame& f);
  bool write(const PolicyFrame& f);
  bool write(const ControlAckFrame& f);
  bool write(const PathCloseFrame& f);
  bool write(const CloseFrame& f);
  bool write(const GaveUpFrame& f);
  bool write(const AnnounceFrame& f);
  // `count` zero bytes (each is a PADDING frame); false when they do not fit.
  bool padding(size_t count);

 private:
  bool commit(const ByteWriter& w);

  MutableByteSpan buffer_;
  size_t used_ = 0;
};

}  // namespace hawser::wire
