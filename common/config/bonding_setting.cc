// Settings of the whole profile that may be changed while it runs: mode, scheduler and congestion of [bonding].
#include <algorithm>

#include "common/config/profile.h"
#include "common/config/profile_tables.h"
#include "common/config/text_edit.h"
#include "common/config/toml.h"

namespace hawser {
namespace {

using toml_tree::quote;
using toml_tree::Value;

// The value that the word means, or the reason why it means none.
template <typename T, size_t N>
Result<T> value_of(const toml_tree::Choice<T> (&choices)[N], std::string_view key, std::string_view word) {
  const std::string shown = std::string(key) + " = " + quote(word) + " is ";
  std::vector<std::string_view> built;
  std::string list;
  for (const auto& c : choices) {
    if (c.name == word && c.built) return c.value;
    if (!c.built) continue;
    built.push_back(c.name);
    list += (list.empty() ? "" : ", ") + std::string(c.name);
  }
  const bool later = word.starts_with("script:") ||
                     std::any_of(std::begin(choices), std::end(choices), [&](const auto& c) { return c.name == word; });
  if (later) return Error{ExitCode::configuration, shown + "not in this version; choose from " + list};
  return Error{ExitCode::configuration, shown + "not one of " + list + did_you_mean(word, built)};
}

}  // namespace

std::string_view name_of_key(const BondingSetting& setting) {
  return setting.mode ? "mode" : setting.scheduler ? "scheduler" : "congestion";
}

bool is_bonding_key(std::string_view key) {
  return key == "mode" || key == "scheduler" || key == "congestion";
}

Result<BondingSetting> parse_bonding_setting(std::string_view key, std::string_view value) {
  BondingSetting setting;
  if (key == "mode") {
    const auto mode = value_of(kModes, key, value);
    if (!mode) return mode.error();
    setting.mode = *mode;
  } else if (key == "scheduler") {
    const auto scheduler = value_of(kSchedulers, key, value);
    if (!scheduler) return scheduler.error();
    setting.scheduler = *scheduler;
  } else {
    const auto congestion = value_of(kCongestions, key, value);
    if (!congestion) return congestion.error();
    setting.congestion = *congestion;
  }
  return setting;
}

Result<Setting> parse_setting(std::string_view key, std::string_view value) {
  if (is_bonding_key(key)) {
    auto bonding = parse_bonding_setting(key, value);
    if (!bonding) return bonding.error();
    return Setting{*bonding};
  }
  auto path = parse_path_setting(key, value);
  if (!path) return path.error();
  return Setting{*path};
}

void apply(Profile& profile, const BondingSetting& setting) {
  if (setting.mode) profile.mode = *setting.mode;
  if (setting.scheduler) profile.scheduler = *setting.scheduler;
  if (setting.congestion) profile.congestion = *setting.congestion;
}

Result<std::string> set_bonding_key(std::string_view text, std::string_view file_name, const BondingSetting& setting) {
  auto expected = parse_profile(text, file_name);
  if (!expected) return expected.error();
  apply(*expected, setting);
  const auto root = toml_tree::parse(text, file_name);
  if (!root) return root.error();
  std::string edited(text);
  const std::string_view line_feed = toml_tree::line_feed_of(text);
  const std::string key(name_of_key(setting));
  const std::string value = quote(setting.mode        ? to_text(*setting.mode)
                                  : setting.scheduler ? to_text(*setting.scheduler)
                                                      : to_text(*setting.congestion));
  const Value* bonding = root->find("bonding");
  const Value* old = bonding == nullptr ? nullptr : bonding->find(key);
  if (old != nullptr) {
    const size_t begin = toml_tree::offset_of(text, old->begin), end = toml_tree::offset_of(text, old->end);
    edited.replace(begin, end - begin, value);
  } else if (bonding != nullptr) {
    const size_t at = toml_tree::next_line(edited, toml_tree::offset_of(text, bonding->begin), line_feed);
    edited.insert(at, key + " = " + value + std::string(line_feed));
  } else {
    if (!edited.empty() && edited.back() != '\n') edited += line_feed;
    for (const std::string& added : {std::string(), std::string("[bonding]"), key + " = " + value})
      edited += added + std::string(line_feed);
  }
  // The file's form may be one that cannot be edited so: the result must mean what was asked.
  const auto result = parse_profile(edited, file_name);
  if (!result || !(*result == *expected)) {
    return Error{ExitCode::configuration,
                 printable(file_name) + ": cannot be edited without losing its form; add by hand in [bonding]: " + key +
                     " = " + value};
  }
  return edited;
}

}  // namespace hawser
