// The server's side of the control socket: status for anyone, changes for root and the group `hawser`.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/control/messages.h"
#include "common/control/status_json.h"
#include "platform/control_socket.h"
#include "platform/loop.h"

namespace hawser::server {

class Control {
 public:
  struct Handlers {
    // Calls back with the report, at once or (the workers' numbers come from their threads) a little later.
    std::function<void(std::function<void(const ServerStatusReport&)>)> status;
    std::function<Status()> reload;
    std::function<void(const std::string& user)> users_changed;
  };

  // Listens at `path`; the caller holds the instance's lock.
  static Result<std::unique_ptr<Control>> open(EventLoop& loop, const std::string& path, Handlers handlers);

 private:
  explicit Control(Handlers handlers) : handlers_(std::move(handlers)) {}
  void answer(ControlServer::ClientId client, const ControlPeer& peer, std::string_view line);
  void reply(ControlServer::ClientId client, std::string text);

  Handlers handlers_;
  std::unique_ptr<ControlServer> server_;
};

}  // namespace hawser::server
