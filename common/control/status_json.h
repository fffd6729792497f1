// The status schemas `hawser.status/1` and `hawser.server-status/1` as plain structs, to JSON and back.
// Only ever added to: a reader ignores fields it does not know and keeps defaults for those that are missing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/unix_time.h"
#include "common/offload.h"
#include "common/result.h"

namespace hawser {

// One path, as both ends report it. Unset optionals are null: not measured, or unknown to this end.
struct PathReport {
  uint32_t id = 0;
  std::string interface;  // empty on the server
  std::string type;       // kLinkTypes; empty on the server
  bool metered = false;
  std::string priority = "auto";      // the role in force: always, secondary, backup, never
  std::string state = "validating";   // validating, active, standby, suspect, lost, paused, unavailable
  std::optional<std::string> reason;  // no-route, no-address, portal, over-limit, down, ...
  std::optional<std::string> local, remote, public_address;  // JSON: local, remote, public
  std::optional<double> rtt_ms, rtt_min_ms;
  double loss = 0;  // 0..1
  uint64_t cwnd_bytes = 0, in_flight_bytes = 0;
  double pacing_bps = 0, capacity_bps = 0;
  double queue_ms = 0;
  uint32_t mtu = 0;  // UDP payload bytes
  uint32_t bottleneck_group = 0;
  uint64_t rx_bytes = 0, tx_bytes = 0;
  double rx_bps = 0, tx_bps = 0;
  uint64_t reinjected_packets = 0;
  uint64_t copied_packets = 0, copied_bytes = 0;  // sent here beside another path
  double share = 0;  // of the session's bytes of late, 0..1
  bool operator==(const PathReport&) const = default;
};

struct HealthItem {
  std::string code;  // CLI.md, "Health codes"
  std::optional<std::string> interface;
  std::string severity = "low";  // low, medium, high
  std::string text, fix;
  bool operator==(const HealthItem&) const = default;
};

using DropCounts = std::map<std::string, uint64_t>;

struct StatusReport {
  std::string profile;
  std::string state = "down";     // connecting, connected, reconnecting, down
  std::optional<UnixTime> since;  // of `state`
  struct Server {
    std::optional<std::string> endpoint;  // the one in use
    std::string public_key;
    bool operator==(const Server&) const = default;
  } server;
  struct Tunnel {
    std::optional<std::string> interface;
    std::vector<std::string> addresses;  // with prefix length
    uint32_t mtu = 0;
    std::vector<std::string> routes;
    uint64_t restored_routes = 0;  // rules and routes that another program removed and that were put back
    std::vector<std::string> dns_servers;  // JSON: dns.servers
    std::optional<std::string> dns_via;    // JSON: dns.via; null = DNS is not touched
    bool operator==(const Tunnel&) const = default;
  } tunnel;
  double rx_bps = 0, tx_bps = 0;  // JSON: rate
  std::optional<double> rtt_ms;
  double loss = 0;
  std::optional<std::string> cipher;  // aes-256-gcm, chacha20-poly1305; null before the handshake
  std::string scheduler = "auto", congestion = "auto";
  OffloadState offload;
  uint64_t memory_bytes = 0;  // held for the session at present
  std::vector<PathReport> paths;
  DropCounts drops = {{"ingress_aqm", 0}, {"resequencer_late", 0}, {"replay", 0}, {"auth", 0}};
  std::vector<HealthItem> health;
  bool operator==(const StatusReport&) const = default;
};

struct UserReport {
  std::string name;
  uint64_t id = 0;
  std::vector<std::string> addresses;
  std::optional<UnixTime> since;  // the session's beginning
  std::optional<std::string> cipher;
  std::string scheduler = "auto", congestion = "auto";  // what runs for the traffic towards the user
  double rx_bps = 0, tx_bps = 0;
  uint64_t rx_bytes = 0, tx_bytes = 0;
  uint32_t worker = 0;  // who has the session
  uint64_t memory_bytes = 0;  // held for the session at present
  std::vector<PathReport> paths;
  bool operator==(const UserReport&) const = default;
};

// One of the server's workers: its users' sessions, and what it got that was another's.
struct WorkerReport {
  uint64_t sessions = 0;
  uint64_t handed_datagrams = 0, handed_packets = 0;  // handed on to their owners; what found a ring full is in drops
  bool operator==(const WorkerReport&) const = default;
};

// Users with a session now; the registry's list is `vpn-server user list`.
struct ServerStatusReport {
  std::optional<UnixTime> since;  // the server's start
  std::string public_key;
  std::string interface;
  std::vector<std::string> addresses;
  std::vector<std::string> listen, endpoints;
  uint64_t sessions = 0, max_sessions = 0;
  double rx_bps = 0, tx_bps = 0;
  OffloadState offload;
  // Who brings datagrams and packets to the right worker: the kernel ("program") or we ("rings").
  // Null with one worker.
  std::optional<std::string> udp_steering, tun_steering;  // JSON: steering.udp, steering.tun
  std::vector<WorkerReport> workers;
  std::map<std::string, uint64_t> handshakes;  // accepted, refused, ... by result
  std::vector<UserReport> users;
  DropCounts drops;
  std::vector<HealthItem> health;
  bool operator==(const ServerStatusReport&) const = default;
};

// One line of JSON without a line feed. Text that is not UTF-8 is replaced, never an error.
std::string render_json(const StatusReport& report);
std::string render_json(const ServerStatusReport& report);
// Errors: not JSON, wrong schema, a field of the wrong type (ExitCode::unexpected).
Result<StatusReport> parse_status(std::string_view json);
Result<ServerStatusReport> parse_server_status(std::string_view json);

}  // namespace hawser
