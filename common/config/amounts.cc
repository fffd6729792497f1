// Durations, rates and amounts of data as people write and read them: see names.h.
#include <charconv>
#include <cmath>
#include <cstdio>

#include "common/config/names.h"

namespace hawser {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

// "1.5s" -> 1.5 * factor of "s"; the unit may be missing when the table has "". Nothing for signs, exponents and
// blanks.
std::optional<double> parse_amount(std::string_view text, std::span<const Unit> units, double max) {
  size_t end = 0;
  while (end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.')) ++end;
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + end, number, std::chars_format::fixed);
  if (error != std::errc{} || stop != text.data() + end || text[0] == '.' || text[end - 1] == '.') return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name != text.substr(end)) continue;
    const double value = number * unit.factor;
    return value <= max ? std::optional{value} : std::nullopt;
  }
  return std::nullopt;
}

// Three digits of precision at most: "9.4", "143"; steps of 1000.
std::string format_scaled(double value, std::span<const std::string_view> units) {
  size_t i = 0;
  while (i + 1 < units.size() && value >= 999.5) value /= 1000, ++i;
  char text[64];
  const bool fraction = value < 9.95 && i > 0;
  std::snprintf(text, sizeof text, fraction ? "%.1f " : "%.0f ", value);
  return text + std::string(units[i]);
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  static constexpr Unit kUnits[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"m", 60}, {"min", 60}, {"h", 3600}, {"d", 86400}};
  constexpr double kCentury = 100.0 * 366 * 86400;
  const auto seconds = parse_amount(text, kUnits, kCentury);
  return seconds ? std::optional{Duration{std::llround(*seconds * 1e9)}} : std::nullopt;
}

std::optional<BitRate> parse_rate(std::string_view text) {
  static constexpr Unit kUnits[] = {{"", 1}, {"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}};
  const auto bps = parse_amount(text, kUnits, 1e15);
  return bps ? std::optional{BitRate{*bps}} : std::nullopt;
}

std::optional<uint64_t> parse_bytes(std::string_view text) {
  static constexpr Unit kUnits[] = {{"", 1},     {"B", 1},   {"k", 1e3},  {"kB", 1e3}, {"KB", 1e3}, {"M", 1e6},
                                    {"MB", 1e6}, {"G", 1e9}, {"GB", 1e9}, {"T", 1e12}, {"TB", 1e12}};
  const auto bytes = parse_amount(text, kUnits, 1e18);
  return bytes ? std::optional{static_cast<uint64_t>(std::llround(*bytes))} : std::nullopt;
}

std::string format_rate(BitRate rate) {
  static constexpr std::string_view kUnits[] = {"b/s", "kb/s", "Mb/s", "Gb/s"};
  return format_scaled(rate.bps > 0 ? rate.bps : 0, kUnits);
}

std::string format_bytes(uint64_t bytes) {
  static constexpr std::string_view kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  return format_scaled(static_cast<double>(bytes), kUnits);
}

std::string format_duration(Duration d) {
  if (d.ns < 0) d = Duration{};
  const int64_t seconds = d.ns / 1'000'000'000;
  char text[64];
  if (seconds < 10 && d.ns % 1'000'000'000 != 0) {
    std::snprintf(text, sizeof text, "%.2f s", d.to_seconds());
    return text;
  }
  const auto two = [&](int64_t big, const char* big_unit, int64_t small, const char* small_unit) {
    if (small == 0) {
      std::snprintf(text, sizeof text, "%lld %s", static_cast<long long>(big), big_unit);
    } else {
      std::snprintf(text, sizeof text, "%lld %s %lld %s", static_cast<long long>(big), big_unit,
                    static_cast<long long>(small), small_unit);
    }
    return std::string(text);
  };
  if (seconds < 60) return two(seconds, "s", 0, "");
  if (seconds < 3600) return two(seconds / 60, "m", seconds % 60, "s");
  if (seconds < 86400) return two(seconds / 3600, "h", seconds / 60 % 60, "m");
  return two(seconds / 86400, "d", seconds / 3600 % 24, "h");
}

}  // namespace hawser
