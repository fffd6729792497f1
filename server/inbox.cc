// Posting and running.
#include "server/inbox.h"

namespace hawser::server {

Result<std::unique_ptr<Inbox>> Inbox::create(EventLoop& loop, std::function<void()> on_door) {
  std::unique_ptr<Inbox> inbox(new Inbox);
  inbox->on_door_ = std::move(on_door);
  auto waker = Waker::create(loop, [self = inbox.get()] { self->run(); });
  if (!waker) return waker.error();
  inbox->waker_ = std::move(*waker);
  return inbox;
}

void Inbox::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    has_work_.store(true, std::memory_order_release);
  }
  waker_->wake();
}

void Inbox::run() {
  if (has_work_.load(std::memory_order_acquire)) {
    std::vector<std::function<void()>> work;
    {
      const std::lock_guard lock(mutex_);
      work.swap(work_);
      has_work_.store(false, std::memory_order_relaxed);
    }
    for (const auto& w : work) w();
  }
  on_door_();
}

}  // namespace hawser::server
