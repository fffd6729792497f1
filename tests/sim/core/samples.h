// A set of measured values and its percentiles.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace hawser::sim {

class Samples {
 public:
  void add(double v) {
    values_.push_back(v);
    sorted_ = false;
  }
  size_t count() const { return values_.size(); }
  // Nearest rank, p in 0..1; 0 when there is nothing.
  double percentile(double p) const {
    if (values_.empty()) return 0;
    if (!sorted_) std::sort(values_.begin(), values_.end());
    sorted_ = true;
    const double rank = std::ceil(p * static_cast<double>(values_.size()));
    return values_[static_cast<size_t>(std::clamp(rank, 1.0, static_cast<double>(values_.size()))) - 1];
  }
  double max() const { return percentile(1); }
  double mean() const {
    double sum = 0;
    for (double v : values_) sum += v;
    return values_.empty() ? 0 : sum / static_cast<double>(values_.size());
  }

 private:
  mutable std::vector<double> values_;
  mutable bool sorted_ = false;
};

}  // namespace hawser::sim
