// Kernel settings through /proc/sys, which shows each process its own network namespace.
#include "platform/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "platform/fd.h"
#include "platform/files.h"
#include "platform/linux/oserror.h"
#include "platform/netlink.h"

namespace hawser {
namespace {

// Dots become slashes unless slashes are there already: "net/ipv4/conf/eth0.1/rp_filter" has a dot in a name.
std::string path_of(const std::string& key) {
  std::string path = key;
  if (path.find('/') == std::string::npos) std::replace(path.begin(), path.end(), '.', '/');
  return "/proc/sys/" + path;
}

// Turns one setting on through the log. Failing to is an error only where the value then is not what we need.
Status turn_on(UndoLog& log, const std::string& key, const std::string& wanted, std::vector<std::string>& changed) {
  const Result<std::string> before = get_sysctl(key);
  if (!before) return before.error();
  if (*before == wanted) return Done{};
  const Result<ChangeId> done = log.apply(SysctlChange{key, wanted});
  if (!done) {
    return Error{done.error().code, "cannot turn forwarding on (" + key + " is " + *before +
                                        "): " + done.error().message + ". As root: sysctl -w " + key + "=" + wanted};
  }
  changed.push_back(key + ": " + *before + " -> " + wanted);
  return Done{};
}

}  // namespace

Result<std::string> get_sysctl(const std::string& key) {
  const UniqueFd fd(::open(path_of(key).c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  const ssize_t n = fd ? ::read(fd.get(), text, sizeof text) : -1;
  if (n < 0) return os_error(ExitCode::system_integration, "cannot read the kernel setting " + key, errno);
  std::string value(text, static_cast<size_t>(n));
  value.erase(value.find_last_not_of(" \t\n") + 1);
  return value;
}

Status set_sysctl(const std::string& key, const std::string& value) {
  const UniqueFd fd(::open(path_of(key).c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return os_error(ExitCode::system_integration, "cannot set the kernel setting " + key + " to " + value, errno);
  }
  return Done{};
}

Result<std::vector<std::string>> enable_forwarding(UndoLog& log) {
  std::vector<std::string> changed;
  if (Status on = turn_on(log, "net.ipv4.ip_forward", "1", changed); !on) return on.error();
  if (!ipv6_enabled()) return changed;
  const Result<std::string> forwarding = get_sysctl("net.ipv6.conf.all.forwarding");
  if (forwarding && *forwarding != "1") {
    // First, for turning forwarding on drops what was learnt from routers. A name may hold dots: hence slashes.
    for (const std::string& interface : list_directory("/proc/sys/net/ipv6/conf")) {
      const std::string key = "net/ipv6/conf/" + interface + "/accept_ra";
      const Result<std::string> accept = get_sysctl(key);
      if (interface == "all" || interface == "lo" || !accept || *accept != "1") continue;
      if (log.apply(SysctlChange{key, "2"})) changed.push_back(key + ": 1 -> 2");
    }
  }
  if (Status on = turn_on(log, "net.ipv6.conf.all.forwarding", "1", changed); !on) return on.error();
  return changed;
}

}  // namespace hawser
