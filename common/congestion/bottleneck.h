// Shared-bottleneck detection (RFC 8382): summary statistics of each path's one-way delays and losses, and which paths
// look as if they went through the same queue. Only differences of delays matter, so the clocks need not agree.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/constants.h"
#include "common/types.h"

namespace hawser {

// What RFC 8382, 3.2 keeps of one path.
struct BottleneckSummary {
  bool ready = false;      // enough intervals for a judgement
  bool congested = false;  // goes through some bottleneck
  double skew = 0;         // near or below zero: the delays sit at the top of a queue
  double variation = 0;    // mean absolute deviation of the delay, seconds
  double frequency = 0;    // significant crossings of the mean, per interval
  double loss = 0;         // 0..1
};

// Collects one path's samples into base intervals.
class BottleneckStatistics {
 public:
  static constexpr Duration kInterval = Duration::millis(350);  // T

  void on_delay(Duration one_way);
  void on_packets(uint64_t acked, uint64_t lost) { open_.acked += acked, open_.lost += lost; }
  // The interval ends; `number` counts the session's intervals. One with too few samples says nothing and leaves the
  // statistics as they were.
  void close_interval(uint32_t number);
  const BottleneckSummary& summary() const { return summary_; }
  // The interval that was closed last had enough samples.
  bool fresh() const { return fresh_; }
  // How far the mean delays of two paths moved together in the intervals that both know: -1..1; 0 when these are few.
  static double correlation(const BottleneckStatistics& a, const BottleneckStatistics& b);

 private:
  static constexpr size_t kLong = 50;          // N: intervals for the frequency
  static constexpr size_t kShort = 30;         // M: intervals for skew, variation and loss
  static constexpr size_t kReady = 15;         // half of M: five seconds of traffic
  static constexpr uint32_t kMinSamples = 20;  // F

  struct Interval {
    double sum = 0, deviations = 0;  // seconds, from the first sample ever; from the mean of the interval before
    int64_t skew = 0;                // samples below the long-term mean less those above
    uint32_t samples = 0;
    uint64_t acked = 0, lost = 0;
    uint32_t number = 0;
    bool crossing = false;
    double mean() const { return samples ? sum / samples : 0; }
  };
  void summarize();
  // The interval that was closed `age` good ones ago.
  const Interval& at(size_t age) const { return ring_[(next_ + 2 * ring_.size() - 1 - age) % ring_.size()]; }

  Interval open_;
  std::vector<Interval> ring_;  // the last kLong good ones; allocated with the first
  size_t next_ = 0;
  bool has_origin_ = false;
  Duration origin_;
  double long_mean_ = 0;  // E_M(E_T): of the intervals before the open one
  int side_ = 0;          // of the mean, at the last significant excursion: -1, 1; 0 at the beginning
  bool fresh_ = false;
  BottleneckSummary summary_;
};

// RFC 8382, 3.3: a number for each path; equal non-negative numbers share a bottleneck. -1: not congested, or not
// known.
std::array<int, kMaxPaths> group_bottlenecks(std::span<const BottleneckSummary> paths);

}  // namespace hawser
