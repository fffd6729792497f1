// The event loop of one thread: descriptors, deadlines on CLOCK_BOOTTIME, signals, and a hook before each sleep.
// Handles are RAII: what they watch is unwatched when they go. A callback may destroy any handle, its own included.
// Handles must not outlive the loop.
#pragma once

#include <functional>
#include <memory>

#include "common/result.h"
#include "common/types.h"

namespace hawser {

enum class Interest : uint8_t { none = 0, read = 1, write = 2, read_write = 3 };
enum class Signal : uint8_t { interrupt, terminate, hangup };

class EventLoop {
 public:
  struct Impl;
  // Something the loop watches; made and understood in loop.cc.
  struct Item {
    virtual ~Item() = default;
    virtual void stop() = 0;
  };

  // Keeps an item watched for as long as it lives.
  class Handle {
   public:
    Handle() = default;
    Handle(Handle&&) noexcept = default;
    Handle& operator=(Handle&& other) noexcept;
    ~Handle() { reset(); }
    void reset();
    explicit operator bool() const { return item_ != nullptr; }

   protected:
    friend class EventLoop;
    std::shared_ptr<Item> item_;
  };

  // Which of the watched directions are ready. An error or hang-up shows as both; the next read or write tells it.
  struct Ready {
    bool readable = false;
    bool writable = false;
  };

  class FdWatch : public Handle {
   public:
    // Cheap when nothing changes. Interest::none keeps the handle and watches nothing.
    void set_interest(Interest interest);
  };

  // A one-shot deadline to the nanosecond (timerfd, absolute); after it fired it is idle until set again.
  class Timer : public Handle {
   public:
    // Replaces the deadline; one in the past fires in the next turn of the loop. Time::infinite() disarms.
    // No system call when the deadline is the one already set.
    void set_deadline(Time deadline);
    void cancel() { set_deadline(Time::infinite()); }
    bool armed() const;
  };

  using SignalWatch = Handle;
  using Hook = Handle;

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // `fd` stays the caller's and must stay open as long as the handle. Level-triggered.
  FdWatch watch_fd(int fd, Interest interest, std::function<void(Ready)> callback);
  // Any number of independent timers; each is a timerfd.
  Timer make_timer(std::function<void()> callback);
  SignalWatch on_signal(Signal signal, std::function<void()> callback);
  // Called once per turn, after all callbacks of the turn and before the loop sleeps: the place to flush output and to
  // set deadlines.
  Hook before_sleep(std::function<void()> callback);

  // Runs until stop(). May be called again afterwards.
  void run();
  // One turn: waits for at least one event (or not at all), runs its callbacks, returns.
  void run_once(bool wait);
  // The loop returns from run() at the end of the present turn.
  void stop();

 private:
  explicit EventLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hawser
