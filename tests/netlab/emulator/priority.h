// Threads that measure: on their own processors and before all others, as far as the system permits, because a measurement must
// not wait for what it measures.
#pragma once

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "common/types.h"

namespace hawser::netlab {

// Asks for the shortest time slice, which Linux 6.12 and later reward with earlier turns; anybody may. The C library of
// Debian 12 lacks this call and its structure (sched_setattr(2)).
inline bool request_short_slice() {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes{};
  attributes.size = sizeof attributes;
  attributes.runtime = 100'000;  // nanoseconds
  return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

// "fifo", "nice" or, where both are forbidden (user namespaces), "slice" or "normal".
// `rank` orders such processes among each other: the emulator goes before the probes.
inline const char* schedule_first(int rank) {
  prctl(PR_SET_TIMERSLACK, 1);
  sched_param priority{};
  priority.sched_priority = rank;
  if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) == 0) return "fifo";
  if (setpriority(PRIO_PROCESS, 0, -15) == 0) return "nice";
  return request_short_slice() ? "slice" : "normal";
}

// The processors this process may use, in their order.
inline std::vector<int> own_processors() {
  cpu_set_t ours;
  std::vector<int> processors;
  if (sched_getaffinity(0, sizeof ours, &ours) != 0) return processors;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &ours)) processors.push_back(cpu);
  }
  return processors;
}

// The calling thread alone.
inline void stay_on(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  sched_setaffinity(0, sizeof one, &one);
}

inline void sleep_until(Time t) {
  const timespec at{t.ns / 1'000'000'000, t.ns % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {}
}

}  // namespace hawser::netlab
