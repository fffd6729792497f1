// Reads and writes settings: numbers with units, in the words that tc and people use.
#include "tests/netlab/emulator/settings.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <vector>

namespace hawser::netlab {
namespace {

constexpr size_t kMinimumQueueBytes = 10 * 1514;

Error bad(std::string_view key, std::string_view value, std::string_view allowed) {
  return {ExitCode::usage, std::string(key) + "=" + std::string(value) + " is not " + std::string(allowed)};
}

struct Number {
  double value;
  std::string_view unit;
};

std::optional<Number> number_with_unit(std::string_view text) {
  double value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || value < 0) return std::nullopt;
  return Number{value, text.substr(static_cast<size_t>(end - text.data()))};
}

struct Unit {
  std::string_view name;
  double factor;
};

constexpr Unit kRateUnits[] = {{"", 1},       {"k", 1e3},    {"M", 1e6},   {"G", 1e9},
                               {"kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}};
constexpr Unit kTimeUnits[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
constexpr Unit kSizeUnits[] = {{"", 1},     {"k", 1e3},    {"M", 1e6},      {"kB", 1e3},
                               {"MB", 1e6}, {"KiB", 1024}, {"MiB", 1048576}};
constexpr Unit kShareUnits[] = {{"", 1}, {"%", 0.01}};

template <size_t N>
std::optional<double> scaled(std::string_view text, const Unit (&units)[N]) {
  auto number = number_with_unit(text);
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name == number->unit) return number->value * unit.factor;
  }
  // "0" needs no unit.
  if (number->unit.empty() && number->value == 0) return 0;
  return std::nullopt;
}

std::optional<double> share(std::string_view text) {
  auto value = scaled(text, kShareUnits);
  return value && *value <= 1 ? value : std::nullopt;
}

std::optional<bool> on_off(std::string_view text) {
  if (text == "on") return true;
  if (text == "off") return false;
  return std::nullopt;
}

// "p:r[:loss_bad[:loss_good]]"
std::optional<GilbertElliott> gilbert_elliott(std::string_view text) {
  std::vector<double> parts;
  while (true) {
    size_t colon = text.find(':');
    auto part = share(text.substr(0, colon));
    if (!part) return std::nullopt;
    parts.push_back(*part);
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  if (parts.size() < 2 || parts.size() > 4) return std::nullopt;
  GilbertElliott model{parts[0], parts[1]};
  if (parts.size() > 2) model.loss_bad = parts[2];
  if (parts.size() > 3) model.loss_good = parts[3];
  return model;
}

Status set_time(Duration& target, std::string_view key, std::string_view value) {
  auto nanos = scaled(value, kTimeUnits);
  if (!nanos) return bad(key, value, "a time such as 10ms, 250us or 1.5s");
  target = Duration{static_cast<int64_t>(*nanos)};
  return Done{};
}

Status set_share(double& target, std::string_view key, std::string_view value) {
  auto parsed = share(value);
  if (!parsed) return bad(key, value, "a share such as 0.5% or 0.005");
  target = *parsed;
  return Done{};
}

Status set_flag(bool& target, std::string_view key, std::string_view value) {
  auto parsed = on_off(value);
  if (!parsed) return bad(key, value, "on or off");
  target = *parsed;
  return Done{};
}

Status set_rate(DirectionSettings& target, std::string_view key, std::string_view value) {
  auto bps = value == "unlimited" ? std::optional<double>(0) : scaled(value, kRateUnits);
  if (!bps) return bad(key, value, "a rate in bit/s such as 20M, 512k or unlimited");
  target.rate = BitRate{*bps};
  return Done{};
}

Status set_queue(DirectionSettings& target, std::string_view key, std::string_view value) {
  auto bytes = scaled(value, kSizeUnits);
  if (!bytes && value != "auto") return bad(key, value, "a size in bytes such as 500k, 64KiB or auto");
  target.queue_bytes = bytes ? std::optional<size_t>(static_cast<size_t>(*bytes)) : std::nullopt;
  return Done{};
}

Status set_bursts(DirectionSettings& target, std::string_view key, std::string_view value) {
  auto model = gilbert_elliott(value);
  if (!model && value != "off") return bad(key, value, "p:r[:loss_in_bad[:loss_in_good]] such as 1%:25%:80%, or off");
  target.bursts = model;
  return Done{};
}

Status set_one(DirectionSettings& target, std::string_view key, std::string_view value) {
  if (key == "rate") return set_rate(target, key, value);
  if (key == "delay") return set_time(target.delay, key, value);
  if (key == "jitter") return set_time(target.jitter, key, value);
  if (key == "jitter-period") return set_time(target.jitter_period, key, value);
  if (key == "reorder") return set_flag(target.reorder, key, value);
  if (key == "queue") return set_queue(target, key, value);
  if (key == "loss") return set_share(target.loss, key, value);
  if (key == "ge") return set_bursts(target, key, value);
  if (key == "duplicate") return set_share(target.duplicate, key, value);
  if (key == "blackhole") return set_flag(target.blackhole, key, value);
  return Error{ExitCode::usage,
               "unknown setting \"" + std::string(key) +
                   "\"; known are rate delay jitter jitter-period reorder queue loss ge duplicate blackhole"};
}

std::string format(const char* pattern, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, pattern, value);
  return buffer;
}

}  // namespace

size_t DirectionSettings::queue_limit() const {
  if (queue_bytes) return *queue_bytes;
  if (rate.bps <= 0) return std::numeric_limits<size_t>::max();
  return std::max(kMinimumQueueBytes, static_cast<size_t>(rate.bytes_in(Duration::millis(100))));
}

std::string DirectionSettings::to_text() const {
  std::string text = rate.bps > 0 ? format("rate=%.0f", rate.bps) : "rate=unlimited";
  text += format(" delay=%.3fms", delay.to_millis()) + format(" jitter=%.3fms", jitter.to_millis());
  text += format(" jitter-period=%.3fms", jitter_period.to_millis()) + (reorder ? " reorder=on" : " reorder=off");
  text += queue_bytes ? format(" queue=%.0f", static_cast<double>(*queue_bytes)) : " queue=auto";
  text += format(" loss=%.4f%%", loss * 100);
  if (bursts) {
    text += format(" ge=%.4f%%", bursts->good_to_bad * 100) + format(":%.4f%%", bursts->bad_to_good * 100) +
            format(":%.4f%%", bursts->loss_bad * 100) + format(":%.4f%%", bursts->loss_good * 100);
  } else {
    text += " ge=off";
  }
  return text + format(" duplicate=%.4f%%", duplicate * 100) + (blackhole ? " blackhole=on" : " blackhole=off");
}

Status parse_setting(LinkSettings& settings, Which which, std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return Error{ExitCode::usage, std::string(text) + " is not key=value"};
  }
  std::string_view key = text.substr(0, equals);
  std::string_view value = text.substr(equals + 1);
  if (key.substr(0, 3) == "up.") {
    which = Which::up;
    key.remove_prefix(3);
  } else if (key.substr(0, 5) == "down.") {
    which = Which::down;
    key.remove_prefix(5);
  }
  if (which != Which::down) {
    if (Status status = set_one(settings.up, key, value); !status) return status;
  }
  if (which != Which::up) return set_one(settings.down, key, value);
  return Done{};
}

}  // namespace hawser::netlab
