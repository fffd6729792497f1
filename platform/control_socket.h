// The control socket: unix stream, newline-delimited text (JSON), the kernel's word about who is asking.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/types.h"
#include "platform/fd.h"
#include "platform/loop.h"

namespace hawser {

struct ControlPeer {
  uint32_t uid = 0;
  uint32_t gid = 0;
  int32_t pid = 0;
  // Root, the daemon's own user, or a member of the group `hawser` (primary or supplementary; absent group: no).
  bool may_change = false;
};

class ControlServer {
 public:
  using ClientId = uint64_t;
  struct Limits {
    size_t clients = 32;
    size_t request_bytes = 64 << 10;  // a longer line ends the connection
    size_t backlog_bytes = 1 << 20;   // a client that does not read is dropped
  };
  // One line of a client, without its newline. Answer with send(), now or later. The server must outlive the call.
  using RequestHandler = std::function<void(ClientId, const ControlPeer&, std::string_view line)>;

  // Listens at `path` (0666, a stale socket is replaced; the caller holds the instance's lock). Removed at the end.
  static Result<std::unique_ptr<ControlServer>> create(EventLoop& loop, const std::string& path,
                                                       RequestHandler on_request);
  static Result<std::unique_ptr<ControlServer>> create(EventLoop& loop, const std::string& path,
                                                       RequestHandler on_request, Limits limits);
  virtual ~ControlServer() = default;

  // Queues `line` and a newline for the client; false when it is gone. Never blocks.
  virtual bool send(ClientId client, std::string_view line) = 0;
  // Ends the connection once everything queued went out.
  virtual void close(ClientId client) = 0;
  // Told when a client is gone (subscriptions end).
  virtual void on_disconnect(std::function<void(ClientId)> callback) = 0;
  virtual size_t client_count() const = 0;
};

class ControlClient {
 public:
  // Error not_running when nobody listens at `path`; permission.
  static Result<ControlClient> connect(const std::string& path);
  // Sends `line` and waits for one line of answer. Errors: unexpected (time-out, connection closed).
  Result<std::string> request(std::string_view line, Duration timeout);
  Status send_line(std::string_view line, Duration timeout);
  // The next line, for streams of events; Duration::infinite() waits for ever. not_running when the other end closed.
  Result<std::string> read_line(Duration timeout);
  int fd() const { return fd_.get(); }

 private:
  explicit ControlClient(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::string pending_;
};

}  // namespace hawser
