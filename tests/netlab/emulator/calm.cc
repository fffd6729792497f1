// Timers of two processors under load, as late as the machine makes them.
#include "tests/netlab/emulator/calm.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/netlab/emulator/histogram.h"
#include "tests/netlab/emulator/packet_socket.h"
#include "tests/netlab/emulator/priority.h"

namespace hawser::netlab {
namespace {

constexpr Duration kWindow = Duration::seconds(1);
constexpr Duration kPause = Duration::seconds(2);
constexpr int kWindows = 5;  // in a row
constexpr size_t kBusy = 2;  // processors, as a measurement keeps them; more could exceed what a container may use
constexpr Duration kTick = Duration::millis(1);
constexpr Duration kWork = Duration::micros(600);  // of each tick

void sleep_until(Time t) {
  const timespec at{t.ns / 1'000'000'000, t.ns % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {}
}

std::vector<Duration> lateness_of(int cpu, Duration window) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
  schedule_first(2);
  std::vector<Duration> late;
  Time tick = monotonic_now();
  for (const Time end = tick + window; tick < end; tick = tick + kTick) {
    sleep_until(tick);
    late.push_back(monotonic_now() - tick);
    while (monotonic_now() < tick + kWork) {}
  }
  return late;
}

}  // namespace

Duration lateness_under_load(Duration window) {
  cpu_set_t ours;
  if (sched_getaffinity(0, sizeof ours, &ours) != 0) return Duration{};
  std::vector<std::vector<Duration>> late(std::min(kBusy, static_cast<size_t>(CPU_COUNT(&ours))));
  std::vector<std::thread> threads;
  for (int cpu = 0; cpu < CPU_SETSIZE && threads.size() < late.size(); ++cpu) {
    if (CPU_ISSET(cpu, &ours)) threads.emplace_back([cpu, window, &l = late[threads.size()]] { l = lateness_of(cpu, window); });
  }
  for (std::thread& t : threads) t.join();
  Histogram all;
  for (const auto& l : late) {
    for (Duration d : l) all.add(d);
  }
  return all.percentile(0.999);
}

bool wait_for_calm(Duration limit, Duration patience) {
  const Time end = monotonic_now() + patience;
  bool told = false;
  for (int quiet = 0; quiet < kWindows;) {
    const Duration late = lateness_under_load(kWindow);
    quiet = late <= limit ? quiet + 1 : 0;
    if (quiet > 0) continue;
    const bool last = monotonic_now() + kPause + kWindow * kWindows > end;
    if (last || !told) {
      fprintf(stderr, "hawser-netem: %s: timers are late by %.1f ms (p99.9)\n",
              last ? "the machine is not quiet" : "waiting for a quiet machine", late.to_millis());
    }
    if (last) return false;
    told = true;
    std::this_thread::sleep_for(std::chrono::nanoseconds(kPause.ns));
  }
  return true;
}

}  // namespace hawser::netlab
