// Small rules that configuration and commands share: names, globs, amounts as people write and read them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/types.h"

namespace hawser {

// `[a-z0-9][a-z0-9_-]{0,14}` and not "server": what profiles and users may be called. `what` ("profile", "user") is for
// the message.
Status check_name(std::string_view name, std::string_view what);

// An argument with '/' or ending ".toml" names a file, whose stem is the profile's name; anything else is the name
// itself.
bool is_file_argument(std::string_view argument);
// "/etc/hawser/home.toml" -> "home"; checked by check_name.
Result<std::string> profile_name_of(std::string_view argument);
// A path written in `file`: absolute as it is, relative against the folder of `file`.
std::string resolve_against(std::string_view file, std::string_view path);

// True for what Linux accepts as an interface name: 1..15 bytes, no '/', ':', space or control character, not "." or
// "..".
bool is_interface_name(std::string_view name);
// '*' matches any run, '?' one character; the whole text must match. Linear memory, no recursion.
bool glob_match(std::string_view pattern, std::string_view text);

// "20s", "1.5s", "200ms", "5m", "24h", "30d"; a bare number is seconds. Nothing when malformed, negative or above 100
// years.
std::optional<Duration> parse_duration(std::string_view text);
// "40M" = 40 Mbit/s; k, M, G in steps of 1000; a bare number is bit/s.
std::optional<BitRate> parse_rate(std::string_view text);
// "20GB", "500MB", "1TB", "20G"; steps of 1000; a bare number is bytes.
std::optional<uint64_t> parse_bytes(std::string_view text);

// Two significant places while below ten: "143 Mb/s", "9.4 Mb/s", "0 b/s".
std::string format_rate(BitRate rate);
// "8.1 GB", "910 MB".
std::string format_bytes(uint64_t bytes);
// The two largest units: "2 h 14 m", "3 d 4 h", "12 s", "0.31 s".
std::string format_duration(Duration d);

// The candidate nearest to `word` by edit distance, when it is near enough to be a typing error.
std::optional<std::string> suggest(std::string_view word, std::span<const std::string_view> candidates);
// ` (did you mean "backup"?)` or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

// Printable on a terminal: control characters and broken UTF-8 are shown as \xNN.
std::string printable(std::string_view text);

}  // namespace hawser
