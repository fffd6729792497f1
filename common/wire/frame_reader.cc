// Decoding of frames: total over all byte strings. A value that means nothing makes the datagram malformed, as a
// cut-off frame does: the sender is authenticated, so it is a bug there, and half-understood frames would hide it.
#include "common/wire/cursor.h"
#include "common/wire/frame.h"

namespace hawser::wire {
namespace {

constexpr uint8_t kFirstSkippable = 0x40;
constexpr size_t kMaxPacket = 65'535;

// Lane and class share 16 bits in every frame that names a lane: lane 10, class 6.
LaneId lane_of(uint16_t lane_and_class) {
  return LaneId{static_cast<uint16_t>(lane_and_class >> 6)};
}
PacketClass class_of(uint16_t lane_and_class) {
  return PacketClass::from_bits(lane_and_class & 0x3f);
}

DataFrame parse_data(ByteReader& in, bool sized) {
  DataFrame f;
  const uint16_t lane_and_class = in.u16();
  f.lane = lane_of(lane_and_class);
  f.packet_class = class_of(lane_and_class);
  f.seq24 = in.u24();
  const size_t length = sized ? in.u16() : in.rest().size();
  f.payload = in.bytes(length);
  if (f.payload.empty()) in.fail();
  return f;
}

FragmentFrame parse_fragment(ByteReader& in) {
  FragmentFrame f;
  const uint16_t lane_and_class = in.u16();
  f.lane = lane_of(lane_and_class);
  f.packet_class = class_of(lane_and_class);
  f.seq24 = in.u24();
  const uint16_t place = in.u16();
  f.offset = place & 0x7fff;
  f.last = (place & 0x8000) != 0;
  f.payload = in.bytes(in.u16());
  // Two pieces, never more: the first is at 0, the second is not. A receiver never sizes a buffer beyond a packet.
  if (f.payload.empty() || f.last != (f.offset > 0) || f.offset + f.payload.size() > kMaxPacket) in.fail();
  return f;
}

// Ranges as in RFC 9000, section 19.3.1: each gap and length counts down from the range before, never below zero.
void parse_ack(ByteReader& in, AckFrame& f) {
  f.path = in.path_id();
  f.ack_delay = Duration::micros(static_cast<int64_t>(in.varint(kMaxWireMicros)));
  f.largest_received_at = Time{static_cast<int64_t>(in.varint(kMaxWireMicros)) * 1000};
  f.ecn.ect0 = in.varint();
  f.ecn.ect1 = in.varint();
  f.ecn.ce = in.varint();
  f.range_count = in.u8();
  if (f.range_count == 0 || f.range_count > kMaxAckRanges) return in.fail();
  uint64_t last = in.varint();
  for (size_t i = 0; i < f.range_count; ++i) {
    if (i > 0) {
      const uint64_t gap = in.varint();
      const uint64_t below = f.ranges[i - 1].first.value;
      if (below < gap + 2) return in.fail();
      last = below - gap - 2;
    }
    const uint64_t length = in.varint();
    if (!in.ok() || length > last) return in.fail();
    f.ranges[i] = {PacketNumber{last - length}, PacketNumber{last}};
  }
}

template <typename F>
F parse_eight(ByteReader& in) {
  F f;
  const ByteSpan data = in.bytes(f.data.size());
  std::copy(data.begin(), data.end(), f.data.begin());
  return f;
}

PathStatusFrame parse_path_status(ByteReader& in) {
  PathStatusFrame f;
  f.path = in.path_id();
  f.sequence = in.varint();
  f.intent = in.enumerator(PathIntent::paused);
  f.priority = in.enumerator(PathPriority::never);
  f.rate_cap = BitRate{static_cast<double>(in.varint(kMaxRateCapKbits)) * 1000.0};
  return f;
}

void parse_policy(ByteReader& in, PolicyFrame& f) {
  f.sequence = in.varint();
  f.mode = in.enumerator(Mode::latency);
  f.scheduler = in.enumerator(SchedulerKind::redundant);
  f.congestion = in.enumerator(CongestionKind::reno);
  f.rule_count = in.u8();
  if (f.rule_count > kMaxClassRules) return in.fail();
  for (size_t i = 0; i < f.rule_count && in.ok(); ++i) {
    ClassRule& r = f.rules[i];
    r.protocol = in.u8();
    r.port_low = in.u16();
    r.port_high = in.u16();
    r.policy = in.enumerator(RulePolicy::pin);
    if (r.policy == RulePolicy::pin) r.pin = in.path_id();
    if (r.port_low > r.port_high) in.fail();
  }
}

ControlAckFrame parse_control_ack(ByteReader& in) {
  ControlAckFrame f;
  const uint8_t kind = in.u8();
  if (kind > 1) in.fail();
  f.policy = kind == 1;
  if (!f.policy) f.path = in.path_id();
  f.sequence = in.varint();
  return f;
}

PathCloseFrame parse_path_close(ByteReader& in) {
  PathCloseFrame f;
  f.path = in.path_id();
  f.reason = in.u8();
  return f;
}

GaveUpFrame parse_gave_up(ByteReader& in) {
  GaveUpFrame f;
  f.lane = lane_of(in.u16());
  f.first_seq24 = in.u24();
  f.count = in.u16();
  if (f.count == 0 || f.count > kMaxGaveUp) in.fail();
  return f;
}

void parse_announce(ByteReader& in, AnnounceFrame& f) {
  f.count = in.u8();
  if (f.count == 0 || f.count > f.endpoints.size()) return in.fail();
  for (size_t i = 0; i < f.count; ++i) f.endpoints[i] = in.address();
}

// One frame of a known type; an unknown type fails the reader.
void parse_known(FrameType type, ByteReader& in, Frame& out) {
  // clang-format off
  switch (type) {
    case FrameType::data: out = parse_data(in, false); return;
    case FrameType::data_sized: out = parse_data(in, true); return;
    case FrameType::fragment: out = parse_fragment(in); return;
    case FrameType::ack: return parse_ack(in, out.emplace<AckFrame>());
    case FrameType::ping: out = PingFrame{}; return;
    case FrameType::path_challenge: out = parse_eight<PathChallengeFrame>(in); return;
    case FrameType::path_response: out = parse_eight<PathResponseFrame>(in); return;
    case FrameType::observed_address: out = ObservedAddressFrame{in.address()}; return;
    case FrameType::path_status: out = parse_path_status(in); return;
    case FrameType::policy: return parse_policy(in, out.emplace<PolicyFrame>());
    case FrameType::control_ack: out = parse_control_ack(in); return;
    case FrameType::path_close: out = parse_path_close(in); return;
    case FrameType::close: out = CloseFrame{in.enumerator(CloseReason::idle)}; return;
    case FrameType::gave_up: out = parse_gave_up(in); return;
    case FrameType::announce: return parse_announce(in, out.emplace<AnnounceFrame>());
    case FrameType::padding:
    case FrameType::compressed_header:
    case FrameType::repair_symbol: break;  // handled before, never here
  }
  // clang-format on
  in.fail();
}

}  // namespace

bool is_ack_eliciting(const Frame& frame) {
  return !std::holds_alternative<AckFrame>(frame) && !std::holds_alternative<CloseFrame>(frame);
}

FrameReader::Next FrameReader::next(Frame& out) {
  while (!malformed_ && !rest_.empty()) {
    ByteReader in(rest_);
    const uint8_t type = in.u8();
    const bool skip = type >= kFirstSkippable;
    if (skip) {
      in.bytes(in.u16());
    } else if (type != static_cast<uint8_t>(FrameType::padding)) {
      parse_known(static_cast<FrameType>(type), in, out);
    }
    malformed_ = !in.ok();
    if (malformed_) break;
    rest_ = in.rest();
    if (skip) skipped_unknown_ = true;
    if (!skip && type != static_cast<uint8_t>(FrameType::padding)) return Next::frame;
  }
  return malformed_ ? Next::malformed : Next::end;
}

}  // namespace hawser::wire
