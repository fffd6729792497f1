// Which packet numbers of one path have been received (RFC 6479): each may act once, and none older than the window.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "common/types.h"

namespace hawser {

// Authenticate the datagram, then check(), then commit(), then act. check() changes nothing, so a forgery cannot move
// the window.
class ReplayWindow {
 public:
  static constexpr uint64_t kWidth = 8192;

  // Whether this number may still be accepted.
  bool check(PacketNumber number) const;
  // Marks the number as received; false, and nothing changes, when check() says no.
  bool commit(PacketNumber number);

  // One more than the highest number received; what a truncated number is widened against.
  PacketNumber expected() const { return {next_}; }
  // Whether numbers have come out of order, which takes 1 KiB. Until the first gap the window is two counters.
  bool has_bitmap() const { return bits_ != nullptr; }

 private:
  // One word more than the width, because the newest word is only partly in use (RFC 6479, section 2).
  static constexpr uint64_t kWords = kWidth / 64 + 1;
  using Bits = std::array<uint64_t, kWords>;

  void make_bitmap();
  void advance_to(uint64_t n);

  uint64_t next_ = 0;           // highest received + 1
  std::unique_ptr<Bits> bits_;  // null: everything below next_ has been received
};

}  // namespace hawser
