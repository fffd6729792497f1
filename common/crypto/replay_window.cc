// RFC 6479: a ring of words instead of a shifted bitmap. Clearing the words that the window moves onto is the only cost
// of moving it.
#include "common/crypto/replay_window.h"

#include <algorithm>

namespace hawser {
namespace {

constexpr uint64_t kMaxNumber = (uint64_t{1} << 62) - 1;

constexpr uint64_t bit_of(uint64_t number) {
  return uint64_t{1} << (number % 64);
}

}  // namespace

bool ReplayWindow::check(PacketNumber number) const {
  const uint64_t n = number.value;
  if (n > kMaxNumber) return false;
  if (n >= next_) return true;
  if (next_ - n > kWidth) return false;  // too old to know: refusing a late packet is safe, taking a replay is not
  return bits_ != nullptr && ((*bits_)[n / 64 % kWords] & bit_of(n)) == 0;
}

bool ReplayWindow::commit(PacketNumber number) {
  if (!check(number)) return false;
  const uint64_t n = number.value;
  if (bits_ == nullptr) {
    if (n == next_) {  // all in order so far
      ++next_;
      return true;
    }
    make_bitmap();
  }
  if (n >= next_) advance_to(n);
  (*bits_)[n / 64 % kWords] |= bit_of(n);
  return true;
}

// Writes down what the counter alone meant: everything below next_ has been received.
void ReplayWindow::make_bitmap() {
  bits_ = std::make_unique<Bits>();
  if (next_ == 0) return;
  bits_->fill(~uint64_t{0});
  // The newest word holds numbers that are still to come.
  if (next_ % 64 != 0) (*bits_)[next_ / 64 % kWords] = bit_of(next_) - 1;
}

void ReplayWindow::advance_to(uint64_t n) {
  // Words after that of the highest number hold numbers of one ring ago.
  const uint64_t first_stale = (next_ + 63) / 64;
  const uint64_t last = std::min(n / 64, first_stale + kWords - 1);
  for (uint64_t word = first_stale; word <= last; ++word) (*bits_)[word % kWords] = 0;
  next_ = n + 1;
}

}  // namespace hawser
