// The words that profile keys take, each with its value and whether this version has built it. For this room only.
#pragma once

#include "common/config/toml.h"
#include "common/wire/frame.h"

namespace hawser {

inline constexpr toml_tree::Choice<wire::PathPriority> kPriorities[] = {
    {"auto", wire::PathPriority::automatic},      {"always", wire::PathPriority::always},
    {"secondary", wire::PathPriority::secondary}, {"backup", wire::PathPriority::backup},
    {"never", wire::PathPriority::never},
};
inline constexpr toml_tree::Choice<wire::Mode> kModes[] = {
    {"auto", wire::Mode::automatic},
    {"speed", wire::Mode::speed, false},
    {"redundant", wire::Mode::redundant},
    {"latency", wire::Mode::latency, false},
};
inline constexpr toml_tree::Choice<wire::SchedulerKind> kSchedulers[] = {
    {"auto", wire::SchedulerKind::automatic},
    {"earliest", wire::SchedulerKind::earliest},
    {"min-rtt", wire::SchedulerKind::min_rtt},
    {"blest", wire::SchedulerKind::blest},
    {"ecf", wire::SchedulerKind::ecf},
    {"round-robin", wire::SchedulerKind::round_robin},
    {"queue-length", wire::SchedulerKind::queue_length},
    {"service-time", wire::SchedulerKind::service_time},
    {"redundant", wire::SchedulerKind::redundant},
};
inline constexpr toml_tree::Choice<wire::CongestionKind> kCongestions[] = {
    {"auto", wire::CongestionKind::automatic}, {"lia", wire::CongestionKind::lia},
    {"olia", wire::CongestionKind::olia},      {"balia", wire::CongestionKind::balia},
    {"wvegas", wire::CongestionKind::wvegas},  {"cubic", wire::CongestionKind::cubic},
    {"reno", wire::CongestionKind::reno},
};
inline constexpr toml_tree::Choice<std::string_view> kLogLevels[] = {
    {"error", "error"}, {"warning", "warning"}, {"notice", "notice"}, {"info", "info"}, {"debug", "debug"},
};

// The word for a value; every value of the enumeration has one.
template <typename T, size_t N>
constexpr std::string_view name_of(const toml_tree::Choice<T> (&choices)[N], T value) {
  for (const auto& c : choices) {
    if (c.value == value) return c.name;
  }
  return "unknown";
}

}  // namespace hawser
