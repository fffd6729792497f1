// Threads of a program whose signals belong to its main thread.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "common/result.h"

namespace hawser {

// Starts a thread that no signal interrupts; `name` (15 characters at most) is what `top -H` shows. Error: system_integration,
// when the machine or the service may have no more threads or memory.
Result<std::thread> start_thread(const std::string& name, std::function<void()> run);
// How many processors this process may use; at least 1.
unsigned usable_processors();

}  // namespace hawser
