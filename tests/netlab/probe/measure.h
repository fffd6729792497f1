// What the probe's modes share: clocks, sockets, percentiles, one line of JSON.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/types.h"

namespace hawser::netlab {

// CLOCK_REALTIME, because the kernel stamps arrivals with it; both ends run on one machine.
Time wall_now();
void sleep_until(Time wall);

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

// Numeric addresses only. An empty address is "any", in IPv6 with IPv4 mapped in.
Result<Endpoint> endpoint(const std::string& address, uint16_t port);

// A descriptor that closes itself.
class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();
  int fd() const { return fd_; }

 private:
  int fd_;
};

Result<Socket> udp_socket(int family, const std::string& device);

// Receives one UDP datagram within `timeout`; `arrival` is the kernel's stamp. Bytes, or -1 when none came.
ssize_t receive_stamped(int fd, void* buffer, size_t size, Duration timeout, Time& arrival, Endpoint* from);

// {"min":..,"mean":..,"p50":..,"p90":..,"p99":..,"p99_9":..,"max":..} in milliseconds; null when empty. Sorts `values`.
std::string json_milliseconds(std::vector<Duration>& values);

// Builds {"name":value,...}.
class JsonLine {
 public:
  JsonLine& add(const char* name, double value, int decimals = 0);
  JsonLine& add_raw(const char* name, const std::string& json);
  std::string text() const { return "{" + body_ + "}"; }

 private:
  std::string body_;
};

}  // namespace hawser::netlab
