// The one clock of the programs: CLOCK_BOOTTIME, so that suspended time counts. Wall time is for logs and status only.
#pragma once

#include <string>

#include "common/types.h"

namespace hawser {

// Nanoseconds of CLOCK_BOOTTIME.
Time now();
// Seconds since 1970 of the wall clock: for expiry dates of invites and for people, never for intervals.
int64_t wall_seconds();
// "2026-11-22T11:48:03Z" for seconds since 1970.
std::string to_iso8601(int64_t seconds);
// CPU time used by this process (user and system).
Duration cpu_time();

}  // namespace hawser
