// Name resolution by a chosen interface: c-ares with its sockets bound to the device. It asks by ares_query() and not by
// ares_getaddrinfo(), which before 1.24 tries the search domains whatever it is told.
#include <ares.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "platform/clock.h"
#include "platform/files.h"
#include "platform/resolve.h"

namespace hawser {
namespace {

constexpr const char* kUplinkServers = "/run/systemd/resolve/resolv.conf";  // those behind systemd-resolved's 127.0.0.53
constexpr int kTimeoutMs = 1000;                                            // of a server's first answer
constexpr int kTries = 2;
constexpr Duration kMost = Duration::seconds(5);
constexpr Duration kOtherFamily = Duration::millis(300);  // once one family has been answered

class Questions {
 public:
  explicit Questions(const std::string& interface) : interface_(interface) {}
  Questions(const Questions&) = delete;
  Questions& operator=(const Questions&) = delete;
  ~Questions() { close(); }

  // False when this machine's configuration names no server that another machine is.
  bool open() {
    return (open(nullptr) && asks_others()) ||
           (file_exists(kUplinkServers) && open(kUplinkServers) && asks_others());
  }

  void ask(const std::string& host) {
    for (Family& f : families_) {
      f.pending = true;
      ares_query(channel_, host.c_str(), ns_c_in, f.type, f.answered, &f);
    }
  }

  // Until both families have an answer, or enough has been waited.
  void wait() {
    Time end = now() + kMost;
    bool any = false;
    while (pending() && now() < end) {
      poll_once(end - now());
      if (any || !answered()) continue;
      any = true;
      end = std::min(end, now() + kOtherFamily);
    }
  }

  // IPv4 and IPv6 in turn.
  std::vector<IpAddress> addresses() const {
    std::vector<IpAddress> all;
    for (size_t i = 0; i < kMaxResolvedBy; ++i) {
      for (const Family& f : families_) {
        if (i < f.addresses.size() && all.size() < kMaxResolvedBy) all.push_back(f.addresses[i]);
      }
    }
    return all;
  }

 private:
  struct Family {
    ns_type type;
    ares_callback answered;
    bool pending = false;
    std::vector<IpAddress> addresses;
  };

  bool pending() const {
    return std::any_of(families_.begin(), families_.end(), [](const Family& f) { return f.pending; });
  }
  bool answered() const {
    return std::any_of(families_.begin(), families_.end(), [](const Family& f) { return !f.addresses.empty(); });
  }

  void poll_once(Duration most) {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    const int bits = ares_getsock(channel_, sockets.data(), static_cast<int>(sockets.size()));
    std::array<pollfd, ARES_GETSOCK_MAXNUM> fds{};
    nfds_t count = 0;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      const int events = (ARES_GETSOCK_READABLE(bits, i) ? POLLIN : 0) | (ARES_GETSOCK_WRITABLE(bits, i) ? POLLOUT : 0);
      if (events != 0) fds[count++] = {sockets[static_cast<size_t>(i)], static_cast<short>(events), 0};
    }
    timeval longest{.tv_sec = most.ns / 1'000'000'000, .tv_usec = most.ns % 1'000'000'000 / 1000};
    timeval room{};
    const timeval* next = ares_timeout(channel_, &longest, &room);
    ::poll(fds.data(), count, static_cast<int>(next->tv_sec * 1000 + next->tv_usec / 1000 + 1));
    for (nfds_t i = 0; i < count; ++i) {
      const bool readable = (fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool writable = (fds[i].revents & POLLOUT) != 0;
      ares_process_fd(channel_, readable ? fds[i].fd : ARES_SOCKET_BAD, writable ? fds[i].fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // its timeouts
  }

  bool open(const char* file) {
    close();
    ares_options options{};
    std::string path = file != nullptr ? file : "";
    options.timeout = kTimeoutMs;
    options.tries = kTries;
    options.resolvconf_path = path.data();
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | (file != nullptr ? ARES_OPT_RESOLVCONF : 0);
    if (ares_init_options(&channel_, &options, mask) != ARES_SUCCESS) return false;
    ares_set_socket_configure_callback(channel_, &Questions::bind, this);
    return true;
  }

  void close() {
    if (channel_ != nullptr) ares_destroy(channel_);
    channel_ = nullptr;
  }

  // Whether another machine is among the servers. c-ares takes 127.0.0.1 where none is configured.
  bool asks_others() const {
    ares_addr_node* servers = nullptr;
    if (ares_get_servers(channel_, &servers) != ARES_SUCCESS) return false;
    bool others = false;
    for (const ares_addr_node* s = servers; s != nullptr; s = s->next) {
      const ByteSpan bytes(reinterpret_cast<const uint8_t*>(&s->addr), s->family == AF_INET6 ? 16 : 4);
      others = others || !(s->family == AF_INET6 ? IpAddress::v6(bytes) : IpAddress::v4(bytes)).is_loopback();
    }
    ares_free_data(servers);
    return others;
  }

  // A socket that cannot be bound is not used: its question would take another way.
  static int bind(ares_socket_t fd, int, void* self) {
    const std::string& name = static_cast<Questions*>(self)->interface_;
    return ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.c_str(), static_cast<socklen_t>(name.size())) == 0 ? 0 : -1;
  }

  // Also when the channel is closed with the question open; then without an answer.
  static void answered_v4(void* family, int status, int, unsigned char* data, int size) {
    hostent* host = nullptr;
    if (status == ARES_SUCCESS) ares_parse_a_reply(data, size, &host, nullptr, nullptr);
    take(*static_cast<Family*>(family), host);
  }
  static void answered_v6(void* family, int status, int, unsigned char* data, int size) {
    hostent* host = nullptr;
    if (status == ARES_SUCCESS) ares_parse_aaaa_reply(data, size, &host, nullptr, nullptr);
    take(*static_cast<Family*>(family), host);
  }
  static void take(Family& f, hostent* host) {
    f.pending = false;
    if (host == nullptr) return;
    for (char** a = host->h_addr_list; *a != nullptr && f.addresses.size() < kMaxResolvedBy; ++a) {
      const ByteSpan bytes(reinterpret_cast<const uint8_t*>(*a), static_cast<size_t>(host->h_length));
      f.addresses.push_back(f.type == ns_t_a ? IpAddress::v4(bytes) : IpAddress::v6(bytes));
    }
    ares_free_hostent(host);
  }

  const std::string interface_;
  ares_channel channel_ = nullptr;
  std::array<Family, 2> families_{
      {{ns_t_a, &Questions::answered_v4, false, {}}, {ns_t_aaaa, &Questions::answered_v6, false, {}}}};
};

}  // namespace

Result<std::vector<IpAddress>> resolve_by(const std::string& host, const std::string& interface) {
  if (const std::optional<IpAddress> address = IpAddress::parse(host)) return std::vector<IpAddress>{*address};
  static std::once_flag once;
  std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
  Questions questions(interface);
  if (!questions.open()) return Error{ExitCode::unexpected, "no resolver can be asked by " + interface};
  questions.ask(host);
  questions.wait();
  std::vector<IpAddress> found = questions.addresses();
  if (found.empty()) return Error{ExitCode::no_answer, interface + ": no resolver names an address of " + host};
  return found;
}

}  // namespace hawser
