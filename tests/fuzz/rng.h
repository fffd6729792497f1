// A random source that is none: a counter mixed by splitmix64, so that every input gives the same run.
#pragma once

#include "common/rng.h"

namespace hawser::fuzz {

class CountingRng final : public Rng {
 public:
  explicit CountingRng(uint64_t seed = 1) : state_(seed) {}
  void fill(MutableByteSpan out) override {
    for (uint8_t& b : out) {
      uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      b = static_cast<uint8_t>(z ^ (z >> 31));
    }
  }

 private:
  uint64_t state_;
};

}  // namespace hawser::fuzz
