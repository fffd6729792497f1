// The log of a daemon: one line per change of state. To stderr in the foreground, with journald's priority prefixes
// under systemd, else to a file that is rotated at 1 MB. Not for the packet path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/types.h"

namespace hawser {

enum class LogLevel : uint8_t { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };  // syslog's numbers

class Log {
 public:
  // stderr: plain text with a time stamp, or `<6>text` when JOURNAL_STREAM names our stderr.
  static Log to_stderr(LogLevel level);
  // `path` is created 0600 (folders 0700); at `limit` bytes it becomes path.1, replacing the one before.
  static Result<Log> to_file(const std::string& path, LogLevel level, size_t limit = 1 << 20);
  Log(Log&&) noexcept;
  Log& operator=(Log&&) noexcept;
  ~Log();

  void write(LogLevel level, std::string_view text);
  void error(std::string_view text) { write(LogLevel::error, text); }
  void warning(std::string_view text) { write(LogLevel::warning, text); }
  void notice(std::string_view text) { write(LogLevel::notice, text); }
  void info(std::string_view text) { write(LogLevel::info, text); }
  void debug(std::string_view text) { write(LogLevel::debug, text); }
  // At most one line per `cause` and interval; the next line that passes says how many were left out.
  void write_limited(LogLevel level, std::string_view cause, std::string_view text, Time now,
                     Duration interval = Duration::seconds(10));

  bool enabled(LogLevel level) const;
  void set_level(LogLevel level);
  // "stderr", "the journal" or the file's path: for "see ..." in error messages.
  std::string where() const;

 private:
  struct State;
  explicit Log(State* state);
  State* state_ = nullptr;
};

// "error", "warning", "notice", "info", "debug"; nothing else parses.
bool parse_log_level(std::string_view text, LogLevel& level);

}  // namespace hawser
