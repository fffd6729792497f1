// Integers in network byte order, of a width known when compiled: one load or store and a byte swap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/types.h"

namespace hawser {

// `p` points at `Width` bytes.
template <size_t Width>
constexpr uint64_t load_big_endian(const uint8_t* p) {
  static_assert(Width >= 1 && Width <= 8);
  return [p]<size_t... I>(std::index_sequence<I...>) {
    return ((uint64_t{p[I]} << (8 * (Width - 1 - I))) | ...);
  }(std::make_index_sequence<Width>{});
}

template <size_t Width>
constexpr void store_big_endian(uint64_t value, uint8_t* p) {
  static_assert(Width >= 1 && Width <= 8);
  [value, p]<size_t... I>(std::index_sequence<I...>) {
    ((p[I] = static_cast<uint8_t>(value >> (8 * (Width - 1 - I)))), ...);
  }(std::make_index_sequence<Width>{});
}

// Fields of packet headers; the caller has checked that they lie inside.
constexpr uint16_t get16(ByteSpan b, size_t at) { return static_cast<uint16_t>(load_big_endian<2>(b.data() + at)); }
constexpr uint32_t get32(ByteSpan b, size_t at) { return static_cast<uint32_t>(load_big_endian<4>(b.data() + at)); }
// Of `v` the low bits, such as a size that the caller knows to fit.
constexpr void put16(MutableByteSpan b, size_t at, uint64_t v) { store_big_endian<2>(v, b.data() + at); }
constexpr void put32(MutableByteSpan b, size_t at, uint64_t v) { store_big_endian<4>(v, b.data() + at); }

}  // namespace hawser
