// Virtual time: a heap of events, run in order of time and, at equal times, of insertion. Nothing here knows a real clock.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/types.h"

namespace hawser::sim {

// Whatever wants to be called at a moment. Must outlive the events it asked for.
class EventHandler {
 public:
  virtual void on_event(uint64_t tag) = 0;

 protected:
  ~EventHandler() = default;
};

class EventLoop {
 public:
  Time now() const { return now_; }
  // Calls handler.on_event(tag) at `when`; a moment in the past means now.
  void at(Time when, EventHandler& handler, uint64_t tag = 0);
  // Runs everything due until `end`, which becomes the present.
  void run_until(Time end);
  uint64_t events() const { return next_order_; }

 private:
  struct Event {
    Time when;
    uint64_t order;
    EventHandler* handler;
    uint64_t tag;
  };
  static bool later(const Event& a, const Event& b) {
    return a.when != b.when ? a.when > b.when : a.order > b.order;
  }

  Time now_ = kStart;
  uint64_t next_order_ = 0;
  std::vector<Event> heap_;

 public:
  // The clock does not begin at zero: Time{} means "never" to the engine.
  static constexpr Time kStart{1'000'000'000};
};

// One deadline that is moved at will. Each object keeps at most a few stale events in the heap.
class Timer final : private EventHandler {
 public:
  Timer(EventLoop& loop, std::function<void()> action) : loop_(loop), action_(std::move(action)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void set(Time deadline);
  void cancel() { deadline_ = Time::infinite(); }
  bool is_set() const { return deadline_ < Time::infinite(); }
  Time deadline() const { return deadline_; }

 private:
  void on_event(uint64_t tag) override;

  EventLoop& loop_;
  std::function<void()> action_;
  Time deadline_ = Time::infinite();
  Time scheduled_ = Time::infinite();  // the earliest event under way
  uint64_t generation_ = 0;            // its tag; older events are stale
};

}  // namespace hawser::sim
