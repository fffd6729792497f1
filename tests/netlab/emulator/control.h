// The control socket: one command per line, one line of answer. "ok", "error: ..." or a value.
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <vector>

#include "common/result.h"

namespace hawser::netlab {

class ControlServer {
 public:
  // Answers one command, without the newline.
  using Handler = std::function<std::string(const std::string&)>;

  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  explicit ControlServer(Handler handler) : handler_(std::move(handler)) {}
  ~ControlServer();

  // Listens at `path`, replacing a socket left by a dead process.
  Status listen(const std::string& path);
  // Appends what to poll; on_poll gets the same entries back.
  void add_poll(std::vector<pollfd>& polls) const;
  void on_poll(const pollfd* polls, size_t count);

 private:
  struct Client {
    int fd;
    std::string input;
  };
  bool serve(Client& client);

  Handler handler_;
  int listener_ = -1;
  std::string path_;
  std::vector<Client> clients_;
};

// Sends one command to a running emulator, waiting up to three seconds for it to appear, and returns the answer.
Result<std::string> control_request(const std::string& path, const std::string& command);

}  // namespace hawser::netlab
