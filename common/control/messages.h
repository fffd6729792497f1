// What is said over a control socket: one JSON object a line, a request and then its reply.
// The daemon checks the peer's credentials; what a request may do is told by `changes_state`.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "common/result.h"

namespace hawser {

// A longer request line is refused and the connection closed.
inline constexpr size_t kMaxRequestLine = 4096;
inline constexpr size_t kMaxReplyLine = size_t{64} << 20;

struct StatusRequest {
  bool operator==(const StatusRequest&) const = default;
};
struct DownRequest {
  bool operator==(const DownRequest&) const = default;
};
struct SetRequest {  // {"op":"set","key":"wlan0.priority","value":"backup"}
  std::string key, value;
  bool operator==(const SetRequest&) const = default;
};
struct ReloadRequest {
  bool operator==(const ReloadRequest&) const = default;
};
struct UsersChangedRequest {  // the registry was written by a command: look at this user again
  std::string user;
  bool operator==(const UsersChangedRequest&) const = default;
};
using ControlRequest = std::variant<StatusRequest, DownRequest, SetRequest, ReloadRequest, UsersChangedRequest>;

// True for everything but status: only root and the group `hawser` may.
bool changes_state(const ControlRequest& request);

// With the line feed.
std::string render_request(const ControlRequest& request);
// `line` with or without its line feed. Errors: usage, what is wrong with it.
Result<ControlRequest> parse_request(std::string_view line);

// Replies, with the line feed. {"ok":true}, {"ok":true,"status":{...}}, {"ok":false,"code":5,"error":"..."}
std::string render_ok();
// `status_json` is what render_json gave.
std::string render_status_reply(std::string_view status_json);
std::string render_error(const Error& error);
// The reply's status as JSON text (empty for a plain ok), or the error with the code that the daemon sent.
Result<std::string> parse_reply(std::string_view line);

}  // namespace hawser
