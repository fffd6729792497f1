// Waker on an eventfd.
#include "platform/waker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/linux/oserror.h"

namespace hawser {

Result<std::unique_ptr<Waker>> Waker::create(EventLoop& loop, std::function<void()> callback) {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return os_error(ExitCode::unexpected, "cannot make an event descriptor", errno);
  std::unique_ptr<Waker> waker(new Waker(std::move(fd)));
  waker->watch_ = loop.watch_fd(waker->fd_.get(), Interest::read, [self = waker.get(), run = std::move(callback)](EventLoop::Ready) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(self->fd_.get(), &count, sizeof count);
    // Before the work: who calls from now on has written something that this turn may not see, and writes again.
    self->called_.exchange(false, std::memory_order_acq_rel);
    run();
  });
  return waker;
}

void Waker::wake() {
  if (called_.exchange(true, std::memory_order_acq_rel)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(fd_.get(), &one, sizeof one);
}

}  // namespace hawser
