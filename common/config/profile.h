// A client's profile, NAME.toml: read with errors that name file, line and column, written back, edited key by key.
// What is documented but not built is refused by name; nothing is ever parsed and ignored.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config/host_port.h"
#include "common/crypto/key.h"
#include "common/net.h"
#include "common/offload.h"
#include "common/result.h"
#include "common/wire/frame.h"

namespace hawser {

std::string_view to_text(wire::PathPriority priority);
std::string_view to_text(wire::SchedulerKind kind);
std::string_view to_text(wire::CongestionKind kind);
std::string_view to_text(wire::Mode mode);

// Which traffic goes through the tunnel.
struct RouteChoice {
  enum class Kind : uint8_t { all, none, list };
  Kind kind = Kind::all;
  std::vector<IpPrefix> list;  // for Kind::list
  bool operator==(const RouteChoice&) const = default;
};

// Every condition that is set must hold; a match with none is refused when read.
struct PathMatch {
  std::string interface;  // a name or a glob; empty = any
  std::string type;       // one of kLinkTypes; empty = any
  std::optional<bool> metered;
  bool operator==(const PathMatch&) const = default;
};

// What the platform says an interface is.
inline constexpr std::string_view kLinkTypes[] = {"ethernet", "wifi", "cellular", "other"};

// One [[path]] entry; what it leaves out is decided by less specific entries, then by the defaults.
struct PathRule {
  PathMatch match;
  std::optional<wire::PathPriority> priority;
  std::optional<IpAddress> gateway;
  bool operator==(const PathRule&) const = default;
};

// What the profile says about one interface.
struct PathSettings {
  wire::PathPriority priority = wire::PathPriority::automatic;
  std::optional<IpAddress> gateway;
  bool named = false;  // an entry names this interface (exactly or by glob): it overrides `ignore`
  bool operator==(const PathSettings&) const = default;
};

struct Profile {
  std::vector<HostPort> endpoints;  // at least one
  PublicKey server_public_key;
  std::string private_key_file;    // as written; resolve_against(file, ...); default "keys/NAME.key"
  std::string interface = "auto";  // "auto" or an interface name
  RouteChoice route;
  std::vector<IpPrefix> bypass;
  bool lan_access = true;
  std::optional<uint16_t> mtu;  // nothing = "auto"
  wire::Mode mode = wire::Mode::automatic;
  wire::SchedulerKind scheduler = wire::SchedulerKind::automatic;
  wire::CongestionKind congestion = wire::CongestionKind::automatic;
  bool discover = true;
  std::vector<std::string> ignore;  // globs; default_ignore() when the key is missing
  std::vector<PathRule> paths;      // in file order
  OffloadChoice offload;
  std::string log_level = "info";   // error, warning, notice, info, debug
  bool operator==(const Profile&) const = default;
};

// Interfaces that are no uplinks by their name: docker*, br-*, veth*, virbr*, other VPNs.
std::vector<std::string> default_ignore();

// `file_name` is for messages and for the default key file's name. Errors: ExitCode::configuration, "FILE:LINE:COLUMN:
// ...".
Result<Profile> parse_profile(std::string_view text, std::string_view file_name);

// The profile as TOML; every value is escaped, so text from a server can never become a key.
// parse_profile(render(p)) gives p again.
std::string render(const Profile& profile);

// The most specific entry that sets a key decides that key: an exact interface name, then interface globs (the one with
// more literal characters first), then type, then metered; more conditions beat fewer, and the first in the file wins a
// tie.
PathSettings path_settings(const Profile& profile, std::string_view interface, std::string_view type, bool metered);
// True when `ignore` matches and no [[path]] entry names the interface.
bool is_ignored(const Profile& profile, std::string_view interface);

// One `IF.KEY=VALUE` of `vpn-up --set`, checked by type.
struct PathSetting {
  std::string interface;
  std::optional<wire::PathPriority> priority;  // for "IF.priority"
  std::optional<IpAddress> gateway;            // for "IF.gateway"
};
// `key` is "wwan0.priority" (the last dot divides). Error: configuration, what is known and what was meant.
Result<PathSetting> parse_path_setting(std::string_view key, std::string_view value);
// Applies a setting to the profile in memory: edits or appends the entry for exactly that interface.
void apply(Profile& profile, const PathSetting& setting);

// One `KEY=VALUE` of `vpn-up --set` about the whole profile; exactly one is set.
struct BondingSetting {
  std::optional<wire::Mode> mode;
  std::optional<wire::SchedulerKind> scheduler;
  std::optional<wire::CongestionKind> congestion;
};
bool is_bonding_key(std::string_view key);  // mode, scheduler, congestion
std::string_view name_of_key(const BondingSetting& setting);
Result<BondingSetting> parse_bonding_setting(std::string_view key, std::string_view value);
void apply(Profile& profile, const BondingSetting& setting);
// As set_key, below.
Result<std::string> set_bonding_key(std::string_view text, std::string_view file_name, const BondingSetting& setting);

// Any `KEY=VALUE` that a running profile takes. Errors as of parse_path_setting.
using Setting = std::variant<PathSetting, BondingSetting>;
Result<Setting> parse_setting(std::string_view key, std::string_view value);

// Edits the key of [bonding], or edits or appends the [[path]] entry for exactly that interface in the file's text;
// comments and the rest stay as they are. The result is parsed again before it is returned.
Result<std::string> set_key(std::string_view text, std::string_view file_name, std::string_view key,
                            std::string_view value);

}  // namespace hawser
