// The strong types that every room shares: time, identities, amounts.
// Time enters the engine as an argument only: nanoseconds of CLOCK_BOOTTIME, so that suspended time counts.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>

namespace hawser {

using ByteSpan = std::span<const uint8_t>;
using MutableByteSpan = std::span<uint8_t>;

// A length of time in nanoseconds; may be negative (a difference).
struct Duration {
  int64_t ns = 0;

  static constexpr Duration nanos(int64_t v) { return {v}; }
  static constexpr Duration micros(int64_t v) { return {v * 1'000}; }
  static constexpr Duration millis(int64_t v) { return {v * 1'000'000}; }
  static constexpr Duration seconds(int64_t v) { return {v * 1'000'000'000}; }
  static constexpr Duration from_seconds(double s) { return {static_cast<int64_t>(s * 1e9)}; }
  static constexpr Duration infinite() { return {std::numeric_limits<int64_t>::max()}; }

  constexpr double to_seconds() const { return static_cast<double>(ns) / 1e9; }
  constexpr double to_millis() const { return static_cast<double>(ns) / 1e6; }
  constexpr int64_t to_micros() const { return ns / 1'000; }

  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration o) const { return {ns + o.ns}; }
  constexpr Duration operator-(Duration o) const { return {ns - o.ns}; }
  constexpr Duration operator-() const { return {-ns}; }
  constexpr Duration operator*(std::integral auto k) const { return {ns * static_cast<int64_t>(k)}; }
  constexpr Duration operator*(double k) const { return {static_cast<int64_t>(static_cast<double>(ns) * k)}; }
  constexpr Duration operator/(int64_t k) const { return {ns / k}; }
  constexpr Duration& operator+=(Duration o) { ns += o.ns; return *this; }
  constexpr Duration& operator-=(Duration o) { ns -= o.ns; return *this; }
};

// A moment: nanoseconds of CLOCK_BOOTTIME (in tests: of the virtual clock). Time{} means "never happened".
struct Time {
  int64_t ns = 0;

  static constexpr Time infinite() { return {std::numeric_limits<int64_t>::max()}; }
  constexpr bool is_set() const { return ns != 0; }

  constexpr auto operator<=>(const Time&) const = default;
  constexpr Time operator+(Duration d) const {
    // Saturates, so that "now + infinite" stays infinite.
    return d.ns > 0 && ns > std::numeric_limits<int64_t>::max() - d.ns ? infinite() : Time{ns + d.ns};
  }
  constexpr Time operator-(Duration d) const { return {ns - d.ns}; }
  constexpr Duration operator-(Time o) const { return {ns - o.ns}; }
  constexpr Time& operator+=(Duration d) { *this = *this + d; return *this; }
};

// Bits per second.
struct BitRate {
  double bps = 0;

  static constexpr BitRate from_bytes_over(double bytes, Duration d) {
    return {d.ns > 0 ? bytes * 8e9 / static_cast<double>(d.ns) : 0.0};
  }
  constexpr double bytes_per_second() const { return bps / 8; }
  // How long `bytes` take at this rate; infinite at rate zero.
  constexpr Duration time_for(double bytes) const {
    return bps > 0 ? Duration{static_cast<int64_t>(bytes * 8e9 / bps)} : Duration::infinite();
  }
  // How many bytes pass in `d`.
  constexpr double bytes_in(Duration d) const { return bps / 8e9 * static_cast<double>(d.ns); }
  constexpr auto operator<=>(const BitRate&) const = default;
  constexpr BitRate operator+(BitRate o) const { return {bps + o.bps}; }
  constexpr BitRate operator*(double k) const { return {bps * k}; }
};

// One subflow of a session. Never used twice under one session's keys (it is part of the nonce).
struct PathId {
  uint32_t value = 0;
  constexpr auto operator<=>(const PathId&) const = default;
};

// A path's packet number, 62 bits, from 0, never reused.
struct PacketNumber {
  uint64_t value = 0;
  constexpr auto operator<=>(const PacketNumber&) const = default;
};

// A lane of a session: 0..1023. Order is kept inside a lane only.
struct LaneId {
  uint16_t value = 0;
  constexpr auto operator<=>(const LaneId&) const = default;
};

// A packet's place in its lane: 24 bits on the wire, 64 inside.
struct LaneSeq {
  uint64_t value = 0;
  constexpr auto operator<=>(const LaneSeq&) const = default;
};

// A socket of the platform that a path uses; the platform chooses the value.
struct LinkId {
  uint32_t value = 0;
  constexpr auto operator<=>(const LinkId&) const = default;
};

// A receiver index on the wire: it names one key of one session.
struct SessionIndex {
  uint32_t value = 0;
  constexpr auto operator<=>(const SessionIndex&) const = default;
};

// A user of the server's registry.
struct UserId {
  uint64_t value = 0;
  constexpr auto operator<=>(const UserId&) const = default;
};

}  // namespace hawser

template <>
struct std::hash<hawser::PathId> {
  size_t operator()(hawser::PathId id) const noexcept { return id.value; }
};
template <>
struct std::hash<hawser::LinkId> {
  size_t operator()(hawser::LinkId id) const noexcept { return id.value; }
};
template <>
struct std::hash<hawser::SessionIndex> {
  size_t operator()(hawser::SessionIndex id) const noexcept { return id.value; }
};
template <>
struct std::hash<hawser::UserId> {
  size_t operator()(hawser::UserId id) const noexcept { return id.value; }
};
