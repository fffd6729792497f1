// common/wire/vectors.txt against the code (frames here, everything with keys in tests/unit/crypto_vectors), and
// against PROTOCOL.md, which must quote every line of it: neither can rot without a red test.
#include <catch2/catch.hpp>

#include "tests/unit/wire/support.h"

namespace hawser::wire::test {
namespace {

const std::string kFolder = project_root() + "/common/wire/";

TEST_CASE("every frame vector decodes to what it means and encodes to its bytes") {
  const auto vectors = read_vectors(kFolder + "vectors.txt");
  std::vector<bool> seen(FrameMaker::kTypes);
  for (const auto& [name, value] : vectors) {
    if (name.rfind("frame.", 0) != 0 || name.size() < 4 || name.substr(name.size() - 4) != ".hex") continue;
    CAPTURE(name);
    const std::string base = name.substr(0, name.size() - 4);
    const Bytes bytes = from_hex(value);
    FrameReader reader{ByteSpan(bytes)};
    Frame frame;
    REQUIRE(reader.next(frame) == FrameReader::Next::frame);
    CHECK(describe(frame) == vectors.at(base + ".means"));
    const bool sized = base == "frame.data_sized";
    CHECK(to_hex(encode_frame(frame, sized)) == value);
    CHECK(reader.next(frame) == FrameReader::Next::end);
    seen[frame.index()] = true;
  }
  // A frame type without a vector is one that a stranger must guess.
  for (size_t type = 0; type < seen.size(); ++type) {
    CAPTURE(type);
    CHECK(seen[type]);
  }
}

TEST_CASE("PROTOCOL.md quotes every line of vectors.txt") {
  std::ifstream document(kFolder + "PROTOCOL.md");
  REQUIRE(document);
  std::ostringstream text;
  text << '\n' << document.rdbuf();
  std::ifstream vectors(kFolder + "vectors.txt");
  REQUIRE(vectors);
  int lines = 0;
  for (std::string line; std::getline(vectors, line);) {
    if (line.empty() || line[0] == '#') continue;
    ++lines;
    if (text.str().find('\n' + line + '\n') == std::string::npos) FAIL_CHECK("not in PROTOCOL.md: " << line);
  }
  CHECK(lines > 100);
}

}  // namespace
}  // namespace hawser::wire::test
