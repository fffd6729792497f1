// Clocks, sockets and numbers for the probe.
#include "tests/netlab/probe/measure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace hawser::netlab {
namespace {

Time from_timespec(const timespec& t) {
  return Time{t.tv_sec * 1'000'000'000 + t.tv_nsec};
}
timespec to_timespec(int64_t ns) {
  return {ns / 1'000'000'000, ns % 1'000'000'000};
}

}  // namespace

Time wall_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return from_timespec(now);
}

void sleep_until(Time wall) {
  timespec until = to_timespec(wall.ns);
  while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr) == EINTR) continue;
}

Result<Endpoint> endpoint(const std::string& address, uint16_t port) {
  Endpoint result;
  if (in6_addr v6{}; address.empty() || inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    in.sin6_addr = v6;
    memcpy(&result.storage, &in, sizeof in);
    result.length = sizeof in;
    return result;
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  if (inet_pton(AF_INET, address.c_str(), &in.sin_addr) != 1) {
    return Error{ExitCode::usage, "\"" + address + "\" is not an IPv4 or IPv6 address"};
  }
  memcpy(&result.storage, &in, sizeof in);
  result.length = sizeof in;
  return result;
}

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

Result<Socket> udp_socket(int family, const std::string& device) {
  Socket socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0)
    return Error{ExitCode::system_integration, std::string("cannot open a UDP socket: ") + strerror(errno)};
  int on = 1;
  int buffer = 4 << 20;
  setsockopt(socket.fd(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  if (!device.empty() &&
      setsockopt(socket.fd(), SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), static_cast<socklen_t>(device.size())) < 0) {
    return Error{ExitCode::system_integration, device + ": cannot bind to it: " + strerror(errno)};
  }
  return socket;
}

ssize_t receive_stamped(int fd, void* buffer, size_t size, Duration timeout, Time& arrival, Endpoint* from) {
  pollfd entry{fd, POLLIN, 0};
  timespec wait = to_timespec(std::max<int64_t>(timeout.ns, 0));
  if (ppoll(&entry, 1, &wait, nullptr) <= 0) return -1;
  iovec piece{buffer, size};
  char control[256];
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (from != nullptr) {
    message.msg_name = &from->storage;
    message.msg_namelen = sizeof from->storage;
  }
  ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
  if (n < 0) return -1;
  if (from != nullptr) from->length = message.msg_namelen;
  arrival = wall_now();
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SO_TIMESTAMPNS) continue;
    timespec stamp{};
    memcpy(&stamp, CMSG_DATA(item), sizeof stamp);
    arrival = from_timespec(stamp);
  }
  return n;
}

std::string json_milliseconds(std::vector<Duration>& values) {
  if (values.empty()) return "null";
  std::sort(values.begin(), values.end());
  double sum = 0;
  for (Duration value : values) sum += value.to_millis();
  auto at = [&](double share) {
    auto index = static_cast<size_t>(share * static_cast<double>(values.size()));
    return values[std::min(index, values.size() - 1)].to_millis();
  };
  JsonLine line;
  line.add("min", values.front().to_millis(), 3).add("mean", sum / static_cast<double>(values.size()), 3);
  line.add("p50", at(0.5), 3).add("p90", at(0.9), 3).add("p99", at(0.99), 3).add("p99_9", at(0.999), 3);
  return line.add("max", values.back().to_millis(), 3).text();
}

JsonLine& JsonLine::add(const char* name, double value, int decimals) {
  char number[64];
  snprintf(number, sizeof number, "%.*f", decimals, value);
  return add_raw(name, number);
}

JsonLine& JsonLine::add_raw(const char* name, const std::string& json) {
  body_ += (body_.empty() ? "\"" : ",\"") + std::string(name) + "\":" + json;
  return *this;
}

}  // namespace hawser::netlab
