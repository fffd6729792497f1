// Replaying the undo log of a killed daemon.
#include "client/cleanup.h"

#include "platform/files.h"
#include "platform/process.h"
#include "platform/undo.h"

namespace hawser::client {

Status clean_up(const Instance& instance, bool quiet) {
  if (InstanceLock::held(instance.lock_dir())) {
    return Error{ExitCode::conflict,
                 instance.name + " is running: there is nothing to clean up. To end it: vpn-down " + instance.name};
  }
  const bool log_left = file_exists(instance.undo_log());
  const bool files_left = file_exists(instance.control_socket()) || file_exists(instance.options_file());
  if (!log_left && !files_left) return Done{};
  if (!has_net_admin()) {
    return Error{ExitCode::permission, "undoing what " + instance.name +
                                           " left behind needs permission to change routes\n  run:  sudo vpn-up " +
                                           instance.name + " --cleanup"};
  }
  // Held while we work, so that no vpn-up starts in between.
  auto lock = InstanceLock::acquire(instance.lock_dir());
  if (!lock) return lock.error();
  if (log_left) {
    auto undone = UndoLog::replay(instance.undo_log());
    if (!undone) return undone.error();
    for (const std::string& line : *undone) {
      if (!quiet) print_err(instance.name + ": undone: " + line + "\n");
    }
  }
  for (const std::string& file : {instance.control_socket(), instance.options_file()}) {
    if (auto ok = remove_file(file); !ok) return ok;
  }
  return Done{};
}

}  // namespace hawser::client
