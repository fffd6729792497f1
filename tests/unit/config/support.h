// What this folder's tests share: a valid key, a profile to begin with, a seeded generator of hostile text.
#pragma once

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "common/config/profile.h"

namespace hawser::test {

// 32 bytes of base64 that are a public key for the parser.
inline const std::string kKey = "Vq3kR0Yz1mQn8sT2uV4wX6yZ0aB2cD4eF6gH8iJ0kLM=";

inline std::string minimal_profile(const std::string& rest = "") {
  return "[server]\nendpoints = [\"203.0.113.7:443\"]\npublic_key = \"" + kKey + "\"\n" + rest;
}

template <typename T>
T must(Result<T> result) {
  if (!result) FAIL("unexpected error: " << result.error().message);
  return std::move(*result);
}

// Text that wants to break out of its quotes: the classics, and then anything.
inline std::string hostile_text(std::mt19937_64& random) {
  static const std::string kPieces[] = {"\"",
                                        "\\",
                                        "\n",
                                        "\r\n",
                                        "\t",
                                        std::string(1, '\0'),
                                        "\x1b[31m",
                                        "'''",
                                        "\"\"\"",
                                        "#",
                                        "]",
                                        "[[path]]",
                                        "\nkill_switch = \"off\"",
                                        "\\u0000",
                                        "\xc3\xa4",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80",
                                        "\x7f",
                                        "\xc2\x85",
                                        "a",
                                        "="};
  std::string out;
  for (auto n = random() % 8 + 1; n > 0; --n) out += kPieces[random() % std::size(kPieces)];
  return out;
}

}  // namespace hawser::test
