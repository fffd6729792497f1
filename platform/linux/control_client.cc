// The asking end of the control socket: blocking, with time-outs.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "platform/clock.h"
#include "platform/control_socket.h"
#include "platform/linux/oserror.h"
#include "platform/linux/unix_address.h"

namespace hawser {
namespace {

constexpr size_t kMaxLine = 16 << 20;  // a server's status with thousands of users

// Waits until `fd` is ready; false after the deadline.
bool wait_for(int fd, short events, Time deadline) {
  for (;;) {
    int milliseconds = -1;
    if (deadline != Time::infinite()) {
      const Duration left = deadline - now();
      if (left.ns <= 0) return false;
      milliseconds = static_cast<int>(std::min<int64_t>(left.ns / 1'000'000 + 1, 1 << 30));
    }
    pollfd wanted{fd, events, 0};
    const int ready = ::poll(&wanted, 1, milliseconds);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Error no_answer() {
  return {ExitCode::unexpected, "the daemon does not answer on its control socket; it may be hung: see its log"};
}

}  // namespace

Result<ControlClient> ControlClient::connect(const std::string& path) {
  const Error not_running{ExitCode::not_running, "not running (nobody listens at " + path + ")"};
  Result<UnixAddress> address = UnixAddress::of(path);
  if (!address) return address.error().code == ExitCode::permission ? address.error() : not_running;
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return os_error(ExitCode::unexpected, "cannot make a socket", errno);
  if (::connect(fd.get(), address->get(), address->length()) == 0) return ControlClient(std::move(fd));
  if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR) return not_running;
  return os_error(ExitCode::unexpected, "cannot connect to " + path, errno);
}

Status ControlClient::send_line(std::string_view line, Duration timeout) {
  const Time deadline = now() + timeout;
  const std::string text = std::string(line) + "\n";
  std::string_view rest = text;
  while (!rest.empty()) {
    if (!wait_for(fd_.get(), POLLOUT, deadline)) return no_answer();
    const ssize_t n = ::send(fd_.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return Error{ExitCode::not_running, "the daemon ended"};
    rest.remove_prefix(static_cast<size_t>(n));
  }
  return Done{};
}

Result<std::string> ControlClient::read_line(Duration timeout) {
  const Time deadline = timeout == Duration::infinite() ? Time::infinite() : now() + timeout;
  size_t searched = 0;
  for (;;) {
    const size_t end = pending_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    searched = pending_.size();
    if (pending_.size() > kMaxLine) return Error{ExitCode::unexpected, "the daemon's answer has no end"};
    if (!wait_for(fd_.get(), POLLIN, deadline)) return no_answer();
    char buffer[65536];
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return Error{ExitCode::not_running, "the daemon closed the connection"};
    pending_.append(buffer, static_cast<size_t>(n));
  }
}

Result<std::string> ControlClient::request(std::string_view line, Duration timeout) {
  if (Status sent = send_line(line, timeout); !sent) return sent.error();
  return read_line(timeout);
}

}  // namespace hawser
