// Two events per frame: the end of its serialisation and the end of its delay.
#include "tests/sim/net/direction.h"

#include <algorithm>

namespace hawser::sim {

void launch(FramePtr frame) {
  const Route& route = *frame->route;
  if (frame->hop < route.hops.size()) {
    route.hops[frame->hop]->arrive(std::move(frame));
  } else {
    route.sink->on_frame(std::move(frame));
  }
}

void Direction::arrive(FramePtr frame) {
  ++counters_.in_frames;
  counters_.in_bytes += frame->wire_bytes;
  if (settings_.blackhole) {
    ++counters_.drop_blackhole;
    return;
  }
  // The frame on the wire is no longer in the queue, so a free wire takes a frame whatever the limit.
  if ((on_wire_ || settings_.paused) && queued_bytes_ + frame->wire_bytes > settings_.queue_limit()) {
    ++counters_.drop_queue;
    return;
  }
  frame->entered = loop_.now();
  queued_bytes_ += frame->wire_bytes;
  queue_.push_back(std::move(frame));
  start_wire();
}

void Direction::start_wire() {
  while (!on_wire_ && !queue_.empty() && !settings_.paused) {
    FramePtr frame = std::move(queue_.front());
    queue_.pop_front();
    const size_t backlog = queued_bytes_;
    queued_bytes_ -= frame->wire_bytes;
    const Duration sojourn = loop_.now() - frame->entered;
    if (settings_.queue_kind == DirectionSettings::Queue::codel && codel_.drop(sojourn, backlog, loop_.now())) {
      const bool capable = frame->ecn == 1 || frame->ecn == 2;
      if (!capable) {
        ++counters_.drop_codel;
        continue;
      }
      frame->ecn = 3;
    }
    counters_.queue_delay_ms.add(sojourn.to_millis());
    if (settings_.rate.bps <= 0) {
      leave_wire(std::move(frame));
      continue;
    }
    const Duration time = settings_.rate.time_for(static_cast<double>(frame->wire_bytes));
    on_wire_ = std::move(frame);
    loop_.at(loop_.now() + time, *this, wire_done);
  }
}

void Direction::on_event(uint64_t tag) {
  if (tag == line_due) {
    pop_line();
    return;
  }
  FramePtr frame = std::move(on_wire_);
  start_wire();
  leave_wire(std::move(frame));
}

// Loss comes after the wire: a lost frame has used its time on the link, as on a radio.
void Direction::leave_wire(FramePtr frame) {
  if (impairment_.lost(settings_)) {
    ++counters_.drop_loss;
    return;
  }
  const Time now = loop_.now();
  Time due = now + settings_.delay + impairment_.jitter(settings_, now);
  // A jitter that keeps order; a shorter delay set meanwhile does not reorder either.
  if (settings_.jitter_form == DirectionSettings::Jitter::ordered || settings_.jitter.ns == 0) due = std::max(due, last_due_);
  last_due_ = std::max(due, last_due_);
  if (impairment_.duplicated(settings_)) {
    ++counters_.duplicated;
    put_in_line(std::make_unique<Frame>(*frame), due);
  }
  put_in_line(std::move(frame), due);
}

void Direction::put_in_line(FramePtr frame, Time due) {
  line_.push_back({due, next_order_++, std::move(frame)});
  std::push_heap(line_.begin(), line_.end(), later);
  loop_.at(due, *this, line_due);
}

void Direction::pop_line() {
  std::pop_heap(line_.begin(), line_.end(), later);
  FramePtr frame = std::move(line_.back().frame);
  line_.pop_back();
  if (settings_.blackhole) {
    ++counters_.drop_blackhole;
    return;
  }
  hand_on(std::move(frame));
}

void Direction::hand_on(FramePtr frame) {
  ++counters_.out_frames;
  counters_.out_bytes += frame->wire_bytes;
  const auto bin = static_cast<size_t>((loop_.now() - EventLoop::kStart).ns / Duration::millis(100).ns);
  if (counters_.bins.size() <= bin) counters_.bins.resize(bin + 1);
  counters_.bins[bin] += static_cast<double>(frame->wire_bytes);
  ++frame->hop;
  launch(std::move(frame));
}

void Direction::set(const DirectionSettings& settings) {
  settings_ = settings;
  start_wire();
}

}  // namespace hawser::sim
