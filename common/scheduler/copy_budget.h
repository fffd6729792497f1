// What copies of small urgent packets may cost: a token bucket in bytes that earns a share of all that is sent. A part of
// it is kept for the moments in which a path has just fallen silent.
#pragma once

#include <algorithm>
#include <cstddef>

#include "common/constants.h"

namespace hawser {

class CopyBudget {
 public:
  // Bytes that left as datagrams, copies excepted.
  void on_sent(size_t bytes) { tokens_ = std::min(kFull, tokens_ + static_cast<double>(bytes) * kCopyShare); }
  // Whether a copy of so many bytes may be sent; it is paid at once. Only `silent` may draw on the reserve.
  bool take(size_t bytes, bool silent) {
    const double left = tokens_ - static_cast<double>(bytes);
    if (left < (silent ? 0 : kFull / 2)) return false;
    tokens_ = left;
    return true;
  }

 private:
  static constexpr double kFull = kCopyBurst;
  double tokens_ = kFull;
};

}  // namespace hawser
