// Name resolution by the C library, which blocks: hence a thread when the loop must go on.
#include "platform/resolve.h"

#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "platform/fd.h"
#include "platform/linux/oserror.h"
#include "platform/linux/sockaddr.h"

namespace hawser {
namespace {

// Shared with the thread, which may finish after everybody lost interest.
struct Shared {
  UniqueFd done;  // an eventfd: what the thread wrote before signalling is seen by whoever reads it after
  std::optional<Result<std::vector<IpAddress>>> answer;
};

class Running final : public Resolution {
 public:
  Running(EventLoop& loop, std::shared_ptr<Shared> shared, Callback callback)
      : shared_(std::move(shared)), callback_(std::move(callback)) {
    watch_ = loop.watch_fd(shared_->done.get(), Interest::read, [this](EventLoop::Ready) {
      uint64_t count = 0;
      if (::read(shared_->done.get(), &count, sizeof count) != static_cast<ssize_t>(sizeof count)) return;
      watch_.set_interest(Interest::none);
      // The callback may destroy this.
      const auto told = std::move(callback_);
      const auto answer = std::move(*shared_->answer);
      told(answer);
    });
  }

 private:
  std::shared_ptr<Shared> shared_;
  Callback callback_;
  EventLoop::FdWatch watch_;
};

Result<std::unique_ptr<Resolution>> in_a_thread(EventLoop& loop, std::function<Result<std::vector<IpAddress>>()> work,
                                                Resolution::Callback callback) {
  auto shared = std::make_shared<Shared>();
  shared->done.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!shared->done) return os_error(ExitCode::unexpected, "cannot make an eventfd", errno);
  try {
    std::thread([shared, work = std::move(work)] {
      shared->answer = work();
      const uint64_t one = 1;
      if (::write(shared->done.get(), &one, sizeof one) < 0) return;  // cannot fail: the counter is far from full
    }).detach();
  } catch (const std::exception& problem) {
    return Error{ExitCode::unexpected, std::string("cannot start a thread: ") + problem.what()};
  }
  return std::unique_ptr<Resolution>(std::make_unique<Running>(loop, std::move(shared), std::move(callback)));
}

}  // namespace

Result<std::vector<IpAddress>> resolve(const std::string& host) {
  if (const std::optional<IpAddress> address = IpAddress::parse(host)) return std::vector<IpAddress>{*address};
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error != 0) {
    return Error{ExitCode::no_answer, "cannot find the address of " + host + ": " +
                                          (error == EAI_SYSTEM ? os_text(errno) : ::gai_strerror(error)) +
                                          ". Is the name right, and does DNS work? An address can stand there instead"};
  }
  std::vector<IpAddress> addresses;
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    sockaddr_storage storage{};
    if (item->ai_addrlen > sizeof storage) continue;
    std::memcpy(&storage, item->ai_addr, item->ai_addrlen);
    const IpAddress address = from_sockaddr(storage).ip;
    if (address.is_set() && std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  ::freeaddrinfo(list);
  if (addresses.empty()) return Error{ExitCode::no_answer, host + " has no address"};
  return addresses;
}

Result<std::unique_ptr<Resolution>> Resolution::start(EventLoop& loop, const std::string& host, Callback callback) {
  return in_a_thread(loop, [host] { return resolve(host); }, std::move(callback));
}

Result<std::unique_ptr<Resolution>> Resolution::start_by(EventLoop& loop, const std::string& host,
                                                         const std::string& interface, Callback callback) {
  return in_a_thread(loop, [host, interface] { return resolve_by(host, interface); }, std::move(callback));
}

}  // namespace hawser
