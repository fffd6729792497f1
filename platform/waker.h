// Wakes the loop of another thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "common/result.h"
#include "platform/fd.h"
#include "platform/loop.h"

namespace hawser {

class Waker {
 public:
  // `callback` runs in `loop`'s thread, at least once after each wake(); several calls may be one. Must not outlive the loop.
  static Result<std::unique_ptr<Waker>> create(EventLoop& loop, std::function<void()> callback);
  // From any thread. What was written before is seen by the callback. No system call while an earlier call is unanswered.
  void wake();

 private:
  explicit Waker(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::atomic<bool> called_{false};
  EventLoop::FdWatch watch_;
};

}  // namespace hawser
