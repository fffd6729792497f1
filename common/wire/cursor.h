// Two cursors over bytes that cannot leave their buffer: one takes fields off the front, one appends them.
// Both remember failure, so that a parser or encoder checks once, at its end. All integers are big-endian.
#pragma once

#include <algorithm>

#include "common/big_endian.h"
#include "common/net.h"
#include "common/wire/varint.h"

namespace hawser::wire {

// Takes fields off a span. After the first field that is cut off or out of range, ok() is false and every field reads
// as zero.
class ByteReader {
 public:
  explicit ByteReader(ByteSpan bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  ByteSpan rest() const { return rest_; }
  // For values that are well-formed but mean nothing.
  void fail() { ok_ = false; }

  uint8_t u8() { return static_cast<uint8_t>(uint<1>()); }
  uint16_t u16() { return static_cast<uint16_t>(uint<2>()); }
  uint32_t u24() { return static_cast<uint32_t>(uint<3>()); }
  uint32_t u32() { return static_cast<uint32_t>(uint<4>()); }
  uint64_t u64() { return uint<8>(); }

  uint64_t varint(uint64_t max = kMaxVarint) {
    if (!ok_) return 0;
    const auto value = take_varint(rest_);
    ok_ = value && *value <= max;
    return ok_ ? *value : 0;
  }
  PathId path_id() { return PathId{static_cast<uint32_t>(varint(UINT32_MAX))}; }

  // One byte that must be an enumerator: at most `last`.
  template <typename Enum>
  Enum enumerator(Enum last) {
    const uint8_t value = u8();
    if (value > static_cast<uint8_t>(last)) fail();
    return ok_ ? static_cast<Enum>(value) : Enum{};
  }

  // The next `count` bytes as a view; empty when they are not there.
  ByteSpan bytes(size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      return {};
    }
    const ByteSpan taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  // Family byte (4 or 6), then 4 or 16 bytes.
  IpAddress ip() {
    const uint8_t family = u8();
    if (family != 4 && family != 6) fail();
    const ByteSpan octets = bytes(family == 4 ? 4 : 16);
    if (!ok_) return {};
    return family == 4 ? IpAddress::v4(octets) : IpAddress::v6(octets);
  }
  // The same and a 16-bit port. A scope means something on one host only and is not on the wire.
  SocketAddress address() {
    SocketAddress a;
    a.ip = ip();
    a.port = u16();
    return a;
  }

 private:
  template <size_t Width>
  uint64_t uint() {
    const ByteSpan b = bytes(Width);
    return b.empty() ? 0 : load_big_endian<Width>(b.data());
  }
  ByteSpan rest_;
  bool ok_ = true;
};

// Appends fields to a fixed buffer. After the first that does not fit, ok() is false and nothing more is written.
class ByteWriter {
 public:
  explicit ByteWriter(MutableByteSpan out) : out_(out) {}

  bool ok() const { return ok_; }
  size_t size() const { return used_; }
  // For values that cannot be expressed.
  void fail() { ok_ = false; }

  void u8(uint64_t value) { uint<1>(value); }
  void u16(uint64_t value) { uint<2>(value); }
  void u24(uint64_t value) { uint<3>(value); }
  void u32(uint64_t value) { uint<4>(value); }
  void u64(uint64_t value) { uint<8>(value); }

  void varint(uint64_t value) {
    if (!ok_) return;
    const size_t length = put_varint(value, out_.subspan(used_));
    ok_ = length > 0;
    used_ += length;
  }

  template <typename Enum>
  void enumerator(Enum value) {
    u8(static_cast<uint8_t>(value));
  }

  void bytes(ByteSpan b) {
    if (!claim(b.size())) return;
    std::copy(b.begin(), b.end(), out_.begin() + static_cast<std::ptrdiff_t>(used_ - b.size()));
  }

  // See ByteReader; an unset address cannot be expressed.
  void ip(const IpAddress& a) {
    if (!a.is_set()) fail();
    enumerator(a.family);
    bytes(a.octets());
  }
  void address(const SocketAddress& a) {
    ip(a.ip);
    u16(a.port);
  }

 private:
  template <size_t Width>
  void uint(uint64_t value) {
    if (claim(Width)) store_big_endian<Width>(value, out_.data() + used_ - Width);
  }
  bool claim(size_t count) {
    ok_ = ok_ && count <= out_.size() - used_;
    if (ok_) used_ += count;
    return ok_;
  }

  MutableByteSpan out_;
  size_t used_ = 0;
  bool ok_ = true;
};

}  // namespace hawser::wire
