// Threads: signal masks, names, processors.
#include "platform/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <system_error>

#include "platform/linux/oserror.h"

namespace hawser {

Result<std::thread> start_thread(const std::string& name, std::function<void()> run) {
  // The mask is inherited: set around the start, there is no moment in which the new thread takes a signal.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<std::thread> thread = std::thread();
  try {
    thread = std::thread([name, run = std::move(run)] {
      ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
      run();
    });
  } catch (const std::system_error& e) {
    // EAGAIN: a limit of threads, of memory, or a service's TasksMax.
    thread = os_error(ExitCode::system_integration, "cannot start the thread " + name, e.code().value());
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

unsigned usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace hawser
