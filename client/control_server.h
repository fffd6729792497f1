// The client daemon's side of the control socket: status, down, set.
#pragma once

#include <memory>
#include <string>

#include "platform/control_socket.h"

namespace hawser::client {

class Daemon;

class ControlSocket {
 public:
  // The daemon and the loop outlive it.
  static Result<std::unique_ptr<ControlSocket>> create(EventLoop& loop, const std::string& path, Daemon& daemon);

 private:
  explicit ControlSocket(Daemon& daemon) : daemon_(daemon) {}
  std::string answer(const ControlPeer& peer, std::string_view line);

  Daemon& daemon_;
  std::unique_ptr<ControlServer> server_;
};

}  // namespace hawser::client
