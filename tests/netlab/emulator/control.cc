// Unix stream sockets, small requests; answers are written blocking because they are short and the asker waits.
#include "tests/netlab/emulator/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace hawser::netlab {
namespace {

constexpr size_t kLongestCommand = 4096;
constexpr size_t kMostClients = 16;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error{ExitCode::usage, path + ": longer than a socket's path may be; choose a shorter folder"};
  }
  memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

bool write_all(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    ssize_t n = ::send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

ControlServer::~ControlServer() {
  for (const Client& client : clients_) close(client.fd);
  if (listener_ >= 0) {
    close(listener_);
    unlink(path_.c_str());
  }
}

Status ControlServer::listen(const std::string& path) {
  auto address = address_of(path);
  if (!address) return address.error();
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  path_ = path;
  unlink(path.c_str());
  if (listener_ < 0 || bind(listener_, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0 ||
      ::listen(listener_, 8) < 0) {
    return Error{ExitCode::system_integration, path + ": cannot listen: " + strerror(errno)};
  }
  return Done{};
}

void ControlServer::add_poll(std::vector<pollfd>& polls) const {
  if (listener_ >= 0) polls.push_back({listener_, POLLIN, 0});
  for (const Client& client : clients_) polls.push_back({client.fd, POLLIN, 0});
}

void ControlServer::on_poll(const pollfd* polls, size_t count) {
  if (count == 0) return;
  std::vector<Client> remaining;
  for (size_t i = 0; i < clients_.size(); ++i) {
    bool ready = i + 1 < count && polls[i + 1].revents != 0;
    if (!ready || serve(clients_[i])) {
      remaining.push_back(std::move(clients_[i]));
    } else {
      close(clients_[i].fd);
    }
  }
  clients_ = std::move(remaining);
  if (polls[0].revents != 0) {
    int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0 && clients_.size() < kMostClients) {
      clients_.push_back({fd, {}});
    } else if (fd >= 0) {
      close(fd);
    }
  }
}

// False when the client is gone or talks nonsense.
bool ControlServer::serve(Client& client) {
  char buffer[1024];
  ssize_t n = recv(client.fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  client.input.append(buffer, static_cast<size_t>(n));
  size_t end;
  while ((end = client.input.find('\n')) != std::string::npos) {
    std::string command = client.input.substr(0, end);
    client.input.erase(0, end + 1);
    if (!write_all(client.fd, handler_(command) + "\n")) return false;
  }
  return client.input.size() <= kLongestCommand;
}

Result<std::string> control_request(const std::string& path, const std::string& command) {
  auto address = address_of(path);
  if (!address) return address.error();
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int tries = 0;
  while (connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0) {
    if ((errno != ENOENT && errno != ECONNREFUSED) || ++tries > 300) {
      close(fd);
      return Error{ExitCode::not_running, path + ": no emulator answers: " + strerror(errno)};
    }
    timespec pause{0, 10'000'000};
    nanosleep(&pause, nullptr);
  }
  std::string answer;
  if (write_all(fd, command + "\n")) {
    char buffer[4096];
    ssize_t n;
    while (answer.find('\n') == std::string::npos && (n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
      answer.append(buffer, static_cast<size_t>(n));
    }
  }
  close(fd);
  size_t end = answer.find('\n');
  if (end == std::string::npos) return Error{ExitCode::unexpected, path + ": the emulator closed without an answer"};
  return answer.substr(0, end);
}

}  // namespace hawser::netlab
