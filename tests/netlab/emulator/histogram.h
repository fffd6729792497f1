// Counts durations in buckets 1/32 wide (as HdrHistogram does), so that percentiles cost no memory per sample.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "common/types.h"

namespace hawser::netlab {

class Histogram {
 public:
  // Negative values (earlier than due) count as zero.
  void add(Duration value) {
    uint64_t ns = value.ns > 0 ? static_cast<uint64_t>(value.ns) : 0;
    ++buckets_[bucket_of(ns)];
    ++count_;
    max_ = std::max(max_, ns);
  }

  void add(const Histogram& other) {
    for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  // The smallest bucket border that at least `share` (0..1) of all samples do not exceed; zero when empty.
  Duration percentile(double share) const {
    auto wanted = static_cast<uint64_t>(share * static_cast<double>(count_) + 0.999999);
    uint64_t seen = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted && seen > 0) return Duration{static_cast<int64_t>(std::min(upper_border(i), max_))};
    }
    return Duration{};
  }

  Duration max() const { return Duration{static_cast<int64_t>(max_)}; }
  uint64_t count() const { return count_; }

 private:
  static constexpr unsigned kBits = 5;  // 32 buckets per power of two

  static size_t bucket_of(uint64_t ns) {
    if (ns < (1u << kBits)) return ns;
    auto shift = static_cast<unsigned>(std::bit_width(ns)) - kBits - 1;
    return (static_cast<size_t>(shift + 1) << kBits) + ((ns >> shift) & ((1u << kBits) - 1));
  }

  static uint64_t upper_border(size_t bucket) {
    if (bucket < (1u << kBits)) return bucket;
    size_t shift = (bucket >> kBits) - 1;
    uint64_t mantissa = (1u << kBits) + (bucket & ((1u << kBits) - 1));
    return ((mantissa + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - kBits + 1) << kBits> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace hawser::netlab
