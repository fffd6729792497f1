// Encoding of frames: each call writes a whole frame or nothing. What the reader would call malformed is refused here,
// so that no datagram of ours makes a peer drop what travels beside it.
#include <cmath>

#include "common/wire/cursor.h"
#include "common/wire/frame.h"

namespace hawser::wire {
namespace {

constexpr uint16_t kLanes = 1024;
constexpr size_t kMaxPacket = 65'535;

uint64_t micros_of(int64_t ns) {
  return ns > 0 ? std::min(static_cast<uint64_t>(ns) / 1000, kMaxWireMicros) : 0;
}

void put_lane(ByteWriter& w, LaneId lane, uint8_t class_bits) {
  if (lane.value >= kLanes) w.fail();
  w.u16(static_cast<uint64_t>(lane.value) << 6 | class_bits);
}

void put_seq24(ByteWriter& w, uint32_t seq) {
  if (seq > 0xff'ffff) w.fail();
  w.u24(seq);
}

void put_data(ByteWriter& w, FrameType type, const DataFrame& f) {
  if (f.payload.empty() || f.payload.size() > kMaxPacket) w.fail();
  w.enumerator(type);
  put_lane(w, f.lane, f.packet_class.bits());
  put_seq24(w, f.seq24);
  if (type == FrameType::data_sized) w.u16(f.payload.size());
  w.bytes(f.payload);
}

// A cap below 1 kbit/s must not round to "no cap", and one that is not a number is a bug of the caller.
uint64_t kbits_of(ByteWriter& w, BitRate rate) {
  if (!(rate.bps >= 0)) w.fail();
  if (!(rate.bps > 0)) return 0;
  const double kbits = std::max(1.0, std::floor(rate.bps / 1000.0));
  return kbits < static_cast<double>(kMaxRateCapKbits) ? static_cast<uint64_t>(kbits) : kMaxRateCapKbits;
}

// Counts down from the range before; false when the ranges do not descend with a gap between them.
bool put_range(ByteWriter& w, const AckFrame& f, size_t i) {
  const uint64_t first = f.ranges[i].first.value;
  const uint64_t last = f.ranges[i].last.value;
  if (first > last) return false;
  if (i == 0) {
    w.varint(last);
  } else {
    const uint64_t below = f.ranges[i - 1].first.value;
    if (below < 2 || last > below - 2) return false;
    w.varint(below - last - 2);
  }
  w.varint(last - first);
  return true;
}

}  // namespace

bool FrameWriter::commit(const ByteWriter& w) {
  if (w.ok()) used_ += w.size();
  return w.ok();
}

bool FrameWriter::data(const DataFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  put_data(w, FrameType::data, f);
  return commit(w);
}

bool FrameWriter::data_sized(const DataFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  put_data(w, FrameType::data_sized, f);
  return commit(w);
}

bool FrameWriter::write(const FragmentFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  if (f.payload.empty() || f.offset > 0x7fff || f.last != (f.offset > 0)) w.fail();
  if (f.offset + f.payload.size() > kMaxPacket) w.fail();
  w.enumerator(FrameType::fragment);
  put_lane(w, f.lane, f.packet_class.bits());
  put_seq24(w, f.seq24);
  w.u16(static_cast<uint64_t>(f.offset) | (f.last ? 0x8000 : 0));
  w.u16(f.payload.size());
  w.bytes(f.payload);
  return commit(w);
}

bool FrameWriter::write(const AckFrame& f) {
  const size_t wanted = std::min(f.range_count, kMaxAckRanges);
  if (wanted == 0) return false;
  ByteWriter w(buffer_.subspan(used_));
  w.enumerator(FrameType::ack);
  w.varint(f.path.value);
  w.varint(micros_of(f.ack_delay.ns));
  w.varint(micros_of(f.largest_received_at.ns));
  w.varint(f.ecn.ect0);
  w.varint(f.ecn.ect1);
  w.varint(f.ecn.ce);
  const size_t count_at = used_ + w.size();
  w.u8(0);  // the count: known when it is known what fits
  if (!put_range(w, f, 0) || !w.ok()) return false;
  // Older ranges go in while they fit: `w` keeps what is whole, `trial` may fail.
  size_t count = 1;
  for (ByteWriter trial = w; count < wanted; ++count) {
    if (!put_range(trial, f, count)) return false;
    if (!trial.ok()) break;
    w = trial;
  }
  buffer_[count_at] = static_cast<uint8_t>(count);
  return commit(w);
}

bool FrameWriter::write(const PingFrame&) {
  ByteWriter w(buffer_.subspan(used_));
  w.enumerator(FrameType::ping);
  return commit(w);
}

bool FrameWriter::write(const PathChallengeFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  w.enumerator(FrameType::path_challenge);
  w.bytes(f.data);
  return commit(w);
}

bool FrameWriter::write(const PathResponseFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  w.enumerator(FrameType::path_response);
  w.bytes(f.data);
  return commit(w);
}

bool FrameWriter::write(const ObservedAddressFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  w.enumerator(FrameType::observed_address);
  w.address(f.address);
  return commit(w);
}

bool FrameWriter::write(const PathStatusFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  if (f.intent > PathIntent::paused || f.priority > PathPriority::never) w.fail();
  w.enumerator(FrameType::path_status);
  w.varint(f.path.value);
  w.varint(f.sequence);
  w.enumerator(f.intent);
  w.enumerator(f.priority);
  w.varint(kbits_of(w, f.rate_cap));
  return commit(w);
}

bool FrameWriter::write(const PolicyFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  if (f.mode > Mode::latency || f.scheduler > SchedulerKind::redundant || f.congestion > CongestionKind::reno) w.fail();
  if (f.rule_count > kMaxClassRules) return false;
  w.enumerator(FrameType::policy);
  w.varint(f.sequence);
  w.enumerator(f.mode);
  w.enumerator(f.scheduler);
  w.enumerator(f.congestion);
  w.u8(f.rule_count);
  for (size_t i = 0; i < f.rule_count; ++i) {
    const ClassRule& r = f.rules[i];
    if (r.port_low > r.port_high || r.policy > RulePolicy::pin) w.fail();
    w.u8(r.protocol);
    w.u16(r.port_low);
    w.u16(r.port_high);
    w.enumerator(r.policy);
    if (r.policy == RulePolicy::pin) w.varint(r.pin.value);
  }
  return commit(w);
}

bool FrameWriter::write(const ControlAckFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  w.enumerator(FrameType::control_ack);
  w.u8(f.policy ? 1 : 0);
  if (!f.policy) w.varint(f.path.value);
  w.varint(f.sequence);
  return commit(w);
}

bool FrameWriter::write(const PathCloseFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  w.enumerator(FrameType::path_close);
  w.varint(f.path.value);
  w.u8(f.reason);
  return commit(w);
}

bool FrameWriter::write(const CloseFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  if (f.reason > CloseReason::idle) w.fail();
  w.enumerator(FrameType::close);
  w.enumerator(f.reason);
  return commit(w);
}

bool FrameWriter::write(const GaveUpFrame& f) {
  ByteWriter w(buffer_.subspan(used_));
  if (f.count == 0 || f.count > kMaxGaveUp) w.fail();
  w.enumerator(FrameType::gave_up);
  put_lane(w, f.lane, 0);
  put_seq24(w, f.first_seq24);
  w.u16(f.count);
  return commit(w);
}

bool FrameWriter::write(const AnnounceFrame& f) {
  if (f.count == 0 || f.count > f.endpoints.size()) return false;
  ByteWriter w(buffer_.subspan(used_));
  w.enumerator(FrameType::announce);
  w.u8(f.count);
  for (size_t i = 0; i < f.count; ++i) w.address(f.endpoints[i]);
  return commit(w);
}

bool FrameWriter::padding(size_t count) {
  if (count > room()) return false;
  std::fill_n(buffer_.begin() + static_cast<std::ptrdiff_t>(used_), count, uint8_t{0});
  used_ += count;
  return true;
}

}  // namespace hawser::wire
