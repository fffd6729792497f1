// The options file: a line per value.
#include "client/run_options.h"

#include "platform/files.h"

namespace hawser::client {
namespace {

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& n : names) text += (text.empty() ? "" : ",") + n;
  return text;
}

std::string in_words(const RunOptions& o) {
  std::string text;
  if (!o.only.empty()) text += " --only " + list(o.only);
  if (!o.without.empty()) text += " --without " + list(o.without);
  return text.empty() ? " neither --only nor --without" : text;
}

}  // namespace

std::string render(const RunOptions& o) {
  std::string text = "file " + o.file + "\n";
  for (const std::string& n : o.only) text += "only " + n + "\n";
  for (const std::string& n : o.without) text += "without " + n + "\n";
  if (o.all_traffic) text += "all-traffic yes\n";
  return text;
}

RunOptions parse_run_options(std::string_view text) {
  RunOptions o;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, space);
    const std::string value(line.substr(space + 1));
    if (key == "file") o.file = value;
    if (key == "only") o.only.push_back(value);
    if (key == "without") o.without.push_back(value);
    if (key == "all-traffic") o.all_traffic = true;
  }
  return o;
}

std::optional<std::string> difference(const RunOptions& running, const RunOptions& wanted) {
  if (running.file != wanted.file) return "it runs from " + running.file + ", not from " + wanted.file;
  if (running.only != wanted.only || running.without != wanted.without) {
    return "it runs with" + in_words(running) + ", not with" + in_words(wanted);
  }
  return std::nullopt;
}

std::string full_tunnel_holder(const CommonOptions& common, const std::string& name) {
  for (const std::string& other : running_names(common)) {
    if (other == name) continue;
    const auto instance = instance_of(common, other);
    if (!instance) continue;
    const auto text = read_file(instance->options_file());
    if (text && parse_run_options(*text).all_traffic) return other;
  }
  return {};
}

}  // namespace hawser::client
