// Writing a profile: all of it for vpn-join, one key of it for `vpn-up --set ... --save`, which keeps comments and
// order.
#include <algorithm>

#include "common/config/offload.h"
#include "common/config/profile.h"
#include "common/config/profile_tables.h"
#include "common/config/text_edit.h"
#include "common/config/toml.h"

namespace hawser {
namespace {

using toml_tree::next_line;
using toml_tree::offset_of;
using toml_tree::quote;
using toml_tree::Value;

template <typename List, typename ToText>
std::string list_of(const List& list, ToText to_text_of) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : ", ") + quote(to_text_of(item));
  return "[" + out + "]";
}

std::string render_match(const PathMatch& match) {
  std::string out;
  const auto add = [&](std::string_view key, const std::string& value) {
    out += (out.empty() ? " " : ", ") + std::string(key) + " = " + value;
  };
  if (!match.interface.empty()) add("interface", quote(match.interface));
  if (!match.type.empty()) add("type", quote(match.type));
  if (match.metered) add("metered", *match.metered ? "true" : "false");
  return "match = {" + out + " }";
}

std::string setting_line(const PathSetting& setting) {
  return setting.priority ? "priority = " + quote(to_text(*setting.priority))
                          : "gateway = " + quote(setting.gateway->to_string());
}

// The [[path]] entry for exactly this interface: the one that sets the key, else the first.
const Value* exact_entry(const Value& root, const PathSetting& setting) {
  const Value* list = root.find("path");
  const Value* first = nullptr;
  if (list == nullptr) return nullptr;
  for (const Value& entry : list->items) {
    const Value* match = entry.find("match");
    const Value* interface = match == nullptr || match->entries.size() != 1 ? nullptr : match->find("interface");
    if (interface == nullptr || interface->text != setting.interface) continue;
    if (entry.find(setting.priority ? "priority" : "gateway") != nullptr) return &entry;
    if (first == nullptr) first = &entry;
  }
  return first;
}

}  // namespace

std::string_view to_text(wire::PathPriority priority) {
  return name_of(kPriorities, priority);
}
std::string_view to_text(wire::SchedulerKind kind) {
  return name_of(kSchedulers, kind);
}
std::string_view to_text(wire::CongestionKind kind) {
  return name_of(kCongestions, kind);
}
std::string_view to_text(wire::Mode mode) {
  return name_of(kModes, mode);
}

std::string render(const Profile& p) {
  const auto text = [](const auto& v) { return v.to_string(); };
  std::string out = "version = 1\n\n[server]\n";
  out += "endpoints = " + list_of(p.endpoints, text) + "\n";
  out += "public_key = " + quote(p.server_public_key.to_base64()) + "\n";
  out += "\n[client]\nprivate_key_file = " + quote(p.private_key_file) + "\n";
  out += "\n[tunnel]\ninterface = " + quote(p.interface) + "  # auto: the first free hawserN\n";
  const std::string route = p.route.kind == RouteChoice::Kind::all    ? quote("all")
                            : p.route.kind == RouteChoice::Kind::none ? quote("none")
                                                                      : list_of(p.route.list, text);
  out += "route = " + route + "  # \"all\", \"none\", or a list of address blocks\n";
  if (!p.bypass.empty()) out += "bypass = " + list_of(p.bypass, text) + "\n";
  out += std::string("lan_access = ") + (p.lan_access ? "true" : "false") + "  # the local networks stay reachable\n";
  out += "dns = \"off\"  # this version leaves the resolver alone\nkill_switch = \"off\"\n";
  out += "mtu = " + (p.mtu ? std::to_string(*p.mtu) : quote("auto")) + "\n";
  out += "\n[bonding]\nmode = " + quote(to_text(p.mode)) + "\n";
  out += "scheduler = " + quote(to_text(p.scheduler)) + "\n";
  out += "congestion = " + quote(to_text(p.congestion)) + "\n";
  out += std::string("discover = ") + (p.discover ? "true" : "false") + "  # use every usable interface\n";
  // Left out when it is the default, so that a later version's longer default reaches this profile.
  if (p.ignore != default_ignore())
    out += "ignore = " + list_of(p.ignore, [](const std::string& s) { return s; }) + "\n";
  for (const PathRule& rule : p.paths) {
    out += "\n[[path]]\n" + render_match(rule.match) + "\n";
    if (rule.priority) out += "priority = " + quote(to_text(*rule.priority)) + "\n";
    if (rule.gateway) out += "gateway = " + quote(rule.gateway->to_string()) + "\n";
  }
  // Like `ignore`: a default is not written.
  if (p.offload != OffloadChoice{}) out += "\n[advanced]\noffload = " + render_offload(p.offload, OffloadSide::client) + "\n";
  return out + "\n[log]\nlevel = " + quote(p.log_level) + "\n";
}

