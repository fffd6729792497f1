// The link model. Everything happens at exact virtual times, however late the caller comes.
#include "tests/netlab/emulator/direction.h"

#include <algorithm>
#include <cstring>

namespace hawser::netlab {

void Direction::arrive(FrameSlot slot, uint32_t bytes, Time at) {
  ++counters_.in_packets;
  counters_.in_bytes += bytes;
  advance(at);
  if (settings_.blackhole) {
    ++counters_.drop_blackhole;
    pool_.release(slot);
    return;
  }
  // The frame on the wire is no longer in the queue, so a free wire takes a frame whatever the limit.
  if (wire_free_ > at && queued_bytes_ + bytes > settings_.queue_limit()) {
    ++counters_.drop_queue;
    pool_.release(slot);
    return;
  }
  queue_.push_back({slot, bytes, at});
  queued_bytes_ += bytes;
  advance(at);
}

void Direction::advance(Time now) {
  while (!queue_.empty()) {
    const Waiting frame = queue_.front();
    Time start = std::max(wire_free_, frame.arrival);
    if (start > now) return;
    queue_.pop_front();
    queued_bytes_ -= frame.bytes;
    wire_free_ = start + wire_time(frame.bytes);
    finish_on_wire(frame, wire_free_);
  }
}

// Loss comes after the wire: a lost frame has used its time on the link, as on a radio.
void Direction::finish_on_wire(const Waiting& frame, Time finish) {
  if (lost()) {
    ++counters_.drop_loss;
    pool_.release(frame.slot);
    return;
  }
  Time due = finish + settings_.delay + jitter_at(finish);
  if (!settings_.reorder) due = std::max(due, last_due_);
  last_due_ = std::max(due, last_due_);
  put_in_line({frame.slot, frame.bytes, due});
  if (settings_.duplicate > 0 && uniform() < settings_.duplicate) {
    if (auto copy = pool_.acquire()) {
      std::memcpy(pool_.data(*copy), pool_.data(frame.slot), std::min<size_t>(frame.bytes, pool_.slot_bytes()));
      ++counters_.duplicated;
      put_in_line({*copy, frame.bytes, due});
    }
  }
}

namespace {
// For heap functions, which keep the greatest element in front.
constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.departure.due != b.departure.due ? a.departure.due > b.departure.due : a.order > b.order;
};
}  // namespace

void Direction::put_in_line(const Departure& departure) {
  line_.push_back({departure, next_order_++});
  std::push_heap(line_.begin(), line_.end(), kLater);
}

std::optional<Departure> Direction::pop_due(Time until) {
  while (!line_.empty() && line_.front().departure.due <= until) {
    std::pop_heap(line_.begin(), line_.end(), kLater);
    Departure departure = line_.back().departure;
    line_.pop_back();
    if (!settings_.blackhole) return departure;
    ++counters_.drop_blackhole;
    pool_.release(departure.slot);
  }
  return std::nullopt;
}

Time Direction::next_due() const {
  Time next = line_.empty() ? Time::infinite() : line_.front().departure.due;
  if (!queue_.empty()) {
    const Waiting& head = queue_.front();
    Time finish = std::max(wire_free_, head.arrival) + wire_time(head.bytes);
    next = std::min(next, finish + settings_.delay);
  }
  return next;
}

void Direction::set(const DirectionSettings& settings, Time now) {
  advance(now);
  if (settings.jitter != settings_.jitter || settings.jitter_period != settings_.jitter_period) {
    jitter_to_time_ = Time{};  // draw anew
  }
  settings_ = settings;
}

bool Direction::lost() {
  bool lost = settings_.loss > 0 && uniform() < settings_.loss;
  if (settings_.bursts) {
    const GilbertElliott& model = *settings_.bursts;
    if (uniform() < (burst_bad_ ? model.bad_to_good : model.good_to_bad)) burst_bad_ = !burst_bad_;
    if (uniform() < (burst_bad_ ? model.loss_bad : model.loss_good)) lost = true;
  }
  return lost;
}

// With the default period the delay falls by at most as much as time passes, so that frames bunch up but never
// overtake: what a radio's retransmissions do. Uniform targets make the mean jitter/2. `finish` never goes back.
Duration Direction::jitter_at(Time finish) {
  if (settings_.jitter.ns <= 0) return Duration{};
  auto draw = [&] { return settings_.jitter * uniform(); };
  if (settings_.reorder) return draw();
  const Duration period = settings_.jitter_period.ns > 0 ? settings_.jitter_period : settings_.jitter;
  if (finish > jitter_to_time_ + period) {  // the first frame, or after silence
    jitter_from_time_ = finish;
    jitter_from_ = draw();
    jitter_to_time_ = finish + period;
    jitter_to_ = draw();
  } else if (finish > jitter_to_time_) {
    jitter_from_time_ = jitter_to_time_;
    jitter_from_ = jitter_to_;
    jitter_to_time_ += period;
    jitter_to_ = draw();
  }
  double along = (finish - jitter_from_time_).to_seconds() / (jitter_to_time_ - jitter_from_time_).to_seconds();
  return jitter_from_ + (jitter_to_ - jitter_from_) * along;
}

}  // namespace hawser::netlab
