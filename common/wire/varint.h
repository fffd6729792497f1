// Variable-length integers (RFC 9000, section 16): 1, 2, 4 or 8 bytes, the two top bits give the length; values below
// 2^62. Read tolerantly (any of the lengths), written in the shortest form.
#pragma once

#include <optional>

#include "common/types.h"

namespace hawser::wire {

inline constexpr uint64_t kMaxVarint = (uint64_t{1} << 62) - 1;

// Bytes that `value` takes; 0 when it is above kMaxVarint.
constexpr size_t varint_size(uint64_t value) {
  return value < 0x40 ? 1 : value < 0x4000 ? 2 : value < 0x4000'0000 ? 4 : value <= kMaxVarint ? 8 : 0;
}

// Takes a varint off the front of `rest`; nothing (and `rest` unchanged) when it is cut off.
inline std::optional<uint64_t> take_varint(ByteSpan& rest) {
  if (rest.empty()) return std::nullopt;
  const size_t length = size_t{1} << (rest[0] >> 6);
  if (rest.size() < length) return std::nullopt;
  uint64_t value = rest[0] & 0x3f;
  for (size_t i = 1; i < length; ++i) value = value << 8 | rest[i];
  rest = rest.subspan(length);
  return value;
}

// Writes the shortest form to the front of `out`; the bytes written, 0 when it does not fit or is too large.
inline size_t put_varint(uint64_t value, MutableByteSpan out) {
  const size_t length = varint_size(value);
  if (length == 0 || out.size() < length) return 0;
  for (size_t i = length; i-- > 0; value >>= 8) out[i] = static_cast<uint8_t>(value);
  out[0] = static_cast<uint8_t>(out[0] | (length == 1 ? 0x00 : length == 2 ? 0x40 : length == 4 ? 0x80 : 0xc0));
  return length;
}

}  // namespace hawser::wire
