// Names, globs and suggestions: see names.h.
#include "common/config/names.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace hawser {
namespace {

constexpr size_t kMaxName = 15;
constexpr size_t kMaxInterfaceName = 15;  // IFNAMSIZ less the terminating zero

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Edit distance with transpositions (optimal string alignment): "bakcup" is one away from "backup".
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last, last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    std::swap(last, row);
  }
  return last[b.size()];
}

// Bytes of the UTF-8 sequence at the front of `text`; 0 when it is broken (RFC 3629) or a control character.
size_t printable_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                        : (first & 0xf0) == 0xe0         ? 3
                        : first >= 0xf0 && first <= 0xf4 ? 4
                                                         : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (first == 0xc2 && byte(1) < 0xa0) return 0;  // C1 control characters
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
  if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
  return length;
}

}  // namespace

Status check_name(std::string_view name, std::string_view what) {
  const std::string shown = std::string(what) + " name \"" + printable(name.substr(0, 40)) + "\"";
  if (name == "server") {
    return Error{ExitCode::configuration, shown + " is reserved for the server itself; choose another"};
  }
  const bool good =
      !name.empty() && name.size() <= kMaxName && is_lower_or_digit(name[0]) &&
      std::all_of(name.begin(), name.end(), [](char c) { return is_lower_or_digit(c) || c == '_' || c == '-'; });
  if (good) return Done{};
  return Error{ExitCode::configuration,
               shown + " is not allowed: 1 to 15 of a-z, 0-9, \"_\" and \"-\", beginning with a letter or digit"};
}

bool is_file_argument(std::string_view argument) {
  return argument.find('/') != std::string_view::npos || argument.ends_with(".toml");
}

Result<std::string> profile_name_of(std::string_view argument) {
  std::string_view name = argument;
  if (is_file_argument(argument)) {
    if (const size_t slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
    if (name.ends_with(".toml")) name.remove_suffix(5);
  }
  if (Status s = check_name(name, "profile"); !s) return s.error();
  return std::string(name);
}

std::string resolve_against(std::string_view file, std::string_view path) {
  const size_t slash = file.rfind('/');
  if (path.starts_with('/') || slash == std::string_view::npos) return std::string(path);
  return std::string(file.substr(0, slash + 1)) + std::string(path);
}

bool is_interface_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxInterfaceName && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(), [](char c) {
           return static_cast<uint8_t>(c) <= 0x20 || static_cast<uint8_t>(c) == 0x7f || c == '/' || c == ':';
         });
}

bool glob_match(std::string_view pattern, std::string_view text) {
  // On a mismatch after a '*' that '*' takes one character more; earlier ones need never be tried again.
  size_t p = 0, t = 0, star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::optional<std::string> suggest(std::string_view word, std::span<const std::string_view> candidates) {
  constexpr size_t kMaxWord = 64;  // nobody mistypes more, and the distance costs its square
  if (word.empty() || word.size() > kMaxWord) return std::nullopt;
  const size_t limit = std::clamp<size_t>(word.size() / 3, 1, 3);
  std::optional<std::string> best;
  size_t best_distance = limit + 1;
  for (std::string_view candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    // Two letters have too many neighbours: a suggestion must keep at least half of the word.
    if (distance < best_distance && 2 * distance <= word.size()) best = candidate, best_distance = distance;
  }
  if (best) return best;
  // Not a typing error but an abbreviation: the only candidate that begins with the word.
  for (std::string_view candidate : candidates) {
    if (word.size() < 3 || !candidate.starts_with(word)) continue;
    if (best) return std::nullopt;
    best = candidate;
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  const auto guess = suggest(word, candidates);
  return guess ? " (did you mean \"" + *guess + "\"?)" : "";
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = printable_length(text);
    if (length == 0) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(static_cast<uint8_t>(text[0])));
      out += hex;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

}  // namespace hawser
