// Timers of two processors under load, as late as the machine makes them.
#include "tests/netlab/emulator/calm.h"

#include <stdio.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/netlab/emulator/histogram.h"
#include "tests/netlab/emulator/packet_socket.h"
#include "tests/netlab/emulator/priority.h"

namespace hawser::netlab {
namespace {

constexpr Duration kPause = Duration::seconds(2);
constexpr size_t kBusy = 2;  // processors, as a measurement keeps them; more could exceed what a container may use
constexpr Duration kTick = Duration::millis(1);
constexpr Duration kWork = Duration::micros(600);  // of each tick

std::vector<Duration> lateness_of(int cpu, Time begin, Time end) {
  stay_on(cpu);
  schedule_first(2);
  std::vector<Duration> late;
  for (Time tick = begin; tick < end; tick = tick + kTick) {
    sleep_until(tick);
    late.push_back(monotonic_now() - tick);
    while (monotonic_now() < tick + kWork) {}
  }
  return late;
}

}  // namespace

Duration lateness_under_load(Duration window) {
  const std::vector<int> processors = own_processors();
  std::vector<std::vector<Duration>> late(std::min(kBusy, processors.size()));
  std::vector<std::thread> threads;
  const Time begin = monotonic_now() + kTick;
  for (size_t i = 0; i < late.size(); ++i) {
    threads.emplace_back([cpu = processors[i], begin, window, &l = late[i]] { l = lateness_of(cpu, begin, begin + window); });
  }
  for (std::thread& t : threads) t.join();
  Histogram either;
  for (size_t tick = 0; !late.empty() && tick < late[0].size(); ++tick) {
    Duration least = Duration::infinite();
    for (const auto& l : late) least = std::min(least, l[tick]);
    either.add(least);
  }
  return either.percentile(0.999);
}

bool wait_for_calm(Duration limit, Duration window, Duration patience) {
  const Time end = monotonic_now() + patience;
  for (bool told = false;; told = true) {
    const Duration late = lateness_under_load(window);
    if (late <= limit) return true;
    const bool last = monotonic_now() + kPause + window > end;
    if (last || !told) {
      fprintf(stderr, "hawser-netem: %s: timers are late by %.1f ms (p99.9)\n",
              last ? "the machine is not quiet" : "waiting for a quiet machine", late.to_millis());
    }
    if (last) return false;
    std::this_thread::sleep_for(std::chrono::nanoseconds(kPause.ns));
  }
}

}  // namespace hawser::netlab
