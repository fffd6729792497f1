// Profiles and running instances, found by their files.
#include "client/instance.h"

#include <algorithm>

#include "common/config/names.h"
#include "common/control/messages.h"
#include "platform/control_socket.h"
#include "platform/files.h"
#include "platform/process.h"

namespace hawser::client {
namespace {

constexpr Duration kStatusTimeout = Duration::seconds(5);

Instance named_instance(const CommonOptions& common, const std::string& name) {
  Instance i;
  i.name = name;
  i.file = common.config_dir + "/" + name + ".toml";
  i.run_dir = common.run_dir + "/" + name;
  i.state_dir = common.state_dir + "/" + name;
  return i;
}

// The socket adds the line feed that the message has already.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& w : words) text += (text.empty() ? "" : ", ") + w;
  return text;
}

}  // namespace

Result<Instance> instance_of(const CommonOptions& common, const std::string& argument) {
  auto name = profile_name_of(argument);
  if (!name) return Error{ExitCode::usage, name.error().message};
  Instance i = named_instance(common, *name);
  if (is_file_argument(argument)) i.file = argument;
  return i;
}

Result<Instance> chosen_instance(const CommonOptions& common, const std::string& argument) {
  if (!argument.empty()) return instance_of(common, argument);
  const auto names = profile_names(common);
  if (names.size() == 1) return named_instance(common, names.front());
  if (names.empty()) {
    return Error{ExitCode::configuration,
                 "there is no profile in " + common.config_dir +
                     ". Get an invite (on the server: vpn-server invite NAME), then: vpn-join NAME"};
  }
  return Error{ExitCode::usage, "which profile? There are " + join(names) + " in " + common.config_dir};
}

std::vector<std::string> profile_names(const CommonOptions& common) {
  constexpr std::string_view kSuffix = ".toml";
  std::vector<std::string> names;
  for (const std::string& entry : list_directory(common.config_dir)) {
    if (entry.size() <= kSuffix.size() || !entry.ends_with(kSuffix)) continue;
    const std::string name = entry.substr(0, entry.size() - kSuffix.size());
    if (check_name(name, "profile")) names.push_back(name);  // server.toml is reserved, hence no profile
  }
  return names;
}

std::vector<std::string> running_names(const CommonOptions& common) {
  std::vector<std::string> names;
  for (const std::string& entry : list_directory(common.run_dir)) {
    if (check_name(entry, "profile") && InstanceLock::held(common.run_dir + "/" + entry)) names.push_back(entry);
  }
  return names;
}

std::vector<std::string> crashed_names(const CommonOptions& common) {
  std::vector<std::string> names;
  for (const std::string& entry : list_directory(common.state_dir)) {
    if (!check_name(entry, "profile")) continue;
    const Instance i = named_instance(common, entry);
    if (file_exists(i.undo_log()) && !InstanceLock::held(i.lock_dir())) names.push_back(entry);
  }
  return names;
}

Result<Profile> load_profile(const Instance& instance) {
  if (!file_exists(instance.file)) {
    return Error{ExitCode::configuration,
                 "there is no profile " + instance.file + ". Make it from an invite: vpn-join " + instance.name};
  }
  auto text = read_file(instance.file);
  if (!text) return text.error();
  return parse_profile(*text, instance.file);
}

Result<StatusReport> query_status(const Instance& instance) {
  auto client = ControlClient::connect(instance.control_socket());
  if (!client) return client.error();
  auto line = client->request(one_line(render_request(StatusRequest{})), kStatusTimeout);
  if (!line) return line.error();
  auto json = parse_reply(*line);
  if (!json) return json.error();
  return parse_status(*json);
}

Status send_request(const Instance& instance, const std::string& request_line, Duration timeout) {
  auto client = ControlClient::connect(instance.control_socket());
  if (!client) return client.error();
  auto line = client->request(one_line(request_line), timeout);
  if (!line) return line.error();
  auto reply = parse_reply(*line);
  if (!reply) return reply.error();
  return Done{};
}

}  // namespace hawser::client
