// Commands that work on the registry, and those that ask the running server.
#include "server/users.h"

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/config/invite.h"
#include "common/control/human.h"
#include "common/control/messages.h"
#include "platform/control_socket.h"
#include "platform/process.h"
#include "platform/rng.h"
#include "server/installation.h"

namespace hawser::server {
namespace {

constexpr Duration kAnswerTimeout = Duration::seconds(5);

// One request to the running server, and its reply's status (empty for a plain ok).
Result<std::string> ask_server(const CommonOptions& common, const ControlRequest& request) {
  auto client = ControlClient::connect(common.control_socket());
  if (!client) {
    if (client.error().code != ExitCode::not_running) return client.error();
    return Error{ExitCode::not_running, "no server is running (" + common.control_socket() +
                                            "); start it with: systemctl start hawser-server, or: vpn-server run"};
  }
  std::string line = render_request(request);
  if (!line.empty() && line.back() == '\n') line.pop_back();
  auto reply = client->request(line, kAnswerTimeout);
  if (!reply) return reply.error();
  return parse_reply(*reply);
}

// The running server looks at the user at once; without one there is nobody to tell.
void tell_server(const CommonOptions& common, const std::string& user) {
  const auto told = ask_server(common, UsersChangedRequest{user});
  if (told || told.error().code == ExitCode::not_running || common.quiet) return;
  std::fprintf(stderr, "vpn-server: the running server was not told (%s); it will notice within 2 s\n", told.error().message.c_str());
}

void note(const CommonOptions& common, const std::string& text) {
  if (!common.quiet) std::fprintf(stderr, "%s\n", text.c_str());
}

std::string addresses_of(const UserRecord& user) {
  std::string text = user.inner_v4.is_set() ? user.inner_v4.to_string() : "";
  if (user.inner_v6.is_set()) text += (text.empty() ? "" : ", ") + user.inner_v6.to_string();
  return text;
}

nlohmann::json to_json(const UserRecord& user) {
  nlohmann::json addresses = nlohmann::json::array();
  for (const IpAddress& a : {user.inner_v4, user.inner_v6}) {
    if (a.is_set()) addresses.push_back(a.to_string());
  }
  const auto time = [](UnixTime t) { return t.is_set() ? nlohmann::json(format_utc(t)) : nlohmann::json(); };
  return {{"name", user.name},
          {"id", user.id.value},
          {"state", std::string(to_text(user.state))},
          {"addresses", addresses},
          {"public_key", user.public_key ? nlohmann::json(user.public_key->to_base64()) : nlohmann::json()},
          {"created", time(user.created)},
          {"removed", time(user.removed_at)},
          {"invite_expires", time(user.invite_expires)}};
}

void print_json(const std::vector<UserRecord>& users) {
  nlohmann::json list = nlohmann::json::array();
  for (const UserRecord& user : users) list.push_back(to_json(user));
  std::printf("%s\n", nlohmann::json{{"schema", "hawser.server-users/1"}, {"users", list}}.dump().c_str());
}

void print_table(const std::vector<UserRecord>& users) {
  std::printf("%-15s %-9s %-40s %s\n", "USER", "STATE", "ADDRESSES", "KEY");
  for (const UserRecord& user : users) {
    std::printf("%-15s %-9s %-40s %s\n", user.name.c_str(), std::string(to_text(user.state)).c_str(), addresses_of(user).c_str(),
                user.public_key ? user.public_key->to_base64().c_str() : "-");
  }
}

void print_details(const UserRecord& user) {
  const auto line = [](const char* what, const std::string& value) {
    if (!value.empty()) std::printf("%-10s %s\n", what, value.c_str());
  };
  const auto time = [](UnixTime t) { return t.is_set() ? format_utc(t) : std::string(); };
  line("user", user.name);
  line("state", std::string(to_text(user.state)));
  line("addresses", addresses_of(user));
  line("key", user.public_key ? user.public_key->to_base64() : "");
  line("created", time(user.created));
  line("removed", time(user.removed_at));
  line("invite", user.invite_expires.is_set() ? "open until " + time(user.invite_expires) : "");
}

Result<UserRecord> change(Registry& registry, const UserCommand& command) {
  switch (command.action) {
    case UserCommand::Action::disable: return registry.disable(command.name, wall_clock());
    case UserCommand::Action::enable: return registry.enable(command.name, wall_clock());
    case UserCommand::Action::remove: return registry.remove(command.name, wall_clock());
    case UserCommand::Action::list: case UserCommand::Action::show: break;
  }
  return registry.show(command.name, wall_clock());
}

bool wants_colour(const CommonOptions& common) {
  if (common.color != CommonOptions::Color::automatic) return common.color == CommonOptions::Color::always;
  return is_terminal(1) && std::getenv("NO_COLOR") == nullptr;
}

}  // namespace

Status run_invite(const CommonOptions& common, const InviteCommand& command) {
  auto settings = load_settings(common);
  if (!settings) return settings.error();
  if (settings->endpoints.empty()) {
    return Error{ExitCode::configuration, common.config_file() + " has no endpoints: an invite could not say where the server is; add for "
                                              "example: endpoints = [\"vpn.example.org:443\"]"};
  }
  auto key = load_key(common, *settings);
  if (!key) return key.error();
  auto registry = open_registry(common, *settings);
  if (!registry) return registry.error();

  const UnixTime now = wall_clock();
  Invite invite;
  invite.endpoints = settings->endpoints;
  if (invite.endpoints.size() > kMaxInviteEndpoints) invite.endpoints.resize(kMaxInviteEndpoints);
  invite.server_public_key = key->public_key();
  invite.expires = now + command.expires.ns / 1'000'000'000;
  SystemRng rng;
  rng.fill(invite.token);
  auto text = encode_invite(invite);
  if (!text) return text.error();
  auto user = registry->create_invite(command.name, TokenMaterial::of(invite.token), invite.expires, now);
  if (!user) return user.error();

  std::printf("%s\n", text->c_str());
  std::fflush(stdout);
  wipe(*text);
  note(common, command.name + ": for one device, until " + format_utc(invite.expires) +
                   (user->public_key ? "; the device that has the name now is cut off when it is used" : ""));
  return Done{};
}

Status run_user(const CommonOptions& common, const UserCommand& command) {
  auto settings = load_settings(common);
  if (!settings) return settings.error();
  auto registry = open_registry(common, *settings);
  if (!registry) return registry.error();

  if (command.action == UserCommand::Action::list) {
    auto users = registry->list(false, wall_clock());
    if (!users) return users.error();
    command.json ? print_json(*users) : print_table(*users);
    return Done{};
  }
  auto user = change(*registry, command);
  if (!user) return user.error();
  if (command.action != UserCommand::Action::show) {
    tell_server(common, command.name);
    if (!command.json) note(common, user->name + ": " + std::string(to_text(user->state)));
  }
  if (command.json) print_json({*user});
  else if (command.action == UserCommand::Action::show) print_details(*user);
  return Done{};
}

Status run_status(const CommonOptions& common, const StatusCommand& command) {
  auto json = ask_server(common, StatusRequest{});
  if (!json) return json.error();
  if (command.json) {
    std::printf("%s\n", json->c_str());
    return Done{};
  }
  auto report = parse_server_status(*json);
  if (!report) return report.error();
  std::fputs(server_status_table(*report, wall_clock(), {wants_colour(common)}).c_str(), stdout);
  return Done{};
}

Status run_reload(const CommonOptions& common) {
  auto done = ask_server(common, ReloadRequest{});
  if (!done) return done.error();
  return Done{};
}

}  // namespace hawser::server
