// Both configuration files: parsing is total, errors name file and line, and what parses is written so that it parses
// equal. Input: one byte of choice, then the file's text.
#include "common/config/profile.h"
#include "common/config/server_settings.h"
#include "tests/fuzz/check.h"

using namespace hawser;

namespace {

void check_error(const Error& e, const char* file) {
  FUZZ_CHECK(e.code == ExitCode::configuration);
  FUZZ_CHECK(e.message.find(file) != std::string::npos);
}

void check_profile(std::string_view text) {
  const auto profile = parse_profile(text, "fuzz.toml");
  if (!profile) return check_error(profile.error(), "fuzz.toml");
  const std::string written = render(*profile);
  const auto again = parse_profile(written, "fuzz.toml");
  FUZZ_CHECK(again && *again == *profile);
  path_settings(*profile, "wwan0", "cellular", true);
  is_ignored(*profile, "docker0");
  // An edit of the original text gives a file that parses and holds the value, or says why it cannot.
  const auto edited = set_key(text, "fuzz.toml", "wwan0.priority", "backup");
  if (!edited) return;
  const auto changed = parse_profile(*edited, "fuzz.toml");
  FUZZ_CHECK(changed && path_settings(*changed, "wwan0", "other", false).priority == wire::PathPriority::backup);
}

void check_settings(std::string_view text) {
  const auto settings = parse_server_settings(text, "server.toml");
  if (!settings) return check_error(settings.error(), "server.toml");
  const auto again = parse_server_settings(render(*settings), "server.toml");
  FUZZ_CHECK(again && *again == *settings);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] & 1) {
    check_settings(text);
  } else {
    check_profile(text);
  }
  return 0;
}