Result<PathSetting> parse_path_setting(std::string_view key, std::string_view value) {
  const auto bad = [](std::string message) { return Error{ExitCode::configuration, std::move(message)}; };
  const size_t dot = key.rfind('.');  // an interface may have dots in its name: eth0.100
  if (dot == std::string_view::npos) {
    return bad("--set " + printable(key) +
               ": no such key; write INTERFACE.priority=VALUE, INTERFACE.gateway=ADDRESS, or one of mode, "
               "scheduler, congestion");
  }
  PathSetting setting;
  setting.interface = key.substr(0, dot);
  const std::string_view name = key.substr(dot + 1);
  if (!is_interface_name(setting.interface) || setting.interface.find_first_of("*?") != std::string::npos) {
    return bad("--set " + printable(key) + ": \"" + printable(setting.interface) +
               "\" is not the name of one interface");
  }
  const std::string shown = std::string(key) + " = " + quote(value) + " is ";
  if (name == "priority") {
    std::vector<std::string_view> words;
    for (const auto& choice : kPriorities) {
      words.push_back(choice.name);
      if (choice.name == value) setting.priority = choice.value;
    }
    if (!setting.priority) {
      return bad(shown + "not one of auto, always, secondary, backup, never" + did_you_mean(value, words));
    }
  } else if (name == "gateway") {
    setting.gateway = IpAddress::parse(value);
    if (!setting.gateway) return bad(shown + "not an IP address");
  } else if (name == "limit" || name == "data" || setting.interface.ends_with(".limit") ||
             setting.interface.ends_with(".data")) {
    return bad("--set " + printable(key) + ": limit and data are not in this version");
  } else {
    constexpr std::string_view kNames[] = {"priority", "gateway"};
    return bad("--set " + printable(key) + ": unknown key \"" + printable(name) + "\"; known are priority, gateway" +
               did_you_mean(name, kNames));
  }
  return setting;
}

void apply(Profile& profile, const PathSetting& setting) {
  const auto exact = [&](const PathRule& rule) { return rule.match == PathMatch{setting.interface, "", std::nullopt}; };
  const auto sets = [&](const PathRule& rule) {
    return exact(rule) && (setting.priority ? rule.priority.has_value() : rule.gateway.has_value());
  };
  auto it = std::find_if(profile.paths.begin(), profile.paths.end(), sets);
  if (it == profile.paths.end()) it = std::find_if(profile.paths.begin(), profile.paths.end(), exact);
  if (it == profile.paths.end()) it = profile.paths.insert(it, PathRule{{setting.interface, "", std::nullopt}, {}, {}});
  if (setting.priority) it->priority = setting.priority;
  if (setting.gateway) it->gateway = setting.gateway;
}

Result<std::string> set_key(std::string_view text, std::string_view file_name, std::string_view key,
                            std::string_view value) {
  const auto any = parse_setting(key, value);
  if (!any) return any.error();
  if (const auto* bonding = std::get_if<BondingSetting>(&*any)) return set_bonding_key(text, file_name, *bonding);
  const auto* setting = std::get_if<PathSetting>(&*any);
  auto expected = parse_profile(text, file_name);
  if (!expected) return expected.error();
  apply(*expected, *setting);

  const auto root = toml_tree::parse(text, file_name);
  if (!root) return root.error();
  std::string edited(text);
  const std::string_view line_feed = toml_tree::line_feed_of(text);
  const std::string line = setting_line(*setting);
  const Value* entry = exact_entry(*root, *setting);
  const Value* old = entry == nullptr ? nullptr : entry->find(setting->priority ? "priority" : "gateway");
  if (old != nullptr) {
    const size_t begin = offset_of(text, old->begin), end = offset_of(text, old->end);
    edited.replace(begin, end - begin, line.substr(line.find('"')));
  } else if (entry != nullptr) {
    // After the line of an inline `match`, indented like it; else right below the header, where every line is the
    // entry's own.
    const Value* match = entry->find("match");
    const size_t match_at = offset_of(text, match->begin);
    const bool own_line = match->begin.line > entry->begin.line && text.substr(match_at, 1) == "{";
    size_t at = offset_of(text, own_line ? match->end : entry->begin);
    const size_t line_begin = text.rfind('\n', own_line ? match_at : at) + 1;
    const size_t indent = text.find_first_not_of(" \t", line_begin) - line_begin;
    const std::string inserted = std::string(text.substr(line_begin, indent)) + line + std::string(line_feed);
    at = next_line(edited, at, line_feed);
    edited.insert(at, inserted);
  } else {
    if (!edited.empty() && edited.back() != '\n') edited += line_feed;
    const std::string match = render_match({setting->interface, "", std::nullopt});
    for (const std::string& added : {std::string(), std::string("[[path]]"), match, line})
      edited += added + std::string(line_feed);
  }
  // The file's form may be one that cannot be edited so (paths in an inline list, say): the result must mean what was
  // asked.
  const auto result = parse_profile(edited, file_name);
  if (!result || !(*result == *expected)) {
    return Error{ExitCode::configuration,
                 printable(file_name) +
                     ": cannot be edited without losing its form; add by hand below a [[path]] with " +
                     render_match({setting->interface, "", std::nullopt}) + " the line: " + line};
  }
  return edited;
}

}  // namespace hawser
