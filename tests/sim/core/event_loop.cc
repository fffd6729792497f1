// A binary heap in a vector; timers re-arm themselves lazily so that moving a deadline back costs nothing.
#include "tests/sim/core/event_loop.h"

#include <algorithm>

namespace hawser::sim {

void EventLoop::at(Time when, EventHandler& handler, uint64_t tag) {
  heap_.push_back({std::max(when, now_), next_order_++, &handler, tag});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

void EventLoop::run_until(Time end) {
  while (!heap_.empty() && heap_.front().when <= end) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Event event = heap_.back();
    heap_.pop_back();
    now_ = event.when;
    event.handler->on_event(event.tag);
  }
  now_ = std::max(now_, end);
}

void Timer::set(Time deadline) {
  deadline_ = deadline;
  if (deadline_ >= scheduled_ || deadline_ == Time::infinite()) return;
  scheduled_ = deadline_;
  loop_.at(scheduled_, *this, ++generation_);
}

void Timer::on_event(uint64_t tag) {
  if (tag != generation_) return;
  scheduled_ = Time::infinite();
  if (deadline_ > loop_.now()) {
    set(deadline_);
    return;
  }
  deadline_ = Time::infinite();
  action_();
}

}  // namespace hawser::sim
