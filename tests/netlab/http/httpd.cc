// hawser-httpd DIR PORT [ADDRESS]: serves files over HTTP/1.1, with Range, Content-Length and keep-alive; for tests
// only. One thread per connection. GET and HEAD; names with ".." are refused; directories have no listing.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>

namespace {

std::string g_root;

struct Range {
  off_t first = 0;
  off_t last = 0;  // inclusive
};

struct Request {
  std::string method;
  std::string path;
  std::string range;
  bool keep_alive = true;
};

bool write_all(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    ssize_t n = send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

// The value of a header, compared without regard to case; empty when absent.
std::string header(const std::string& head, const char* name) {
  const size_t length = strlen(name);
  for (size_t line = head.find("\r\n"); line != std::string::npos; line = head.find("\r\n", line + 2)) {
    const char* start = head.c_str() + line + 2;
    if (strncasecmp(start, name, length) != 0 || start[length] != ':') continue;
    size_t value = head.find_first_not_of(" \t", line + 2 + length + 1);
    return head.substr(value, head.find("\r\n", value) - value);
  }
  return {};
}

// Reads one request's head; what follows it stays in `input` for the next one.
std::optional<Request> read_request(int fd, std::string& input) {
  size_t end;
  while ((end = input.find("\r\n\r\n")) == std::string::npos) {
    char buffer[4096];
    ssize_t n = input.size() > 65536 ? 0 : recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return std::nullopt;
    input.append(buffer, static_cast<size_t>(n));
  }
  std::string head = input.substr(0, end + 2);
  input.erase(0, end + 4);
  size_t first = head.find(' ');
  size_t second = head.find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos) return std::nullopt;
  Request request;
  request.method = head.substr(0, first);
  request.path = head.substr(first + 1, second - first - 1);
  request.path.resize(std::min(request.path.find('?'), request.path.size()));
  request.range = header(head, "Range");
  const bool old = head.compare(second + 1, 8, "HTTP/1.0") == 0;
  const std::string connection = header(head, "Connection");
  request.keep_alive =
      old ? strcasecmp(connection.c_str(), "keep-alive") == 0 : strcasecmp(connection.c_str(), "close") != 0;
  return request;
}

// One range of bytes (RFC 9110, section 14.1.2). Nothing: not satisfiable.
std::optional<Range> parse_range(const std::string& text, off_t size) {
  long long first = -1, last = -1;
  if (sscanf(text.c_str(), "bytes=%lld-%lld", &first, &last) < 1) return std::nullopt;
  if (first < 0) {  // "bytes=-500": the last 500
    first = std::max<long long>(size + first, 0);
    last = size - 1;
  }
  if (last < 0 || last >= size) last = size - 1;
  if (first > last) return std::nullopt;
  return Range{static_cast<off_t>(first), static_cast<off_t>(last)};
}

bool answer_error(int fd, const char* status, const std::string& extra = {}) {
  return write_all(fd, std::string("HTTP/1.1 ") + status + "\r\n" + extra + "Content-Length: 0\r\n\r\n");
}

bool send_body(int fd, int file, Range range) {
  off_t at = range.first;
  while (at <= range.last) {
    if (sendfile(fd, file, &at, static_cast<size_t>(std::min<off_t>(range.last - at + 1, 1 << 20))) <= 0) return false;
  }
  return true;
}

// False when the connection is of no more use.
bool answer(int fd, const Request& request) {
  if (request.method != "GET" && request.method != "HEAD")
    return answer_error(fd, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
  if (request.path.empty() || request.path[0] != '/' || request.path.find("..") != std::string::npos) {
    return answer_error(fd, "400 Bad Request");
  }
  int file = open((g_root + request.path).c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file < 0 || fstat(file, &info) < 0 || !S_ISREG(info.st_mode)) {
    if (file >= 0) close(file);
    return answer_error(fd, "404 Not Found");
  }
  std::string head = "HTTP/1.1 200 OK\r\n";
  Range range{0, info.st_size - 1};
  bool good = true;
  if (!request.range.empty()) {
    auto wanted = parse_range(request.range, info.st_size);
    const std::string of = "/" + std::to_string(info.st_size) + "\r\n";
    if (!wanted) {
      close(file);
      return answer_error(fd, "416 Range Not Satisfiable", "Content-Range: bytes *" + of);
    }
    range = *wanted;
    head = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + std::to_string(range.first) + "-" +
           std::to_string(range.last) + of;
  }
  head += "Accept-Ranges: bytes\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
          std::to_string(range.last - range.first + 1) + "\r\n\r\n";
  good = write_all(fd, head) && (request.method == "HEAD" || send_body(fd, file, range));
  close(file);
  return good;
}

void serve(int fd) {
  std::string input;
  while (auto request = read_request(fd, input)) {
    if (!answer(fd, *request) || !request->keep_alive) break;
  }
  close(fd);
}

bool parse_address(const std::string& text, in6_addr& address) {
  return inet_pton(AF_INET6, text.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, ("::ffff:" + text).c_str(), &address) == 1;
}

int fail(const std::string& what) {
  fprintf(stderr, "hawser-httpd: %s: %s\n", what.c_str(), strerror(errno));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  int port = argc == 3 || argc == 4 ? atoi(argv[2]) : 0;
  sockaddr_in6 address{};  // any address, IPv4 mapped in
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<uint16_t>(port));
  if (port < 1 || port > 65535 || (argc == 4 && !parse_address(argv[3], address.sin6_addr))) {
    fprintf(stderr, "usage: hawser-httpd DIR PORT [ADDRESS]\n");
    return 2;
  }
  g_root = argv[1];
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || listen(listener, 128) < 0) {
    return fail("port " + std::string(argv[2]));
  }
  while (true) {
    int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) std::thread(serve, fd).detach();
  }
}
