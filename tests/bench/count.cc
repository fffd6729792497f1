// hawser-engine-count: a fixed number of packets through two engines, for callgrind (instructions.sh) and for counting
// allocations: prints how many packets were delivered and how many allocations the steady state made.
#include <stdio.h>
#include <stdlib.h>

#include <new>

#include "tests/bench/engine_pair.h"

namespace {
uint64_t allocations = 0;
}

// Every allocation of the program goes through here; the C library's own are none of the engine's.
void* operator new(size_t size) {
  ++allocations;
  void* p = malloc(size);
  if (p == nullptr) abort();
  return p;
}
void* operator new[](size_t size) {
  return operator new(size);
}
void operator delete(void* p) noexcept {
  free(p);
}
void operator delete[](void* p) noexcept {
  free(p);
}
void operator delete(void* p, size_t) noexcept {
  free(p);
}
void operator delete[](void* p, size_t) noexcept {
  free(p);
}

int main(int argc, char** argv) {
  using namespace hawser;
  const int steps = argc > 1 ? atoi(argv[1]) : 1000;
  bench::EnginePair pair(1400, [](uint8_t, const SecretKey&) { return std::make_unique<bench::FreeCipher>(); });
  constexpr size_t kPerStep = 40;  // 450 Mbit/s
  for (int i = 0; i < steps; ++i) pair.step(kPerStep);
  const uint64_t delivered = pair.delivered, before = allocations;
  for (int i = 0; i < steps; ++i) pair.step(kPerStep);
  printf("%llu packets delivered, %llu allocations\n", static_cast<unsigned long long>(pair.delivered - delivered),
         static_cast<unsigned long long>(allocations - before));
  const bool all = pair.delivered - delivered == static_cast<uint64_t>(steps) * kPerStep;
  if (!all) fprintf(stderr, "not every packet came through\n");
  return all && allocations == before ? 0 : 1;
}
