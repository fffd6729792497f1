// The client's first line says who sends, for how long and with which congestion control; the receiver of the data
// measures.
#include "tests/netlab/probe/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "tests/netlab/probe/measure.h"

namespace hawser::netlab {
namespace {

constexpr size_t kChunk = 128 * 1024;
constexpr Duration kBin = Duration::millis(100);
// What the sender's buffers still hold at the end may take this long to arrive; a report does not wait any longer.
constexpr double kDrainSeconds = 10;

// What a receiver saw: times of arrivals in bins, and silence.
class Meter {
 public:
  Meter(Time start, double skip_seconds) : start_(start), skip_(Duration::from_seconds(skip_seconds)), last_(start) {}

  void add(size_t bytes, Time now) {
    auto bin = static_cast<size_t>((now - start_).ns / kBin.ns);
    if (bin >= bins_.size()) bins_.resize(bin + 1);
    bins_[bin] += bytes;
    note_silence(now);
    total_ += bytes;
    last_ = now;
  }

  // Until the first byte nobody stalls: the handshake is still under way. Silence after the last byte is none either,
  // unless the sender still wanted to send (`sending_until`).
  void finish(Time sending_until) {
    if (sending_until > last_) note_silence(sending_until);
  }

  std::string json(const std::string& congestion) const {
    Duration measured = last_ - start_ - skip_;
    auto skipped = static_cast<size_t>(skip_.ns / kBin.ns);
    uint64_t counted = 0;
    for (size_t i = skipped; i < bins_.size(); ++i) counted += bins_[i];
    JsonLine line;
    line.add("goodput_bps", measured.ns > 0 ? static_cast<double>(counted) * 8 / measured.to_seconds() : 0);
    line.add("bytes", static_cast<double>(total_)).add("seconds", (last_ - start_).to_seconds(), 3);
    line.add("stall_ms", stall_.to_millis(), 3).add("stall_at_s", (stall_start_ - start_).to_seconds(), 3);
    std::string series = "[";
    for (uint64_t bytes : bins_) series.append(series.size() > 1 ? "," : "").append(std::to_string(bytes * 80));
    std::string quoted = "\"";
    quoted.append(congestion).append("\"");
    return line.add_raw("congestion", quoted).add_raw("bps_per_100ms", series.append("]")).text();
  }

 private:
  void note_silence(Time now) {
    if (total_ == 0 || now - last_ <= stall_) return;
    stall_ = now - last_;
    stall_start_ = last_;
  }

  Time start_;
  Duration skip_;
  Time last_;
  Duration stall_;
  Time stall_start_;
  uint64_t total_ = 0;
  std::vector<uint64_t> bins_;
};

struct Request {
  bool upload = false;
  double seconds = 0;
  double skip_seconds = 0;
  std::string congestion;
};

Status choose_congestion(int fd, const std::string& name) {
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.c_str(), static_cast<socklen_t>(name.size()));
  char got[32] = {};
  socklen_t length = sizeof got - 1;
  getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, got, &length);
  if (name == got) return Done{};
  return Error{ExitCode::system_integration,
               "congestion control \"" + name + "\" is not to be had here (the kernel gives \"" + got + "\")"};
}

