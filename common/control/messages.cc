// The control socket's requests and replies as lines of JSON: see messages.h.
#include "common/control/messages.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/config/names.h"

namespace hawser {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kOps[] = {"status", "down", "set", "reload", "users-changed"};

Error bad_request(std::string why) {
  return Error{ExitCode::usage, "control request refused: " + std::move(why)};
}

std::string line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The text of a field; nothing when it is missing or no string.
std::optional<std::string> field(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

// Exactly these fields, or what is wrong.
std::string check_fields(const Json& json, std::initializer_list<std::string_view> expected) {
  for (std::string_view key : expected) {
    if (!field(json, std::string(key).c_str())) return "\"" + std::string(key) + "\" must be there and a string";
  }
  for (const auto& [key, value] : json.items()) {
    if (std::find(expected.begin(), expected.end(), key) == expected.end())
      return "unknown field \"" + printable(key) + "\"";
  }
  return "";
}

ExitCode code_from(int code) {
  switch (code) {
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 130:
      return static_cast<ExitCode>(code);
    default:
      return ExitCode::unexpected;
  }
}

}  // namespace

bool changes_state(const ControlRequest& request) {
  return !std::holds_alternative<StatusRequest>(request);
}

std::string render_request(const ControlRequest& request) {
  struct Visitor {
    Json operator()(const StatusRequest&) const { return {{"op", "status"}}; }
    Json operator()(const DownRequest&) const { return {{"op", "down"}}; }
    Json operator()(const SetRequest& r) const { return {{"op", "set"}, {"key", r.key}, {"value", r.value}}; }
    Json operator()(const ReloadRequest&) const { return {{"op", "reload"}}; }
    Json operator()(const UsersChangedRequest& r) const { return {{"op", "users-changed"}, {"user", r.user}}; }
  };
  return line(std::visit(Visitor{}, request));
}

Result<ControlRequest> parse_request(std::string_view text) {
  if (text.size() > kMaxRequestLine)
    return bad_request("the line is longer than " + std::to_string(kMaxRequestLine) + " bytes");
  try {
    const Json json = Json::parse(text);
    const auto op = json.is_object() ? field(json, "op") : std::nullopt;
    if (!op) return bad_request("not a JSON object with a string \"op\"");
    std::string wrong;
    if (*op == "set") {
      wrong = check_fields(json, {"op", "key", "value"});
      if (wrong.empty()) return ControlRequest{SetRequest{*field(json, "key"), *field(json, "value")}};
    } else if (*op == "users-changed") {
      wrong = check_fields(json, {"op", "user"});
      if (wrong.empty()) return ControlRequest{UsersChangedRequest{*field(json, "user")}};
    } else {
      wrong = check_fields(json, {"op"});
      if (*op == "status" && wrong.empty()) return ControlRequest{StatusRequest{}};
      if (*op == "down" && wrong.empty()) return ControlRequest{DownRequest{}};
      if (*op == "reload" && wrong.empty()) return ControlRequest{ReloadRequest{}};
      const bool known = std::find(std::begin(kOps), std::end(kOps), *op) != std::end(kOps);
      if (!known) wrong = "unknown op \"" + printable(op->substr(0, 40)) + "\"" + did_you_mean(*op, kOps);
    }
    return bad_request(wrong);
  } catch (const std::exception& e) {
    return bad_request(std::string("not JSON: ") + printable(e.what()));
  }
}

std::string render_ok() {
  return line({{"ok", true}});
}

std::string render_status_reply(std::string_view status_json) {
  return "{\"ok\":true,\"status\":" + std::string(status_json) + "}\n";
}

std::string render_error(const Error& error) {
  return line({{"ok", false}, {"code", static_cast<int>(error.code)}, {"error", error.message}});
}

Result<std::string> parse_reply(std::string_view text) {
  const auto bad = [](const std::string& why) {
    return Error{ExitCode::unexpected,
                 "the daemon's reply cannot be read (" + why + "); is it of another version of Hawser?"};
  };
  if (text.size() > kMaxReplyLine) return bad("too long");
  try {
    const Json json = Json::parse(text);
    if (!json.is_object() || !json.contains("ok") || !json["ok"].is_boolean()) return bad("no \"ok\"");
    if (!json["ok"].get<bool>()) {
      return Error{code_from(json.value("code", 1)), json.value("error", std::string("no reason given"))};
    }
    return json.contains("status") ? json["status"].dump() : std::string();
  } catch (const std::exception& e) {
    return bad(e.what());
  }
}

}  // namespace hawser
