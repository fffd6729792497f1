// What copies may cost: a token bucket in bytes that earns a share of all that is sent.
#pragma once

#include <algorithm>
#include <cstddef>

namespace hawser {

class CopyBudget {
 public:
  // `share` of the bytes sent; at most `burst` bytes are saved up, and are there at the beginning.
  CopyBudget(double share, size_t burst) : share_(share), full_(static_cast<double>(burst)), tokens_(full_) {}
  // Bytes that left as datagrams, copies excepted.
  void on_sent(size_t bytes) { tokens_ = std::min(full_, tokens_ + static_cast<double>(bytes) * share_); }
  bool has(size_t bytes) const { return tokens_ >= static_cast<double>(bytes); }
  // Whether a copy of so many bytes may be sent; it is paid at once. Half of the burst is a reserve on which only what is `pressing`
  // may draw.
  bool take(size_t bytes, bool pressing) {
    const double left = tokens_ - static_cast<double>(bytes);
    if (left < (pressing ? 0 : full_ / 2)) return false;
    tokens_ = left;
    return true;
  }

 private:
  double share_, full_, tokens_;
};

}  // namespace hawser
