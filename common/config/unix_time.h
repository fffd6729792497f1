// Calendar time for people and for things that outlive a boot: expiry of invites, rows of the registry, "since".
// Handed in by the programs; the engine's own clock is `Time` in common/types.h.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hawser {

// Seconds since 1970-01-01 00:00 UTC.
struct UnixTime {
  int64_t seconds = 0;

  bool is_set() const { return seconds != 0; }
  constexpr auto operator<=>(const UnixTime&) const = default;
  constexpr UnixTime operator+(int64_t s) const { return {seconds + s}; }
  constexpr UnixTime operator-(int64_t s) const { return {seconds - s}; }
  constexpr int64_t operator-(UnixTime o) const { return seconds - o.seconds; }
};

// "2026-11-22T11:48:03Z" (RFC 3339, UTC).
std::string format_utc(UnixTime t);
// Reads exactly that form; nothing otherwise.
std::optional<UnixTime> parse_utc(std::string_view text);

}  // namespace hawser
