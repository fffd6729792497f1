// Threads: one that cannot be started is an error and leaves the signals alone.
#include "platform/thread.h"

#include <pthread.h>
#include <signal.h>

#include <catch2/catch.hpp>

namespace hawser {
namespace {

TEST_CASE("a thread that cannot be started is an error for people, and the signal mask is as before") {
  sigset_t before, after;
  ::sigemptyset(&before);
  ::sigaddset(&before, SIGUSR2);
  REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);

  // A stack larger than the address space: no thread can have it.
  pthread_attr_t usual, huge;
  REQUIRE(::pthread_getattr_default_np(&usual) == 0);
  ::pthread_attr_init(&huge);
  REQUIRE(::pthread_attr_setstacksize(&huge, size_t{1} << 60) == 0);
  REQUIRE(::pthread_setattr_default_np(&huge) == 0);
  bool ran = false;
  const auto none = start_thread("worker-7", [&] { ran = true; });
  REQUIRE(::pthread_setattr_default_np(&usual) == 0);
  ::pthread_attr_destroy(&huge);
  ::pthread_attr_destroy(&usual);
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ExitCode::system_integration);
  CHECK(none.error().message.find("cannot start the thread worker-7") == 0);
  CHECK_FALSE(ran);

  auto one = start_thread("worker-8", [&] { ran = true; });
  REQUIRE(one);
  one->join();
  CHECK(ran);
  REQUIRE(::pthread_sigmask(SIG_SETMASK, nullptr, &after) == 0);
  CHECK(::sigismember(&after, SIGUSR2) == 1);
  CHECK(::sigismember(&after, SIGTERM) == 0);
  ::sigemptyset(&before);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace hawser
