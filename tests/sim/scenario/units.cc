// Numbers with units.
#include "tests/sim/scenario/units.h"

#include <cmath>
#include <cstdlib>
#include <initializer_list>

namespace hawser::sim {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

double parse(std::string_view text, std::initializer_list<Unit> units, const char* example) {
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  const std::string_view unit(end);
  if (end != copy.c_str() && std::isfinite(value) && value >= 0) {
    for (const Unit& u : units) {
      if (u.name == unit) return value * u.factor;
    }
  }
  throw ScenarioError("'" + copy + "' is not understood; write it like " + example);
}

}  // namespace

BitRate parse_rate(std::string_view text) { return {parse(text, {{"k", 1e3}, {"M", 1e6}, {"G", 1e9}}, "20M (bits per second)")}; }

Duration parse_duration(std::string_view text) {
  return Duration{std::llround(parse(text, {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}}, "10ms"))};
}

uint64_t parse_bytes(std::string_view text) {
  const double bytes = parse(text, {{"", 1}, {"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1024}, {"MiB", 1048576}}, "500kB");
  return static_cast<uint64_t>(bytes);
}

double parse_fraction(std::string_view text) { return parse(text, {{"%", 0.01}}, "0.5%"); }

}  // namespace hawser::sim
