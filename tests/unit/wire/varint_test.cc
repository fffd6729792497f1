// Variable-length integers against RFC 9000, A.1, and their borders.
#include "common/wire/varint.h"

#include <catch2/catch.hpp>

#include "tests/unit/wire/support.h"

namespace hawser::wire::test {
namespace {

TEST_CASE("varints of RFC 9000, A.1") {
  const std::pair<const char*, uint64_t> cases[] = {{"c2197c5eff14e88c", 151'288'809'941'952'652u},
                                                    {"9d7f3e7d", 494'878'333},
                                                    {"7bbd", 15'293},
                                                    {"25", 37},
                                                    {"4025", 37}};
  for (const auto& [hex, value] : cases) {
    const Bytes bytes = from_hex(hex);
    ByteSpan rest(bytes);
    CHECK(take_varint(rest) == value);
    CHECK(rest.empty());
    for (size_t length = 0; length < bytes.size(); ++length) {
      ByteSpan cut = ByteSpan(bytes).first(length);
      if (length > 0 && (bytes[0] >> 6) == 0) continue;
      CHECK_FALSE(take_varint(cut));
      CHECK(cut.size() == length);
    }
  }
}

TEST_CASE("varints are written in the shortest form and refuse what is too large") {
  const std::pair<uint64_t, size_t> cases[] = {
      {0, 1}, {63, 1}, {64, 2}, {16'383, 2}, {16'384, 4}, {1'073'741'823, 4}, {1'073'741'824, 8}, {kMaxVarint, 8}};
  for (const auto& [value, size] : cases) {
    CAPTURE(value);
    std::array<uint8_t, 8> out{};
    CHECK(varint_size(value) == size);
    REQUIRE(put_varint(value, MutableByteSpan(out)) == size);
    CHECK(put_varint(value, MutableByteSpan(out).first(size - 1)) == 0);
    ByteSpan rest(out);
    CHECK(take_varint(rest) == value);
    CHECK(rest.size() == out.size() - size);
  }
  std::array<uint8_t, 8> out{};
  CHECK(put_varint(kMaxVarint + 1, MutableByteSpan(out)) == 0);
}

}  // namespace
}  // namespace hawser::wire::test
