// Where log lines go: stderr, journald through stderr, or a file with one rotated predecessor.
#include "platform/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/files.h"
#include "platform/linux/oserror.h"

namespace hawser {
namespace {

constexpr size_t kMaxLine = 4096;
constexpr size_t kMaxCauses = 1024;

constexpr std::string_view kLevelNames[] = {"", "", "", "error", "warning", "notice", "info", "debug"};

std::string_view name(LogLevel level) {
  return kLevelNames[static_cast<size_t>(level)];
}

// Whether our stderr is the very stream that systemd gave us: JOURNAL_STREAM is inherited by children with other
// stderrs.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (stream == nullptr || ::fstat(2, &info) != 0) return false;
  return std::string(stream) == std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

// One line stays one line: text from outside must not be able to fake another.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text.substr(0, kMaxLine)) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  return line;
}

}  // namespace

struct Log::State {
  LogLevel level = LogLevel::info;
  bool journal = false;
  std::string path;  // empty: stderr
  UniqueFd file;
  size_t size = 0;
  size_t limit = 0;
  struct Cause {
    Time last;
    uint64_t left_out = 0;
  };
  std::map<std::string, Cause, std::less<>> causes;

  Status open_file() {
    file.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return os_error(ExitCode::system_integration, "cannot write the log " + path, errno);
    struct stat info {};
    size = ::fstat(file.get(), &info) == 0 ? static_cast<size_t>(info.st_size) : 0;
    return Done{};
  }

  void put(const std::string& line) {
    if (!path.empty() && size + line.size() > limit && size > 0) {
      ::rename(path.c_str(), (path + ".1").c_str());
      if (!open_file()) return;  // no place to complain
    }
    // One write per line, so that lines of two processes do not mix. A full disk must not stop a VPN.
    const ssize_t n = ::write(path.empty() ? 2 : file.get(), line.data(), line.size());
    if (n > 0) size += static_cast<size_t>(n);
  }
};

Log::Log(State* state) : state_(state) {}
Log::Log(Log&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
Log& Log::operator=(Log&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
Log::~Log() {
  delete state_;
}

Log Log::to_stderr(LogLevel level) {
  auto* state = new State;
  state->level = level;
  state->journal = stderr_is_journal();
  return Log(state);
}

Result<Log> Log::to_file(const std::string& path, LogLevel level, size_t limit) {
  if (Status made = make_directories(parent_directory(path), 0700); !made) return made.error();
  Log log(new State);
  log.state_->level = level;
  log.state_->path = path;
  log.state_->limit = limit;
  if (Status opened = log.state_->open_file(); !opened) return opened.error();
  return log;
}

void Log::write(LogLevel level, std::string_view text) {
  if (!enabled(level)) return;
  if (state_->journal) {
    state_->put("<" + std::to_string(static_cast<int>(level)) + ">" + one_line(text) + "\n");
  } else {
    state_->put(to_iso8601(wall_seconds()) + " " + std::string(name(level)) + ": " + one_line(text) + "\n");
  }
}

void Log::write_limited(LogLevel level, std::string_view cause, std::string_view text, Time now, Duration interval) {
  if (!enabled(level)) return;
  auto found = state_->causes.find(cause);
  if (found == state_->causes.end()) {
    if (state_->causes.size() >= kMaxCauses) state_->causes.clear();
    found = state_->causes.emplace(std::string(cause), State::Cause{}).first;
  } else if (now - found->second.last < interval) {
    ++found->second.left_out;
    return;
  }
  const uint64_t left_out = std::exchange(found->second.left_out, 0);
  found->second.last = now;
  write(level,
        left_out == 0 ? std::string(text) : std::string(text) + " (and " + std::to_string(left_out) + " more like it)");
}

bool Log::enabled(LogLevel level) const {
  return state_ != nullptr && level <= state_->level;
}

void Log::set_level(LogLevel level) {
  if (state_ != nullptr) state_->level = level;
}

std::string Log::where() const {
  if (state_ == nullptr) return "nowhere";
  if (!state_->path.empty()) return state_->path;
  return state_->journal ? "the journal" : "stderr";
}

bool parse_log_level(std::string_view text, LogLevel& level) {
  for (size_t i = static_cast<size_t>(LogLevel::error); i <= static_cast<size_t>(LogLevel::debug); ++i) {
    if (kLevelNames[i] == text) {
      level = static_cast<LogLevel>(i);
      return true;
    }
  }
  return false;
}

}  // namespace hawser
