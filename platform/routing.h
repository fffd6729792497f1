// Policy routing of one profile: a table and two rules per path, a table and rules for the tunnel.
// Order of rules, by preference: alternatives' `from ADDR fwmark TABLE`; each path's `from ADDR` (main without its
// default, then the path's table); each path's `oif DEV`; tunnels of some prefixes; the full tunnel. So replies to connections from outside leave by the
// interface they came in, and sockets bound to a device never enter a tunnel. Tables and preferences in use by anybody
// are skipped.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/net.h"
#include "common/result.h"
#include "platform/undo.h"

namespace hawser {

// What a path needs: its interface, its source address with the on-link subnet, and its gateway (unset: a device
// without one, as ppp, or only neighbours).
struct PathRouting {
  std::string interface;
  IpAddress address;
  uint8_t prefix_length = 0;     // of the on-link subnet; 32 or 128: none
  IpAddress gateway;             // unset: see `default_on_link`
  bool default_on_link = false;  // no gateway, but everything is reached through the device
  bool alternative = false;      // another gateway has this address's traffic: only marked sockets go this way
  bool operator==(const PathRouting&) const = default;
};

struct TunnelRouting {
  std::string interface;
  std::vector<IpPrefix> routes;  // 0.0.0.0/0 and ::/0 for all traffic
  std::vector<IpPrefix> bypass;  // never through the tunnel
  bool lan_access = true;        // connected subnets and more specific routes of the main table win over the tunnel
  bool refuse_ipv4 = false;      // a full tunnel without that family inside: unreachable instead of a leak
  bool refuse_ipv6 = false;
};

class Routing {
 public:
  // `log` outlives this. `profile` spreads the table numbers of profiles that start at the same moment.
  Routing(UndoLog& log, std::string profile);

  // Names an installed path; from 1.
  using PathHandle = uint32_t;

  // On error nothing of the path is left behind.
  Result<PathHandle> add_path(const PathRouting& path);
  // Gone already is fine.
  Status remove_path(PathHandle handle);
  // Removes it and installs it anew; the handle stays valid. Does nothing when nothing differs. On error the path is not
  // installed: again, with whatever path.
  Status update_path(PathHandle handle, const PathRouting& path);

  // What the sockets of this path must be marked with (SO_MARK); 0: nothing.
  uint32_t mark(PathHandle handle) const;

  // Once per profile; again replaces.
  Status add_tunnel(const TunnelRouting& tunnel);
  Status remove_tunnel();

  // What somebody removed meanwhile (another program, a device that was down) is put back, the tunnel's included.
  struct Restored {
    size_t count = 0;
    Status problem = Done{};  // the first one; the rest was tried all the same
  };
  Restored restore();

 private:
  struct Installed {
    PathRouting path;
    uint32_t table = 0;
    std::vector<ChangeId> changes;
  };

  Result<std::vector<ChangeId>> install(const PathRouting& path, uint32_t table);
  Status revert_all(std::vector<ChangeId>& changes);

  UndoLog& log_;
  std::string profile_;
  PathHandle next_handle_ = 1;
  std::map<PathHandle, Installed> paths_;
  uint32_t tunnel_table_ = 0;
  std::vector<ChangeId> tunnel_changes_;
  // Handed out already; in dry-run mode the kernel does not know them.
  std::vector<uint32_t> taken_tables_, taken_preferences_;
};

// The device of another profile's full tunnel that is up in this network namespace, or nothing. A second one is a
// conflict (exit 10).
Result<std::string> other_full_tunnel();

}  // namespace hawser
