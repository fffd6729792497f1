// The log: levels, rotation, limits, one line per entry.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "netns.h"
#include "platform/files.h"
#include "platform/log.h"

namespace hawser {
namespace {

using testing::TempDir;

size_t count_lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_CASE("the log keeps its level and forged lines stay one line") {
  const TempDir dir;
  const std::string path = dir.path("home/log");
  Result<Log> log = Log::to_file(path, LogLevel::info);
  REQUIRE(log);
  log->debug("not shown");
  log->info("wlan0: active");
  log->warning("from outside\n2026-01-01T00:00:00Z error: forged");
  log->set_level(LogLevel::debug);
  log->debug("shown");
  const std::string text = *read_file(path);
  CHECK(count_lines(text) == 3);
  CHECK(text.find("not shown") == std::string::npos);
  CHECK(text.find("info: wlan0: active\n") != std::string::npos);
  CHECK(log->where() == path);
}

TEST_CASE("the log is rotated at its limit and keeps one predecessor") {
  const TempDir dir;
  const std::string path = dir.path("log");
  Result<Log> log = Log::to_file(path, LogLevel::info, 1000);
  REQUIRE(log);
  for (int i = 0; i < 100; ++i) log->info("line " + std::to_string(i));
  CHECK(list_directory(dir.path()) == std::vector<std::string>{"log", "log.1"});
  const std::string now_there = *read_file(path), before = *read_file(path + ".1");
  CHECK(now_there.size() <= 1000);
  CHECK(before.size() <= 1000);
  CHECK(now_there.find("line 99\n") != std::string::npos);
  // Nothing was lost in between: the predecessor ends where the new file begins.
  const size_t at = now_there.find("line ");
  const int first = std::atoi(now_there.c_str() + at + 5);
  CHECK(before.find("line " + std::to_string(first - 1) + "\n") != std::string::npos);
}

TEST_CASE("a cause is logged once per interval, and how many were left out is said") {
  const TempDir dir;
  Result<Log> log = Log::to_file(dir.path("log"), LogLevel::info);
  REQUIRE(log);
  const Time start{1'000'000'000};
  for (int i = 0; i < 5; ++i)
    log->write_limited(LogLevel::warning, "auth", "bad datagram", start + Duration::seconds(i));
  log->write_limited(LogLevel::warning, "other", "something else", start);
  log->write_limited(LogLevel::warning, "auth", "bad datagram", start + Duration::seconds(10));
  const std::string text = *read_file(dir.path("log"));
  CHECK(count_lines(text) == 3);
  CHECK(text.find("bad datagram (and 4 more like it)") != std::string::npos);
}

TEST_CASE("under systemd each line on stderr carries its priority") {
  const TempDir dir;
  Result<Log> unused = Log::to_file(dir.path("err"), LogLevel::info);
  REQUIRE(unused);
  const int saved = ::dup(2);
  FILE* file = std::freopen(dir.path("err").c_str(), "a", stderr);
  REQUIRE(file != nullptr);
  struct stat info {};
  REQUIRE(::fstat(2, &info) == 0);
  ::setenv("JOURNAL_STREAM", (std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino)).c_str(), 1);
  {
    Log log = Log::to_stderr(LogLevel::info);
    log.error("bad");
    log.info("good");
  }
  ::setenv("JOURNAL_STREAM", "1:1", 1);  // inherited from somebody with another stderr
  Log::to_stderr(LogLevel::info).info("plain");
  ::unsetenv("JOURNAL_STREAM");
  ::dup2(saved, 2);
  ::close(saved);
  const std::string text = *read_file(dir.path("err"));
  CHECK(text.find("<3>bad\n<6>good\n") == 0);
  CHECK(text.find("Z info: plain\n") != std::string::npos);
}

TEST_CASE("log levels by name") {
  LogLevel level = LogLevel::error;
  CHECK(parse_log_level("debug", level));
  CHECK(level == LogLevel::debug);
  CHECK_FALSE(parse_log_level("loud", level));
  CHECK_FALSE(parse_log_level("", level));
}

}  // namespace
}  // namespace hawser
