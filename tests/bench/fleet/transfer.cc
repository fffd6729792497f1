// Both ends of the transfers: an epoll loop, a large buffer, a turn for each connection that is ready. CUBIC at both
// ends.
#include "tests/bench/fleet/transfer.h"

#include <linux/tcp.h>  // has more than the C library's
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "platform/clock.h"
#include "platform/fd.h"

namespace hawser::bench {
namespace {

constexpr char kUp = 'u', kDown = 'd';  // the first byte of a connection: who sends
constexpr size_t kBuffer = 256 * 1024;

Error failed(const std::string& what) {
  return {ExitCode::unexpected, what + ": " + strerror(errno)};
}

sockaddr_in os_address(const IpAddress& ip, uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  std::copy_n(ip.bytes.begin(), 4, reinterpret_cast<uint8_t*>(&a.sin_addr));
  return a;
}

Result<UniqueFd> tcp_socket(const SocketAddress& bound) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return failed("socket");
  const int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::setsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) != 0) return failed("no CUBIC in this kernel");
  const sockaddr_in address = os_address(bound.ip, bound.port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed("bind to " + bound.to_string());
  return fd;
}

struct Connection {
  UniqueFd fd;
  char direction = 0;  // unknown at the server until the first byte came
  bool sends = false;
  uint64_t received = 0;
  uint64_t at_begin = 0;  // of what counts
  bool started = false;   // client: the first byte went

  // What has arrived at the other end, or here.
  uint64_t progress() const {
    if (!sends) return received;
    tcp_info info{};
    socklen_t length = sizeof info;
    return ::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &length) == 0 ? info.tcpi_bytes_acked : 0;
  }
};

void watch(int epoll, Connection& c, bool add) {
  epoll_event e{};
  e.events = c.sends || !(c.started || c.direction == 0) ? EPOLLOUT : EPOLLIN;
  e.data.ptr = &c;
  ::epoll_ctl(epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, c.fd.get(), &e);
}

// One turn; false when the connection is at its end.
bool turn(Connection& c, std::vector<char>& buffer) {
  const ssize_t n = c.sends ? ::send(c.fd.get(), buffer.data(), buffer.size(), MSG_NOSIGNAL)
                            : ::recv(c.fd.get(), buffer.data(), buffer.size(), 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  if (!c.sends) c.received += static_cast<uint64_t>(n);
  return true;
}

double jain(const std::vector<double>& x) {
  double sum = 0, squares = 0;
  for (double v : x) sum += v, squares += v * v;
  return squares > 0 ? sum * sum / (static_cast<double>(x.size()) * squares) : 0;
}

}  // namespace

Status serve_transfers(const SocketAddress& listen) {
  auto listener = tcp_socket(listen);
  if (!listener) return listener.error();
  if (::listen(listener->get(), 512) != 0) return failed("listen");
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event e{};
  e.events = EPOLLIN;
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener->get(), &e);  // data.ptr null: the listener
  std::vector<char> buffer(kBuffer);
  while (true) {
    epoll_event ready[64];
    const int count = ::epoll_wait(epoll.get(), ready, 64, -1);
    for (int i = 0; i < count; ++i) {
      auto* c = static_cast<Connection*>(ready[i].data.ptr);
      if (c == nullptr) {
        UniqueFd fd(::accept4(listener->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) continue;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
        watch(epoll.get(), *new Connection{std::move(fd)}, true);
        continue;
      }
      bool alive = true;
      if (c->direction == 0) {
        alive = ::recv(c->fd.get(), &c->direction, 1, 0) == 1;
        c->sends = c->direction == kDown;
        if (c->sends) watch(epoll.get(), *c, false);
      } else {
        alive = turn(*c, buffer);
      }
      if (!alive) delete c;  // closing the descriptor takes it out of the epoll
    }
  }
}

Status run_transfers(const TransferOptions& options) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  std::vector<std::unique_ptr<Connection>> connections;
  const sockaddr_in server = os_address(options.server.ip, options.server.port);
  for (const IpAddress& from : options.from) {
    auto fd = tcp_socket({from, 0, 0});
    if (!fd) return fd.error();
    if (::connect(fd->get(), reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 && errno != EINPROGRESS)
      return failed("connect");
    auto c = std::make_unique<Connection>(Connection{std::move(*fd)});
    c->direction = options.upload ? kUp : kDown;
    watch(epoll.get(), *c, true);
    connections.push_back(std::move(c));
  }
  std::vector<char> buffer(kBuffer);
  const Time began = now();
  const Time count_from = began + Duration::from_seconds(options.skip_seconds);
  const Time end = count_from + Duration::from_seconds(options.seconds);
  Time counted_from;
  Time at = began;
  while (at < end) {
    epoll_event ready[64];
    const int count = ::epoll_wait(epoll.get(), ready, 64, 50);
    for (int i = 0; i < count; ++i) {
      auto& c = *static_cast<Connection*>(ready[i].data.ptr);
      if (!c.started) {
        if (::send(c.fd.get(), &c.direction, 1, MSG_NOSIGNAL) != 1) return failed("a connection could not be made");
        c.started = true;
        c.sends = options.upload;
        watch(epoll.get(), c, false);
      } else if (!turn(c, buffer)) {
        return failed("a connection broke");
      }
    }
    at = now();
    if (!counted_from.is_set() && at >= count_from) {
      counted_from = at;
      for (auto& c : connections) c->at_begin = c->progress();
    }
  }
  std::vector<double> rates;
  const double seconds = (at - counted_from).to_seconds();
  for (const auto& c : connections) rates.push_back(static_cast<double>(c->progress() - c->at_begin) * 8 / seconds);
  double sum = 0;
  for (double r : rates) sum += r;
  const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
  std::printf("%s\n", nlohmann::json{{"gbps", sum / 1e9},
                                     {"jain", jain(rates)},
                                     {"least_mbps", *least / 1e6},
                                     {"most_mbps", *most / 1e6},
                                     {"connections", rates.size()}}
                          .dump()
                          .c_str());
  return Done{};
}

}  // namespace hawser::bench