bool write_all(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    ssize_t n = send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

// Byte by byte, because data may follow at once.
std::string read_line(int fd) {
  std::string line;
  char c;
  while (line.size() < 65536 && recv(fd, &c, 1, 0) == 1 && c != '\n') line += c;
  return line;
}

// Sends for the given time, then ends the direction. False when the connection broke.
bool send_data(int fd, double seconds) {
  std::vector<char> chunk(kChunk, 'h');
  const Time until = wall_now() + Duration::from_seconds(seconds);
  while (true) {
    Duration left = until - wall_now();
    if (left.ns <= 0) return shutdown(fd, SHUT_WR) == 0;
    pollfd entry{fd, POLLOUT, 0};
    if (poll(&entry, 1, static_cast<int>(left.to_millis()) + 1) <= 0) continue;
    ssize_t n = send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
  }
}

// Receives until the sender ends or `limit` has passed, whichever is first.
void receive_data(int fd, Time limit, const std::function<void(size_t, Time)>& on_bytes) {
  std::vector<char> chunk(kChunk);
  while (true) {
    Duration left = limit - wall_now();
    pollfd entry{fd, POLLIN, 0};
    if (left.ns <= 0 || poll(&entry, 1, static_cast<int>(left.to_millis()) + 1) <= 0) return;
    ssize_t n = recv(fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return;
    if (n > 0) on_bytes(static_cast<size_t>(n), wall_now());
  }
}

void serve_one(Socket socket) {
  Request request;
  char congestion[32] = {}, direction[8] = {};
  std::string line = read_line(socket.fd());
  if (sscanf(line.c_str(), "%7s %lf %lf %31s", direction, &request.seconds, &request.skip_seconds, congestion) != 4)
    return;
  request.upload = strcmp(direction, "up") == 0;
  Status status = choose_congestion(socket.fd(), congestion);
  if (!write_all(socket.fd(), status ? "ok\n" : status.error().message + "\n") || !status) return;
  if (!request.upload) {
    send_data(socket.fd(), request.seconds);
    // Hold the connection until the other side has everything.
    receive_data(socket.fd(), wall_now() + Duration::from_seconds(kDrainSeconds), [](size_t, Time) {});
    return;
  }
  Time start = wall_now();
  Meter meter(start, request.skip_seconds);
  Time until = start + Duration::from_seconds(request.seconds);
  receive_data(socket.fd(), until + Duration::from_seconds(kDrainSeconds),
               [&](size_t n, Time now) { meter.add(n, now); });
  meter.finish(until);
  write_all(socket.fd(), meter.json(congestion) + "\n");
}

Result<Socket> connect_and_ask(const TcpOptions& options) {
  auto to = endpoint(options.address, options.port);
  if (!to) return to.error();
  Socket socket(::socket(to->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!options.device.empty()) {
    setsockopt(socket.fd(), SOL_SOCKET, SO_BINDTODEVICE, options.device.c_str(),
               static_cast<socklen_t>(options.device.size()));
  }
  if (Status status = choose_congestion(socket.fd(), options.congestion); !status) return status.error();
  if (connect(socket.fd(), to->get(), to->length) < 0) {
    return Error{ExitCode::no_answer,
                 options.address + " port " + std::to_string(options.port) + ": " + strerror(errno)};
  }
  char line[128];
  snprintf(line, sizeof line, "%s %f %f %s\n", options.upload ? "up" : "down", options.seconds, options.skip_seconds,
           options.congestion.c_str());
  std::string answer = write_all(socket.fd(), line) ? read_line(socket.fd()) : "";
  if (answer != "ok") return Error{ExitCode::unexpected, "the server says: " + (answer.empty() ? "nothing" : answer)};
  return socket;
}

Status write_trace(const std::string& path, const std::string& json) {
  if (path.empty()) return Done{};
  FILE* file = fopen(path.c_str(), "w");
  if (file == nullptr) return Error{ExitCode::unexpected, path + ": cannot write: " + strerror(errno)};
  size_t at = json.find("\"bps_per_100ms\":[");
  const char* position = at == std::string::npos ? "" : json.c_str() + at + 17;
  for (int bin = 0; *position != '\0' && *position != ']'; ++bin) {
    char* end = nullptr;
    double bps = strtod(position, &end);
    if (end == position) break;
    fprintf(file, "%.1f %.0f\n", bin * 0.1, bps);
    position = *end == ',' ? end + 1 : end;
  }
  fclose(file);
  return Done{};
}

// Streams of one download share one meter; of uploads each server side reports for its own connection.
Status run_downloads(const TcpOptions& options, std::vector<Socket>& sockets, std::string& json) {
  Time start = wall_now();
  Meter meter(start, options.skip_seconds);
  std::mutex mutex;
  std::vector<std::thread> threads;
  Time until = start + Duration::from_seconds(options.seconds);
  for (Socket& socket : sockets) {
    threads.emplace_back([&, fd = socket.fd()] {
      receive_data(fd, until + Duration::from_seconds(kDrainSeconds), [&](size_t n, Time now) {
        std::lock_guard lock(mutex);
        meter.add(n, now);
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  meter.finish(until);
  json = meter.json(options.congestion);
  return Done{};
}

}  // namespace

Status tcp_serve(const TcpOptions& options) {
  auto local = endpoint(options.address, options.port);
  if (!local) return local.error();
  Socket listener(::socket(local->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener.fd(), local->get(), local->length) < 0 || listen(listener.fd(), 64) < 0) {
    return Error{ExitCode::system_integration, "TCP port " + std::to_string(options.port) + ": " + strerror(errno)};
  }
  while (true) {
    Socket accepted(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (accepted.fd() >= 0)
      std::thread([](Socket socket) { serve_one(std::move(socket)); }, std::move(accepted)).detach();
  }
}

Status tcp_run(const TcpOptions& options) {
  std::vector<Socket> sockets;
  for (unsigned i = 0; i < options.streams; ++i) {
    auto socket = connect_and_ask(options);
    if (!socket) return socket.error();
    sockets.push_back(std::move(*socket));
  }
  std::string json;
  if (!options.upload) {
    if (Status status = run_downloads(options, sockets, json); !status) return status;
    printf("%s\n", json.c_str());
    return write_trace(options.trace, json);
  }
  std::vector<std::thread> threads;
  for (Socket& socket : sockets) threads.emplace_back([&, fd = socket.fd()] { send_data(fd, options.seconds); });
  for (std::thread& thread : threads) thread.join();
  for (Socket& socket : sockets) {
    timeval limit{static_cast<time_t>(2 * kDrainSeconds), 0};
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    json = read_line(socket.fd());
    if (json.empty()) return Error{ExitCode::unexpected, "the connection broke: no report from the server"};
    printf("%s\n", json.c_str());
  }
  return write_trace(options.trace, json);
}

}  // namespace hawser::netlab
