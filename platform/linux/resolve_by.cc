// Name resolution by chosen interfaces: c-ares with its sockets bound to a device.
#include <ares.h>
#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <mutex>

#include "platform/clock.h"
#include "platform/files.h"
#include "platform/linux/sockaddr.h"
#include "platform/resolve.h"

namespace hawser {
namespace {

constexpr const char* kUplinkServers = "/run/systemd/resolve/resolv.conf";  // those behind systemd-resolved's 127.0.0.53
constexpr int kTimeoutMs = 1000;                                            // of a server's first answer
constexpr int kTries = 2;
constexpr Duration kMost = Duration::seconds(5);
constexpr Duration kOthers = Duration::millis(300);  // for the other interfaces once one has answered

// One interface's question.
class Question {
 public:
  Question() = default;
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;
  ~Question() {
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  // False when this machine's configuration names no server that can be asked by an interface.
  bool ask(const std::string& host, const std::string& interface) {
    if (!(open(nullptr) && asks_others()) && !(file_exists(kUplinkServers) && open(kUplinkServers) && asks_others()))
      return false;
    ares_set_local_dev(channel_, interface.c_str());
    ares_addrinfo_hints hints{};
    hints.ai_flags = ARES_AI_NOSORT;
    hints.ai_socktype = SOCK_DGRAM;
    pending_ = true;
    ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &Question::answered, this);
    return true;
  }

  bool pending() const { return pending_; }
  const std::vector<IpAddress>& addresses() const { return addresses_; }

  // Adds what is to be polled for.
  void add_to(std::vector<pollfd>& fds) const {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    const int bits = ares_getsock(channel_, sockets.data(), static_cast<int>(sockets.size()));
    for (size_t i = 0; i < sockets.size(); ++i) {
      const auto n = static_cast<int>(i);
      const short events = static_cast<short>((ARES_GETSOCK_READABLE(bits, n) ? POLLIN : 0) |
                                              (ARES_GETSOCK_WRITABLE(bits, n) ? POLLOUT : 0));
      if (events != 0) fds.push_back({sockets[i], events, 0});
    }
  }

  Duration until_timeout(Duration most) const {
    timeval longest{.tv_sec = most.ns / 1'000'000'000, .tv_usec = most.ns % 1'000'000'000 / 1000};
    timeval room{};
    const timeval* next = ares_timeout(channel_, &longest, &room);
    return Duration::seconds(next->tv_sec) + Duration::micros(next->tv_usec);
  }

  void process(const std::vector<pollfd>& ready) {
    for (const pollfd& fd : ready) {
      const bool trouble = (fd.revents & (POLLERR | POLLHUP)) != 0;
      ares_process_fd(channel_, (fd.revents & POLLIN) != 0 || trouble ? fd.fd : ARES_SOCKET_BAD,
                      (fd.revents & POLLOUT) != 0 ? fd.fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // its timeouts
  }

 private:
  bool open(const char* file) {
    if (channel_ != nullptr) ares_destroy(channel_);
    channel_ = nullptr;
    ares_options options{};
    std::string path = file != nullptr ? file : "";
    char lookups[] = "b";  // DNS only
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
    options.timeout = kTimeoutMs;
    options.tries = kTries;
    options.lookups = lookups;
    options.resolvconf_path = path.data();
    const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                     (file != nullptr ? ARES_OPT_RESOLVCONF : 0);
    return ares_init_options(&channel_, &options, mask) == ARES_SUCCESS;
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

  static void answered(void* self, int status, int, ares_addrinfo* found) {
    auto& question = *static_cast<Question*>(self);
    question.pending_ = false;
    if (status != ARES_SUCCESS || found == nullptr) return;  // also when the channel is destroyed
    for (const ares_addrinfo_node* node = found->nodes; node != nullptr; node = node->ai_next) {
      sockaddr_storage storage{};
      if (node->ai_addrlen > sizeof storage) continue;
      std::memcpy(&storage, node->ai_addr, node->ai_addrlen);
      question.addresses_.push_back(from_sockaddr(storage).ip);
    }
    ares_freeaddrinfo(found);
  }

  ares_channel channel_ = nullptr;
  bool pending_ = false;
  std::vector<IpAddress> addresses_;
};

// Until all have an answer, or enough has been waited.
void wait_for(const std::vector<std::unique_ptr<Question>>& questions) {
  Time end = now() + kMost;
  bool any = false;
  for (;;) {
    std::vector<pollfd> fds;
    Duration wait = end - now();
    bool pending = false;
    for (const auto& q : questions) {
      if (!any && !q->addresses().empty()) {
        any = true;
        end = std::min(end, now() + kOthers);
        wait = std::min(wait, kOthers);
      }
      if (!q->pending()) continue;
      pending = true;
      q->add_to(fds);
      if (wait.ns > 0) wait = std::min(wait, q->until_timeout(wait));
    }
    if (!pending || now() >= end) return;
    ::poll(fds.data(), fds.size(), static_cast<int>(std::max<int64_t>(wait.ns, 0) / 1'000'000 + 1));
    for (const auto& q : questions) {
      if (!q->pending()) continue;
      std::vector<pollfd> own;
      q->add_to(own);
      for (pollfd& o : own) {
        const auto it = std::find_if(fds.begin(), fds.end(), [&](const pollfd& f) { return f.fd == o.fd; });
        if (it != fds.end()) o.revents = it->revents;
      }
      q->process(own);
    }
  }
}

}  // namespace

Result<std::vector<IpAddress>> resolve_by(const std::string& host, const std::vector<std::string>& interfaces) {
  if (const std::optional<IpAddress> address = IpAddress::parse(host)) return std::vector<IpAddress>{*address};
  static std::once_flag once;
  std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
  std::vector<std::unique_ptr<Question>> questions;
  for (const std::string& interface : interfaces) {
    auto question = std::make_unique<Question>();
    if (question->ask(host, interface)) questions.push_back(std::move(question));
  }
  if (questions.empty()) return Error{ExitCode::unexpected, "no resolver can be asked by an interface of its own"};
  wait_for(questions);
  std::vector<IpAddress> all;
  for (const auto& q : questions) {
    for (const IpAddress& a : q->addresses()) {
      if (a.is_set() && std::find(all.begin(), all.end(), a) == all.end()) all.push_back(a);
    }
  }
  if (all.empty()) return Error{ExitCode::no_answer, "no resolver names an address of " + host + " by any interface"};
  return all;
}

}  // namespace hawser
