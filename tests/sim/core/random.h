// Seeded randomness (xoshiro256**). Every part of a run has a stream of its own, named after it, so that adding one part
// does not change what the others draw.
#pragma once

#include <cmath>
#include <string_view>

#include "common/rng.h"

namespace hawser::sim {

class Random final : public Rng {
 public:
  explicit Random(uint64_t seed, std::string_view stream = {}) {
    for (char c : stream) seed = (seed ^ static_cast<uint8_t>(c)) * 0x100000001b3ull;
    for (uint64_t& word : state_) {  // splitmix64
      seed += 0x9e3779b97f4a7c15ull;
      uint64_t z = seed;
      z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
      z = (z ^ z >> 27) * 0x94d049bb133111ebull;
      word = z ^ z >> 31;
    }
  }

  void fill(MutableByteSpan out) override {
    uint64_t word = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      if (i % 8 == 0) word = next();
      out[i] = static_cast<uint8_t>(word >> i % 8 * 8);
    }
  }

  uint64_t next() {
    const uint64_t result = rotate(state_[1] * 5, 7) * 9, t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  // [0, 1)
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return probability > 0 && uniform() < probability; }
  double normal() {  // Box and Muller; the second value is not kept, so that a stream has no hidden state
    const double u = 1 - uniform(), v = uniform();
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * v);
  }

 private:
  static uint64_t rotate(uint64_t x, int k) { return x << k | x >> (64 - k); }
  uint64_t state_[4];
};

}  // namespace hawser::sim
