// What a receiver saw of a stream of bytes: rate, longest silence, bytes per 100 ms.
#pragma once

#include "tests/sim/traffic/flow.h"

namespace hawser::sim {

class Arrivals {
 public:
  static constexpr Duration kBin = Duration::millis(100);

  void add(Time now, uint64_t bytes) {
    const auto bin = static_cast<size_t>((now - EventLoop::kStart).ns / kBin.ns);
    if (bins_.size() <= bin) bins_.resize(bin + 1);
    bins_[bin] += static_cast<double>(bytes);
    times_.push_back(now);
  }
  const std::vector<double>& bins() const { return bins_; }

  // Mbit/s.
  double rate(const Window& w) const {
    const auto from = static_cast<size_t>((w.from - EventLoop::kStart).ns / kBin.ns);
    const auto to = std::min(bins_.size(), static_cast<size_t>((w.to - EventLoop::kStart).ns / kBin.ns));
    double bytes = 0;
    for (size_t i = from; i < to; ++i) bytes += bins_[i];
    return bytes * 8e-6 / (w.to - w.from).to_seconds();
  }
  // The longest time without any arrival inside the window, ms, and when it began.
  struct Stall {
    double ms = 0;
    Time from;
  };
  Stall longest_stall(const Window& w) const {
    Time last = w.from;
    Stall longest{0, w.from};
    const auto note = [&](Time t) {
      if ((t - last).to_millis() > longest.ms) longest = {(t - last).to_millis(), last};
      last = t;
    };
    for (Time t : times_) {
      if (t >= w.from && t <= w.to) note(t);
    }
    note(w.to);
    return longest;
  }

 private:
  std::vector<double> bins_;
  std::vector<Time> times_;
};

}  // namespace hawser::sim
