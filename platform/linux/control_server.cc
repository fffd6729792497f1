// The listening end of the control socket, inside the event loop.
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "platform/control_socket.h"
#include "platform/files.h"
#include "platform/linux/oserror.h"
#include "platform/linux/unix_address.h"

namespace hawser {
namespace {

constexpr char kGroup[] = "hawser";

std::optional<gid_t> control_group() {
  group entry{};
  group* found = nullptr;
  std::vector<char> buffer(16384);
  if (::getgrnam_r(kGroup, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return entry.gr_gid;
}

// The supplementary groups the peer had when it connected, from the kernel: not from a user database that may differ.
bool may_change(int fd, const ucred& peer) {
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  const std::optional<gid_t> allowed = control_group();
  if (!allowed) return false;
  std::vector<gid_t> groups(64);
  auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) {
    if (errno != ERANGE) return false;
    groups.resize(length / sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) return false;
  }
  groups.resize(length / sizeof(gid_t));
  groups.push_back(peer.gid);
  return std::find(groups.begin(), groups.end(), *allowed) != groups.end();
}

class Server final : public ControlServer {
 public:
  Server(EventLoop& loop, std::string path, UniqueFd fd, RequestHandler on_request, Limits limits)
      : loop_(loop), path_(std::move(path)), fd_(std::move(fd)), on_request_(std::move(on_request)), limits_(limits) {
    watch_ = loop_.watch_fd(fd_.get(), Interest::read, [this](EventLoop::Ready) { accept_all(); });
  }

  ~Server() override { ::unlink(path_.c_str()); }

  bool send(ClientId id, std::string_view line) override {
    const auto found = clients_.find(id);
    if (found == clients_.end() || found->second.closing) return false;
    Client& client = found->second;
    if (client.out.size() + line.size() > limits_.backlog_bytes) {
      drop_later(id);
      return false;
    }
    client.out.append(line);
    client.out += '\n';
    flush(id);
    return clients_.contains(id);
  }

  void close(ClientId id) override {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    found->second.closing = true;
    flush(id);
  }

  void on_disconnect(std::function<void(ClientId)> callback) override { on_disconnect_ = std::move(callback); }
  size_t client_count() const override { return clients_.size(); }

 private:
  struct Client {
    UniqueFd fd;
    ControlPeer peer;
    std::string in, out;
    bool closing = false;  // ends when `out` is empty
    EventLoop::FdWatch watch;
  };

  void accept_all() {
    for (;;) {
      UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) return;
      if (clients_.size() >= limits_.clients) continue;  // closed at once: a crowd must not starve the daemon
      ucred credentials{};
      socklen_t length = sizeof credentials;
      if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) continue;
      const ClientId id = ++last_id_;
      Client& client = clients_[id];
      client.peer = {credentials.uid, credentials.gid, credentials.pid, may_change(fd.get(), credentials)};
      client.watch = loop_.watch_fd(fd.get(), Interest::read, [this, id](EventLoop::Ready ready) { serve(id, ready); });
      client.fd = std::move(fd);
    }
  }

  void serve(ClientId id, EventLoop::Ready ready) {
    if (ready.writable) flush(id);
    if (!ready.readable) return;
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    char buffer[16384];
    const ssize_t n = ::recv(found->second.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return drop(id);
    found->second.in.append(buffer, static_cast<size_t>(n));
    // The handler may answer, close, and so end the client: looked up anew for each line.
    for (;;) {
      const auto client = clients_.find(id);
      if (client == clients_.end() || client->second.closing) return;
      std::string& in = client->second.in;
      const size_t end = in.find('\n');
      if (end == std::string::npos) {
        if (in.size() > limits_.request_bytes) drop(id);
        return;
      }
      if (end > limits_.request_bytes) return drop(id);
      const std::string line = in.substr(0, end);
      in.erase(0, end + 1);
      const ControlPeer peer = client->second.peer;
      on_request_(id, peer, line);
    }
  }

  void flush(ClientId id) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    Client& client = found->second;
    while (!client.out.empty()) {
      const ssize_t n = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n <= 0) return drop_later(id);
      client.out.erase(0, static_cast<size_t>(n));
    }
    if (client.out.empty() && client.closing) return drop_later(id);
    client.watch.set_interest(client.out.empty() ? Interest::read : Interest::read_write);
  }

  // Outside of serve(): shutting down makes the socket readable with its end, and serve() drops it in the next turn. So
  // a caller that walks over its subscribers and sends to each is never called back in between.
  void drop_later(ClientId id) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    found->second.closing = true;
    found->second.out.clear();
    ::shutdown(found->second.fd.get(), SHUT_RDWR);
    found->second.watch.set_interest(Interest::read);
  }

  void drop(ClientId id) {
    if (clients_.erase(id) != 0 && on_disconnect_) on_disconnect_(id);
  }

  EventLoop& loop_;
  std::string path_;
  UniqueFd fd_;
  RequestHandler on_request_;
  Limits limits_;
  std::function<void(ClientId)> on_disconnect_;
  std::map<ClientId, Client> clients_;
  ClientId last_id_ = 0;
  EventLoop::FdWatch watch_;
};

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::create(EventLoop& loop, const std::string& path,
                                                             RequestHandler on_request) {
  return create(loop, path, std::move(on_request), Limits{});
}

Result<std::unique_ptr<ControlServer>> ControlServer::create(EventLoop& loop, const std::string& path,
                                                             RequestHandler on_request, Limits limits) {
  if (Status made = make_directories(parent_directory(path), 0755); !made) return made.error();
  Result<UnixAddress> address = UnixAddress::of(path);
  if (!address) return address.error();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return os_error(ExitCode::unexpected, "cannot make a control socket", errno);
  ::unlink(path.c_str());
  if (::bind(fd.get(), address->get(), address->length()) != 0) {
    return os_error(ExitCode::system_integration, "cannot make the control socket " + path, errno);
  }
  // Anyone may ask; what one may change is decided by the peer's credentials.
  if (::chmod(path.c_str(), 0666) != 0 || ::listen(fd.get(), 64) != 0) {
    return os_error(ExitCode::system_integration, "cannot listen on the control socket " + path, errno);
  }
  return std::unique_ptr<ControlServer>(
      std::make_unique<Server>(loop, path, std::move(fd), std::move(on_request), limits));
}

}  // namespace hawser
