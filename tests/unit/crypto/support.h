// What the tests of this folder share: hexadecimal text, a seeded and a scripted source of "random" bytes.
#pragma once

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/key.h"
#include "common/crypto/secret.h"
#include "common/rng.h"

namespace hawser::test {

using Bytes = std::vector<uint8_t>;

inline Bytes from_hex(std::string_view text) {
  Bytes out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

inline std::string to_hex(ByteSpan bytes) {
  std::string out;
  for (uint8_t b : bytes) {
    out += "0123456789abcdef"[b >> 4];
    out += "0123456789abcdef"[b & 15];
  }
  return out;
}

inline ByteSpan text_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The bytes first, first + 1, ...
template <size_t N>
std::array<uint8_t, N> counting(uint8_t first = 0) {
  std::array<uint8_t, N> out;
  for (uint8_t& b : out) b = first++;
  return out;
}

inline SecretKey secret_from_hex(std::string_view text) {
  const Bytes raw = from_hex(text);
  return SecretKey(std::span<const uint8_t, 32>(raw));
}

inline StaticKeyPair pair_from_hex(std::string_view text) {
  return StaticKeyPair::from_secret(secret_from_hex(text));
}

// splitmix64: every run with one seed is the same.
class SeededRng : public Rng {
 public:
  explicit SeededRng(uint64_t seed) : state_(seed) {}
  void fill(MutableByteSpan out) override {
    for (uint8_t& b : out) b = static_cast<uint8_t>(next());
  }
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t bound) { return next() % bound; }

 private:
  uint64_t state_;
};

// Hands out the given bytes once, so that a published vector's ephemeral keys can be used.
class ScriptedRng : public Rng {
 public:
  explicit ScriptedRng(Bytes script) : script_(std::move(script)) {}
  void fill(MutableByteSpan out) override {
    REQUIRE(used_ + out.size() <= script_.size());
    std::copy_n(script_.begin() + static_cast<std::ptrdiff_t>(used_), out.size(), out.begin());
    used_ += out.size();
  }

 private:
  Bytes script_;
  size_t used_ = 0;
};

// The seed of a random test: --rng-seed N (or "time") on the command line.
inline uint64_t seed() {
  return Catch::rngSeed();
}
#define PRINT_SEED() INFO("replay with --rng-seed " << hawser::test::seed())

}  // namespace hawser::test
