// Daemons and their verdicts, instance locks, programs run without a shell, notifications to systemd.
#include <fcntl.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>

#include "netns.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/process.h"

namespace hawser {
namespace {

using testing::TempDir;

// daemonize() prints on our stdout and stderr: caught here.
struct Caught {
  Result<ExitCode> result = ExitCode::unexpected;
  std::string out, err;
};
Caught run_daemon(const std::function<ExitCode(Verdict&)>& daemon) {
  const TempDir dir;
  std::fflush(nullptr);
  const int out = ::dup(1), err = ::dup(2);
  const UniqueFd to_out(::open(dir.path("out").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  const UniqueFd to_err(::open(dir.path("err").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  ::dup2(to_out.get(), 1);
  ::dup2(to_err.get(), 2);
  Caught caught;
  caught.result = daemonize("/var/lib/hawser/home/log", [&](Verdict& verdict) -> ExitCode {
    ::_exit(static_cast<int>(daemon(verdict)));  // not through Catch's ends
  });
  std::fflush(nullptr);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::close(out);
  ::close(err);
  caught.out = *read_file(dir.path("out"));
  caught.err = *read_file(dir.path("err"));
  return caught;
}

TEST_CASE("the command gets the daemon's verdict, and the daemon lives on with a session of its own") {
  const TempDir dir;
  const std::string proof = dir.path("proof");
  const pid_t our_session = ::getsid(0);
  const Caught good = run_daemon([&](Verdict& verdict) {
    verdict.progress("waiting for an answer");
    verdict.give(ExitCode::ok, "home: connected");
    verdict.give(ExitCode::refused, "the first word counts");
    ::usleep(50'000);
    const bool own_session = ::getsid(0) != our_session;
    (void)write_file_atomic(proof, own_session ? "own" : "shared");
    return ExitCode::ok;
  });
  REQUIRE(good.result);
  CHECK(*good.result == ExitCode::ok);
  CHECK(good.out == "home: connected\n");
  CHECK(good.err == "waiting for an answer\n");
  CHECK_FALSE(file_exists(proof));  // it did not wait for the end
  for (int i = 0; i < 200 && !file_exists(proof); ++i) ::usleep(10'000);
  CHECK(*read_file(proof) == "own");
  ::wait(nullptr);
}

TEST_CASE("a failing daemon's message goes to stderr with its exit code") {
  const Caught bad = run_daemon([](Verdict& verdict) {
    verdict.give(ExitCode::no_answer, "no answer from 203.0.113.7:443");
    return ExitCode::no_answer;
  });
  REQUIRE(bad.result);
  CHECK(*bad.result == ExitCode::no_answer);
  CHECK(bad.out.empty());
  CHECK(bad.err == "no answer from 203.0.113.7:443\n");
  ::wait(nullptr);
}

TEST_CASE("a daemon that dies without a verdict is reported with where to look") {
  const Caught dead = run_daemon([](Verdict&) {
    ::raise(SIGKILL);
    return ExitCode::ok;
  });
  REQUIRE_FALSE(dead.result);
  CHECK(dead.result.error().message.find("signal 9") != std::string::npos);
  CHECK(dead.result.error().message.find("/var/lib/hawser/home/log") != std::string::npos);
}

TEST_CASE("Ctrl-C while waiting interrupts the daemon, too") {
  const TempDir dir;
  const std::string proof = dir.path("proof");
  const pid_t waiting = ::getpid();
  const Caught interrupted = run_daemon([&](Verdict&) {
    static volatile std::sig_atomic_t told = 0;
    std::signal(SIGINT, [](int) { told = 1; });
    ::kill(waiting, SIGINT);
    for (int i = 0; i < 500 && told == 0; ++i) ::usleep(10'000);
    (void)write_file_atomic(proof, told != 0 ? "told" : "not told");
    return ExitCode::interrupted;
  });
  REQUIRE(interrupted.result);
  CHECK(*interrupted.result == ExitCode::interrupted);
  CHECK(*read_file(proof) == "told");
}

TEST_CASE("one holder of the lock at a time, and nothing is left behind") {
  const TempDir dir;
  const std::string folder = dir.path("run/home");
  CHECK_FALSE(InstanceLock::held(folder));
  {
    Result<InstanceLock> lock = InstanceLock::acquire(folder);
    REQUIRE(lock);
    CHECK(InstanceLock::held(folder));
    const Result<InstanceLock> second = InstanceLock::acquire(folder);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ExitCode::conflict);
    InstanceLock moved = std::move(*lock);
    CHECK(InstanceLock::held(folder));
  }
  CHECK_FALSE(InstanceLock::held(folder));
  CHECK_FALSE(file_exists(folder));
  CHECK(InstanceLock::acquire(folder));
}

TEST_CASE("the lock of a killed process is free") {
  const TempDir dir;
  const std::string folder = dir.path("home");
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const Result<InstanceLock> lock = InstanceLock::acquire(folder);
    const char result = lock ? 'y' : 'n';
    if (::write(ends[1], &result, 1) == 1) ::pause();
    ::_exit(0);
  }
  char taken = 0;
  REQUIRE(::read(ends[0], &taken, 1) == 1);
  CHECK(taken == 'y');
  CHECK(InstanceLock::held(folder));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(InstanceLock::held(folder));
  CHECK(InstanceLock::acquire(folder));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("programs run without a shell, with input, output and status") {
  const Result<ProgramResult> cat = run_program({"cat"}, "some $HOME; `text`");
  REQUIRE(cat);
  CHECK(cat->output == "some $HOME; `text`");
  CHECK(cat->exit_status == 0);
  const Result<ProgramResult> status = run_program({"sh", "-c", "echo bad >&2; exit 7"});
  REQUIRE(status);
  CHECK(status->exit_status == 7);
  CHECK(status->errors == "bad\n");
  const Result<ProgramResult> killed = run_program({"sh", "-c", "kill -9 $$"});
  REQUIRE(killed);
  CHECK(killed->exit_status == 128 + 9);
  const Result<ProgramResult> none = run_program({"no-such-program-here"});
  REQUIRE_FALSE(none);
  CHECK(none.error().message.find("no-such-program-here") != std::string::npos);
}

TEST_CASE("systemd is told by a path and by an abstract socket") {
  CHECK_FALSE(sd_notify("READY=1"));
  const TempDir dir;
  const std::string abstract = "@hawser-test-" + std::to_string(::getpid());
  for (const std::string& name : {dir.path("notify"), abstract}) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    CHECK(sd_notify("READY=1\nSTATUS=connected"));
    char text[64];
    const ssize_t n = ::recv(fd.get(), text, sizeof text, MSG_DONTWAIT);
    REQUIRE(n > 0);
    CHECK(std::string(text, static_cast<size_t>(n)) == "READY=1\nSTATUS=connected");
  }
  ::unsetenv("NOTIFY_SOCKET");
}

TEST_CASE("a secret piped in is read up to the end of its line and no further") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  REQUIRE(::write(ends[1], "  hawser1:abc \nrest", 18) == 18);
  const int saved = ::dup(0);
  ::dup2(ends[0], 0);
  const Result<std::string> line = read_secret_line("invite: ");
  char rest[8];
  const ssize_t left = ::read(0, rest, sizeof rest);
  ::close(ends[1]);
  const Result<std::string> none = read_secret_line("invite: ");
  ::dup2(saved, 0);
  ::close(saved);
  ::close(ends[0]);
  REQUIRE(line);
  CHECK(*line == "hawser1:abc");
  CHECK(left == 3);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ExitCode::usage);
}

TEST_CASE("a prompt on a terminal is silent, and Ctrl-C leaves the terminal as it was") {
  int out[2];
  REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    const Result<std::string> line = read_secret_line("invite: ");
    termios now_there{};
    const bool echo = ::tcgetattr(0, &now_there) == 0 && (now_there.c_lflag & ECHO) != 0;
    const char told[2] = {line ? 'l' : line.error().code == ExitCode::interrupted ? 'i' : 'e', echo ? 'y' : 'n'};
    ::_exit(::write(out[1], told, 2) == 2 ? 0 : 1);
  }
  REQUIRE(child > 0);
  std::string shown;
  char buffer[256];
  while (shown.find("invite: ") == std::string::npos) {
    const ssize_t n = ::read(terminal, buffer, sizeof buffer);
    REQUIRE(n > 0);
    shown.append(buffer, static_cast<size_t>(n));
  }
  REQUIRE(::write(terminal, "secret\x03", 7) == 7);
  char told[2];
  REQUIRE(::read(out[0], told, 2) == 2);
  CHECK(told[0] == 'i');
  CHECK(told[1] == 'y');
  CHECK(shown.find("secret") == std::string::npos);
  ::waitpid(child, nullptr, 0);
  for (const int fd : {terminal, out[0], out[1]}) ::close(fd);
}

TEST_CASE("the watchdog's interval is half of what systemd waits, and only for us") {
  CHECK(watchdog_interval() == Duration::infinite());
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  CHECK(watchdog_interval() == Duration::seconds(15));
  ::setenv("WATCHDOG_PID", "1", 1);
  CHECK(watchdog_interval() == Duration::infinite());
  ::unsetenv("WATCHDOG_USEC");
  ::unsetenv("WATCHDOG_PID");
}

}  // namespace
}  // namespace hawser
