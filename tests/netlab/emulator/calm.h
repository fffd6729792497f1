// Is the machine quiet enough to measure on? What else runs here, or beside us on the same host, takes turns from the processors.
#pragma once

#include "common/types.h"

namespace hawser::netlab {

// Works on two processors, or the only one, for six tenths of each millisecond, about what a measurement does, with the
// emulator's priority: how late each millisecond begins on the processor that is earlier at it, as the emulator's threads stand in
// for each other; p99.9 over `window`, the emulator's own test of a run. Blocks for `window`; one thread a processor.
Duration lateness_under_load(Duration window);

// Waits for a `window` with a lateness of at most `limit`, for `patience` at most; says on stderr that it waits, and that it was
// in vain. False: the machine did not become quiet.
bool wait_for_calm(Duration limit, Duration window, Duration patience);

}  // namespace hawser::netlab
