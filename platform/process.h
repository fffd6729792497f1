// Being a daemon: fork with a verdict, the instance's lock, systemd's notifications, hardening of our own process.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/types.h"
#include "platform/fd.h"

namespace hawser {

// The daemon's end of the pipe on which the waiting command gets its verdict. A default one is for the foreground: it
// prints nothing and does nothing.
class Verdict {
 public:
  Verdict() = default;
  explicit Verdict(UniqueFd pipe) : pipe_(std::move(pipe)) {}
  // Text that the waiting command prints at once: progress, on its stderr.
  void progress(std::string_view line);
  // The final word: the exit code and what goes to stdout (`code` ok) or stderr. Only the first counts.
  void give(ExitCode code, std::string_view text);
  bool given() const { return !pipe_; }

 private:
  UniqueFd pipe_;
};

// Forks. The child leads a session of its own, stdin and stdout are /dev/null (stderr too, after give()), and runs
// `daemon` to its end with exit code as returned. The parent waits for the verdict, prints it, and this returns its
// exit code: `unexpected` with a message naming `log_hint` when the child died without one; `interrupted` when the user
// pressed Ctrl-C meanwhile (the child gets SIGINT and undoes what it did). Call before any thread, loop or socket
// exists.
Result<ExitCode> daemonize(const std::string& log_hint, const std::function<ExitCode(Verdict&)>& daemon);

// Who holds the lock on RUN_DIR/NAME/lock is the instance; it is released by the kernel when the process ends.
class InstanceLock {
 public:
  // Makes the folder `directory` (0755) and takes directory/lock. Held by another: conflict.
  static Result<InstanceLock> acquire(const std::string& directory);
  // Whether a process holds the lock now.
  static bool held(const std::string& directory);

  InstanceLock(InstanceLock&&) noexcept = default;
  InstanceLock& operator=(InstanceLock&& other) noexcept;
  // Releases it and removes the file, and the folder when nothing else is in it.
  ~InstanceLock();

 private:
  InstanceLock(std::string directory, UniqueFd fd) : directory_(std::move(directory)), fd_(std::move(fd)) {}
  void release();

  std::string directory_;
  UniqueFd fd_;
};

// Tells systemd ("READY=1", "STATUS=...", "STOPPING=1", "WATCHDOG=1") if NOTIFY_SOCKET is set; else does nothing.
// Returns whether a message went out.
bool sd_notify(std::string_view message);
// Half of WATCHDOG_USEC, when systemd wants to hear WATCHDOG=1; else infinite.
Duration watchdog_interval();

// No core dump, no ptrace by the same user: keys stay in the process.
void protect_process_memory();
// Keeps what is in memory now from being swapped; false when RLIMIT_MEMLOCK does not allow it.
bool lock_memory(void* begin, size_t length);

// Runs a program found in PATH or the system's sbin folders, without a shell, and waits for it.
struct ProgramResult {
  int exit_status = 0;  // 128 + n when signal n ended it
  std::string output, errors;
};
// Error system_integration when there is no such program.
Result<ProgramResult> run_program(const std::vector<std::string>& argv, std::string_view stdin_text = {});
// Whether systemd is PID 1 of this machine.
bool systemd_is_running();

uint32_t effective_uid();
// Whether this process may change the network (CAP_NET_ADMIN in the effective set).
bool has_net_admin();
int process_id();

// A terminal's ways. `fd` 0, 1 or 2.
bool is_terminal(int fd);
unsigned terminal_width();
// Reads a line from the terminal without echo, prompting on it; from stdin when that is not a terminal. At most 4096
// bytes, surrounding white space removed. Errors: usage when nothing came, interrupted on Ctrl-C.
Result<std::string> read_secret_line(const std::string& prompt);

}  // namespace hawser
