// Integers in network byte order, of a width known when compiled: one load or store and a byte swap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

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

}  // namespace hawser
