// The formulas and thresholds of RFC 8382, sections 2 and 3; the names in the comments are the RFC's.
#include "common/congestion/bottleneck.h"

#include <algorithm>
#include <cmath>

namespace hawser {
namespace {

constexpr double kSkewCongested = 0.1;   // c_s
constexpr double kSkewHysteresis = 0.3;  // c_h: once congested, up to here
constexpr double kLossCongested = 0.05;  // p_l
constexpr double kCrossingBand = 0.7;    // p_v: a crossing counts beyond this many deviations
constexpr double kFrequencyGap = 0.1;    // p_f
constexpr double kVariationGap = 0.1;    // p_mad, of the larger
constexpr double kSkewGap = 0.15;        // p_s
constexpr double kLossGap = 0.1;         // p_d, of the larger

using Order = std::array<size_t, kMaxPaths>;

// Sorts [begin, end) of `order` by a statistic, largest first, and calls `group` for each run without a gap.
template <typename Value, typename Gap, typename Group>
void split(Order& order, size_t begin, size_t end, Value value, Gap gap, Group group) {
  std::sort(order.begin() + static_cast<ptrdiff_t>(begin), order.begin() + static_cast<ptrdiff_t>(end),
            [&](size_t a, size_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
  size_t first = begin;
  for (size_t i = begin + 1; i <= end; ++i) {
    if (i < end && value(order[i - 1]) - value(order[i]) < gap(order[i - 1])) continue;
    group(first, i);
    first = i;
  }
}

}  // namespace

void BottleneckStatistics::on_delay(Duration one_way) {
  if (!has_origin_) {
    origin_ = one_way;
    has_origin_ = true;
  }
  const double d = (one_way - origin_).to_seconds();
  if (!ring_.empty()) {
    // skew_base_T against the long-term mean, var_base_T against the mean of the interval before: both are known
    // already.
    open_.skew += d < long_mean_ ? 1 : d > long_mean_ ? -1 : 0;
    open_.deviations += std::abs(d - at(0).mean());
  }
  open_.sum += d;
  ++open_.samples;
}

void BottleneckStatistics::close_interval(uint32_t number) {
  open_.number = number;
  fresh_ = open_.samples >= kMinSamples;
  if (fresh_) {
    if (!ring_.empty()) {
      const double excursion = open_.mean() - long_mean_;
      const int side = std::abs(excursion) <= kCrossingBand * summary_.variation ? 0 : excursion > 0 ? 1 : -1;
      open_.crossing = side != 0 && side_ != 0 && side != side_;
      if (side != 0) side_ = side;
    }
    if (ring_.size() < kLong) {
      ring_.reserve(kLong);
      ring_.push_back(open_);
      next_ = ring_.size() % kLong;
    } else {
      ring_[next_] = open_;
      next_ = (next_ + 1) % kLong;
    }
    summarize();
  }
  open_ = Interval{};
}

void BottleneckStatistics::summarize() {
  double means = 0, deviations = 0;
  int64_t skew = 0;
  uint64_t samples = 0, acked = 0, lost = 0, crossings = 0;
  const size_t count = ring_.size();
  for (size_t age = 0; age < count; ++age) {
    const Interval& i = at(age);
    crossings += i.crossing;
    if (age >= kShort) continue;
    means += i.mean();
    deviations += i.deviations;
    skew += i.skew;
    samples += i.samples;
    acked += i.acked;
    lost += i.lost;
  }
  long_mean_ = means / static_cast<double>(std::min(count, kShort));
  summary_.ready = count >= kReady;
  summary_.skew = static_cast<double>(skew) / static_cast<double>(samples);
  summary_.variation = deviations / static_cast<double>(samples);
  summary_.frequency = static_cast<double>(crossings) / static_cast<double>(count);
  summary_.loss = acked + lost ? static_cast<double>(lost) / static_cast<double>(acked + lost) : 0;
  summary_.congested = summary_.skew < kSkewCongested || (summary_.congested && summary_.skew < kSkewHysteresis) ||
                       summary_.loss > kLossCongested;
}

double BottleneckStatistics::correlation(const BottleneckStatistics& a, const BottleneckStatistics& b) {
  double n = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
  size_t k = 0;
  for (size_t i = 0; i < std::min(a.ring_.size(), kShort); ++i) {
    // Both go back in time; an interval that only one of them knows is passed over.
    while (k < b.ring_.size() && b.at(k).number > a.at(i).number) ++k;
    if (k >= b.ring_.size() || b.at(k).number != a.at(i).number) continue;
    const double x = a.at(i).mean(), y = b.at(k).mean();
    n += 1, sx += x, sy += y, sxx += x * x, syy += y * y, sxy += x * y;
  }
  if (n < kReady) return 0;
  const double vx = sxx - sx * sx / n, vy = syy - sy * sy / n;
  return vx > 0 && vy > 0 ? (sxy - sx * sy / n) / std::sqrt(vx * vy) : 0;
}

std::array<int, kMaxPaths> group_bottlenecks(std::span<const BottleneckSummary> paths) {
  std::array<int, kMaxPaths> groups;
  groups.fill(-1);
  Order order{};
  size_t count = 0;
  for (size_t i = 0; i < paths.size() && i < kMaxPaths; ++i) {
    if (paths[i].ready && paths[i].congested) order[count++] = i;
  }
  int next_group = 0;
  const auto frequency = [&](size_t i) { return paths[i].frequency; };
  const auto variation = [&](size_t i) { return paths[i].variation; };
  const auto skew = [&](size_t i) { return paths[i].skew; };
  const auto loss = [&](size_t i) { return paths[i].loss; };
  const auto take = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) groups[order[i]] = next_group;
    ++next_group;
  };
  split(
      order, 0, count, frequency, [](size_t) { return kFrequencyGap; },
      [&](size_t b1, size_t e1) {
        split(
            order, b1, e1, variation, [&](size_t i) { return kVariationGap * variation(i); },
            [&](size_t b2, size_t e2) {
              // Much loss overwhelms a queue's delay: then the losses tell the bottlenecks apart, else the skew.
              const bool lossy =
                  std::all_of(order.begin() + static_cast<ptrdiff_t>(b2), order.begin() + static_cast<ptrdiff_t>(e2),
                              [&](size_t i) { return loss(i) > kLossCongested; });
              if (lossy) {
                split(
                    order, b2, e2, loss, [&](size_t i) { return kLossGap * loss(i); }, take);
              } else {
                split(
                    order, b2, e2, skew, [](size_t) { return kSkewGap; }, take);
              }
            });
      });
  return groups;
}

}  // namespace hawser
