// Forking a daemon with a verdict, and the lock that makes it the only one.
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "platform/clock.h"
#include "platform/files.h"
#include "platform/linux/oserror.h"
#include "platform/process.h"

namespace hawser {
namespace {

// On the pipe: 'p' and a line of progress, or 'v', the exit code as one byte, and the text up to the end of the pipe.
constexpr char kProgress = 'p';
constexpr char kVerdict = 'v';

void write_fully(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the waiting command is gone; the daemon lives on
    text.remove_prefix(static_cast<size_t>(n));
  }
}

void to_null(int fd) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (null) ::dup2(null.get(), fd);
}

volatile std::sig_atomic_t interrupted_by = 0;
void on_interrupt(int signal) {
  interrupted_by = signal;
}

// Ctrl-C reaches only the parent, for the child has a session of its own; while this lives, the parent notes it. The
// signals are blocked but inside ppoll, so that none is missed between a look and the next sleep.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted_by = 0;
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &both, &old_mask_);
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    ::sigaction(SIGINT, &action, &old_interrupt_);
    ::sigaction(SIGTERM, &action, &old_terminate_);
  }
  ~InterruptGuard() {
    ::sigaction(SIGINT, &old_interrupt_, nullptr);
    ::sigaction(SIGTERM, &old_terminate_, nullptr);
    ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  void wait_readable(int fd) const {
    pollfd wanted{fd, POLLIN, 0};
    ::ppoll(&wanted, 1, nullptr, &old_mask_);
  }

 private:
  sigset_t old_mask_{};
  struct sigaction old_interrupt_ {
  }, old_terminate_{};
};

struct Heard {
  std::optional<int> code;
  std::string text;
};

// Everything the daemon says until it gives its verdict or closes the pipe by dying.
Heard listen(int pipe, pid_t child, const InterruptGuard& guard) {
  std::string data;
  bool passed_on = false;
  for (;;) {
    guard.wait_readable(pipe);
    if (interrupted_by != 0 && !passed_on) {
      ::kill(child, SIGINT);  // it undoes what it did, then closes the pipe
      passed_on = true;
    }
    char buffer[4096];
    const ssize_t n = ::read(pipe, buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) break;
    data.append(buffer, static_cast<size_t>(n));
    while (!data.empty() && data[0] == kProgress) {
      const size_t end = data.find('\n');
      if (end == std::string::npos) break;
      std::fwrite(data.data() + 1, 1, end, stderr);
      std::fflush(stderr);
      data.erase(0, end + 1);
    }
  }
  Heard heard;
  if (data.size() >= 2 && data[0] == kVerdict) {
    heard.code = static_cast<unsigned char>(data[1]);
    heard.text = data.substr(2);
  }
  return heard;
}

}  // namespace

void Verdict::progress(std::string_view line) {
  if (pipe_) write_fully(pipe_.get(), kProgress + std::string(line) + "\n");
}

void Verdict::give(ExitCode code, std::string_view text) {
  if (!pipe_) return;
  std::string message{kVerdict, static_cast<char>(code)};
  message += text;
  write_fully(pipe_.get(), message);
  pipe_.reset();
  to_null(2);  // the terminal is its user's again
}

Result<ExitCode> daemonize(const std::string& log_hint, const std::function<ExitCode(Verdict&)>& daemon) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os_error(ExitCode::unexpected, "cannot make a pipe", errno);
  UniqueFd reading(ends[0]), writing(ends[1]);
  ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);
  std::fflush(nullptr);  // else both processes print what is still buffered
  const pid_t child = ::fork();
  if (child < 0) return os_error(ExitCode::unexpected, "cannot start a process", errno);
  if (child == 0) {
    reading.reset();
    ::setsid();
    ::signal(SIGPIPE, SIG_IGN);  // a command that did not wait for the verdict must not end the daemon
    to_null(0);
    to_null(1);
    Verdict verdict(std::move(writing));
    const ExitCode code = daemon(verdict);
    std::exit(static_cast<int>(code));
  }
  writing.reset();
  Heard heard;
  bool was_interrupted = false;
  {
    const InterruptGuard guard;
    heard = listen(reading.get(), child, guard);
    was_interrupted = interrupted_by != 0;
  }
  if (was_interrupted && heard.code != static_cast<int>(ExitCode::ok)) {
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return ExitCode::interrupted;
  }
  if (!heard.code) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const std::string how = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status))
                                                : "ended with status " + std::to_string(WEXITSTATUS(status));
    return Error{ExitCode::unexpected, "the daemon " + how + " before it was ready. See " + log_hint};
  }
  const auto code = static_cast<ExitCode>(*heard.code);
  if (!heard.text.empty()) {
    FILE* stream = code == ExitCode::ok ? stdout : stderr;
    std::fprintf(stream, "%s%s", heard.text.c_str(), heard.text.back() == '\n' ? "" : "\n");
    std::fflush(stream);
  }
  return code;
}

InstanceLock& InstanceLock::operator=(InstanceLock&& other) noexcept {
  if (this != &other) {
    release();
    directory_ = std::move(other.directory_);
    fd_ = std::move(other.fd_);
  }
  return *this;
}

InstanceLock::~InstanceLock() {
  release();
}

void InstanceLock::release() {
  if (!fd_) return;
  // Removed while still held; who waits for it sees that his file is no longer the one in the folder.
  ::unlink((directory_ + "/lock").c_str());
  fd_.reset();
  ::rmdir(directory_.c_str());  // stays when other files are there
}

Result<InstanceLock> InstanceLock::acquire(const std::string& directory) {
  const std::string path = directory + "/lock";
  constexpr int kAttempts = 20;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (Status made = make_directories(directory, 0755); !made) return made.error();
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd && errno == ENOENT) continue;  // the folder went with the last holder
    if (!fd) return os_error(ExitCode::system_integration, "cannot open the lock " + path, errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      struct stat ours {
      }, there{};
      const bool same = ::fstat(fd.get(), &ours) == 0 && ::stat(path.c_str(), &there) == 0 &&
                        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
      if (same) return InstanceLock(directory, std::move(fd));
      continue;
    }
    if (errno != EWOULDBLOCK) return os_error(ExitCode::system_integration, "cannot take the lock " + path, errno);
    // held() takes it for a moment only; a real holder keeps it.
    ::usleep(2'000);
  }
  return Error{ExitCode::conflict, "another process holds " + path + ": it is running already"};
}

bool InstanceLock::held(const std::string& directory) {
  const UniqueFd fd(::open((directory + "/lock").c_str(), O_RDONLY | O_CLOEXEC));
  return fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace hawser
