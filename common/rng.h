// Randomness is injected: production hands in the operating system's, tests a seeded one, so that every run can be replayed.
#pragma once

#include "common/types.h"

namespace hawser {

class Rng {
 public:
  virtual ~Rng() = default;
  // Fills `out` with unpredictable bytes (production) or the next bytes of the seed's sequence (tests). Never fails.
  virtual void fill(MutableByteSpan out) = 0;

  uint64_t next_u64() {
    uint8_t b[8];
    fill(b);
    uint64_t v = 0;
    for (uint8_t x : b) v = v << 8 | x;
    return v;
  }
};

}  // namespace hawser
