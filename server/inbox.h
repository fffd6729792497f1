// What other threads want of a worker besides packets: work to be done in its own thread, between two turns of its loop.
// Handshakes, the registry's answers and status go this way; the packet path does not.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "platform/waker.h"

namespace hawser::server {

class Inbox {
 public:
  // `on_door` runs in the loop's thread after ring_bell(). Must not outlive the loop.
  static Result<std::unique_ptr<Inbox>> create(EventLoop& loop, std::function<void()> on_door);

  // From any thread: `work` runs once, in the order of posting.
  void post(std::function<void()> work);
  // From any thread: something lies in the rings.
  void ring_bell() { waker_->wake(); }

 private:
  Inbox() = default;
  void run();

  std::unique_ptr<Waker> waker_;
  std::function<void()> on_door_;
  std::atomic<bool> has_work_{false};  // so that a bell for the rings takes no lock
  std::mutex mutex_;
  std::vector<std::function<void()>> work_;
};

}  // namespace hawser::server
