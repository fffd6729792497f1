// Programs, systemd, capabilities, terminals. Daemons and locks are in daemon.cc.
#include "platform/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "platform/linux/oserror.h"

extern char** environ;

namespace hawser {
namespace {

constexpr size_t kMaxOutput = 1 << 20;

// PATH as the user has it, then where system programs live (a plain user's PATH often lacks sbin).
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
  const char* path = std::getenv("PATH");
  const std::string folders =
      std::string(path != nullptr ? path : "") + ":/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin";
  for (size_t begin = 0; begin <= folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string candidate = folders.substr(begin, end - begin) + "/" + name;
    if (end > begin && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return {};
}

// A file in memory: input and output of a program without pipes that could fill up and block both sides.
UniqueFd memory_file(std::string_view content) {
  UniqueFd fd(::memfd_create("hawser", MFD_CLOEXEC));
  while (fd && !content.empty()) {
    const ssize_t n = ::write(fd.get(), content.data(), content.size());
    if (n <= 0) return {};
    content.remove_prefix(static_cast<size_t>(n));
  }
  if (fd) ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::string read_back(const UniqueFd& fd) {
  std::string text;
  char buffer[8192];
  off_t at = 0;
  for (ssize_t n = 0; text.size() < kMaxOutput && (n = ::pread(fd.get(), buffer, sizeof buffer, at)) > 0; at += n) {
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

volatile std::sig_atomic_t prompt_interrupted = 0;

// No echo while this lives. Ctrl-C must not leave the user with a terminal that stays silent, so signals wait.
class SilentTerminal {
 public:
  SilentTerminal(const UniqueFd& terminal, const std::string& prompt) : fd_(terminal.get()) {
    active_ = terminal && ::tcgetattr(fd_, &saved_) == 0;
    if (!active_) return;
    prompt_interrupted = 0;
    struct sigaction action {};
    action.sa_handler = [](int signal) { prompt_interrupted = signal; };
    sigset_t all;
    sigemptyset(&all);
    for (const int signal : kSignals) sigaddset(&all, signal);
    ::sigprocmask(SIG_BLOCK, &all, &old_mask_);
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &action, &old_actions_[i]);
    termios silent = saved_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    ::tcsetattr(fd_, TCSAFLUSH, &silent);
    if (::write(fd_, prompt.data(), prompt.size()) < 0) return;  // then the user types unasked
  }
  ~SilentTerminal() {
    if (!active_) return;
    ::tcsetattr(fd_, TCSAFLUSH, &saved_);
    for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &old_actions_[i], nullptr);
    ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  }
  // Waits until there is something to read, here only open to signals, so that none slips in before the sleep.
  // False when one came.
  bool wait() const {
    pollfd wanted{fd_, POLLIN, 0};
    if (active_) ::ppoll(&wanted, 1, nullptr, &old_mask_);
    return !active_ || prompt_interrupted == 0;
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  static constexpr std::array<int, 3> kSignals{SIGINT, SIGTERM, SIGHUP};
  int fd_;
  bool active_ = false;
  termios saved_{};
  sigset_t old_mask_{};
  std::array<struct sigaction, 3> old_actions_{};
};

}  // namespace

Result<ProgramResult> run_program(const std::vector<std::string>& argv, std::string_view stdin_text) {
  const std::string program = argv.empty() ? std::string() : find_program(argv[0]);
  if (program.empty()) {
    return Error{ExitCode::system_integration, "there is no program " + (argv.empty() ? std::string("\"\"") : argv[0])};
  }
  const UniqueFd in = memory_file(stdin_text), out = memory_file({}), err = memory_file({});
  if (!in || !out || !err) return os_error(ExitCode::unexpected, "cannot make a file in memory", errno);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, in.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, err.get(), 2);
  // Our signal handling is not the program's business.
  sigset_t none, defaults;
  sigemptyset(&none);
  sigfillset(&defaults);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return os_error(ExitCode::system_integration, "cannot run " + program, error);

  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  ProgramResult result;
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.output = read_back(out);
  result.errors = read_back(err);
  return result;
}

bool systemd_is_running() {
  struct stat info {};
  return ::lstat("/run/systemd/system", &info) == 0 && S_ISDIR(info.st_mode);  // sd_booted(3)
}

bool sd_notify(std::string_view message) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string_view name(path);
  if (name.size() >= sizeof address.sun_path) return false;
  name.copy(address.sun_path, name.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd && ::sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
                        length) == static_cast<ssize_t>(message.size());
}

Duration watchdog_interval() {
  const char* microseconds = std::getenv("WATCHDOG_USEC");
  const char* pid = std::getenv("WATCHDOG_PID");
  if (microseconds == nullptr || (pid != nullptr && std::atoi(pid) != ::getpid())) return Duration::infinite();
  const long long value = std::atoll(microseconds);
  return value > 0 ? Duration::micros(value / 2) : Duration::infinite();
}

void protect_process_memory() {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

bool lock_memory(void* begin, size_t length) {
  return ::mlock(begin, length) == 0;
}

uint32_t effective_uid() {
  return ::geteuid();
}

int process_id() {
  return ::getpid();
}

bool has_net_admin() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0) return ::geteuid() == 0;
  return (data[0].effective & (1u << CAP_NET_ADMIN)) != 0;
}

bool is_terminal(int fd) {
  return ::isatty(fd) == 1;
}

unsigned terminal_width() {
  winsize size{};
  if (::ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

Result<std::string> read_secret_line(const std::string& prompt) {
  // The terminal itself, so that the prompt does not end in a redirected stderr.
  const UniqueFd terminal(is_terminal(0) ? ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1);
  const int fd = terminal ? terminal.get() : 0;
  std::string line;
  bool interrupted = false;
  {
    const SilentTerminal silence(terminal, prompt);
    char c = 0;
    while (line.size() < 4096) {
      if (!silence.wait()) {
        interrupted = true;
        break;
      }
      const ssize_t n = ::read(fd, &c, 1);  // byte by byte: what follows the line is somebody else's
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0 || c == '\n') break;
      line += c;
    }
  }
  if (interrupted) return Error{ExitCode::interrupted, "interrupted"};
  const size_t begin = line.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return Error{ExitCode::usage, "nothing was entered"};
  return line.substr(begin, line.find_last_not_of(" \t\r\n") - begin + 1);
}

}  // namespace hawser
