// Descriptors, clocks and randomness: the smallest calls.
#include <fcntl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "platform/clock.h"
#include "platform/fd.h"
#include "platform/rng.h"

namespace hawser {

void UniqueFd::reset(int fd) {
  // close() is never repeated on EINTR: on Linux the descriptor is gone by then, and the number may be another's.
  if (fd_ >= 0 && fd_ != fd) ::close(fd_);
  fd_ = fd;
}

Time now() {
  timespec ts{};
  ::clock_gettime(CLOCK_BOOTTIME, &ts);
  return {static_cast<int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec};
}

int64_t wall_seconds() {
  timespec ts{};
  ::clock_gettime(CLOCK_REALTIME, &ts);
  return ts.tv_sec;
}

std::string to_iso8601(int64_t seconds) {
  const time_t t = static_cast<time_t>(seconds);
  tm parts{};
  if (::gmtime_r(&t, &parts) == nullptr) return "?";
  char text[40];
  const size_t n = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, n);
}

Duration cpu_time() {
  timespec ts{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return {static_cast<int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec};
}

void SystemRng::fill(MutableByteSpan out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::getrandom(out.data() + done, out.size() - done, 0);
    if (n > 0) {
      done += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      std::fputs("hawser: the kernel gives no random bytes (getrandom failed); stopping, for keys need them\n", stderr);
      std::abort();
    }
  }
}

}  // namespace hawser
