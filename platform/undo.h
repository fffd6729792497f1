// The write-ahead log of everything we change in the system: each change is on disk before it is made, so that a killed
// process can be cleaned up after. Undoing removes what we added exactly; another program's later change wins.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "common/result.h"
#include "platform/route_types.h"

namespace hawser {

// A whole nftables table of ours; undone by deleting the table.
struct NftTable {
  std::string family;  // "inet", "ip", "ip6"
  std::string name;
  std::string ruleset;  // what nft reads; not kept in the log
};
// A file we wrote. Undone only while it still holds what we wrote: then the old content comes back (or it is removed).
struct FileChange {
  std::string path;
  std::string content;
  uint32_t mode = 0644;
};
// A kernel setting below /proc/sys, with slashes or dots: "net/ipv4/ip_forward". Undone only while it holds our value.
struct SysctlChange {
  std::string key;
  std::string value;
};
// A network device that the caller has just made. It dies with its descriptor; undone only if it is still the same one.
struct TunChange {
  std::string name;
  uint32_t index = 0;  // so that another device that got the name later is left alone
};
using SystemChange = std::variant<Rule, Route, NftTable, FileChange, SysctlChange, TunChange>;
// The command a person would type for it, as `vpn-up --dry-run` prints it.
std::string to_command(const SystemChange& change);

// Names an entry of the log while it is open; 0: nothing to undo (it was there already).
struct ChangeId {
  uint64_t value = 0;
  auto operator<=>(const ChangeId&) const = default;
};

class UndoLog {
 public:
  enum class Mode : uint8_t { apply, dry_run };

  // Opens or creates the log at `path` (folders are made 0700). Entries left by a killed process are undone first
  // (after a reboot only what persists). The caller holds the instance's lock.
  static Result<std::unique_ptr<UndoLog>> open(const std::string& path);
  // Changes nothing: collects commands.
  static std::unique_ptr<UndoLog> dry_run();
  // Undoes what a log left behind, and removes it. Returns the undone entries as text; empty when there was no log.
  static Result<std::vector<std::string>> replay(const std::string& path);

  // The system stays changed and the log on disk: as after kill -9. Call undo_all() for a proper end.
  virtual ~UndoLog() = default;

  virtual Mode mode() const = 0;
  // Logs (fsync), then changes. On failure nothing is changed and the entry is gone again. What was there already stays
  // another's: the id is then 0.
  virtual Result<ChangeId> apply(const SystemChange& change) = 0;
  // Several changes for the price of one fsync, in order, all or none.
  virtual Result<std::vector<ChangeId>> apply_all(std::span<const SystemChange> changes) = 0;
  // Makes a rule or route again that somebody else (or a device that went down) removed: done when it was missing.
  virtual Result<Outcome> ensure(ChangeId id) = 0;
  // Undoes one change and drops its entry; already gone is fine. Errors are of the system, the entry then stays.
  virtual Status revert(ChangeId id) = 0;
  // All of it, newest first; goes on after errors and returns the first one. Removes the file when all is undone.
  virtual Status undo_all() = 0;
  // What was applied and not reverted, oldest first, as commands (in dry-run mode: what would have been).
  virtual std::vector<std::string> commands() const = 0;
};

}  // namespace hawser
