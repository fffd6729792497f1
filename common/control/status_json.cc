// The status schemas to JSON and back. Both directions of one struct stand side by side, so that a field is added to
// both.
#include "common/control/status_json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace hawser {
namespace {

// Keeps the fields in the order in which they are written: for people who read the text.
using Json = nlohmann::ordered_json;

constexpr const char* kStatusSchema = "hawser.status/1";
constexpr const char* kServerSchema = "hawser.server-status/1";

template <typename T>
Json or_null(const std::optional<T>& v) {
  return v ? Json(*v) : Json(nullptr);
}
Json or_null(const std::optional<UnixTime>& v) {
  return v ? Json(format_utc(*v)) : Json(nullptr);
}

// Whole numbers are written without a fraction. What JSON does not have (infinity) the library writes as null.
Json number(double v) {
  if (std::abs(v) < 9e15 && v == std::floor(v)) return static_cast<int64_t>(v);
  return v;
}
Json number(const std::optional<double>& v) {
  return v ? number(*v) : Json(nullptr);
}

Json rate_json(double rx_bps, double tx_bps) {
  return Json{{"rx_bps", number(std::round(rx_bps))}, {"tx_bps", number(std::round(tx_bps))}};
}

Json json_of(const PathReport& p) {
  return Json{{"id", p.id},
              {"interface", p.interface},
              {"type", p.type},
              {"metered", p.metered},
              {"priority", p.priority},
              {"state", p.state},
              {"reason", or_null(p.reason)},
              {"local", or_null(p.local)},
              {"remote", or_null(p.remote)},
              {"public", or_null(p.public_address)},
              {"rtt_ms", number(p.rtt_ms)},
              {"rtt_min_ms", number(p.rtt_min_ms)},
              {"loss", number(p.loss)},
              {"cwnd_bytes", p.cwnd_bytes},
              {"in_flight_bytes", p.in_flight_bytes},
              {"pacing_bps", number(std::round(p.pacing_bps))},
              {"capacity_bps", number(std::round(p.capacity_bps))},
              {"queue_ms", number(p.queue_ms)},
              {"mtu", p.mtu},
              {"bottleneck_group", p.bottleneck_group},
              {"rx_bytes", p.rx_bytes},
              {"tx_bytes", p.tx_bytes},
              {"reinjected_packets", p.reinjected_packets},
              {"copied_packets", p.copied_packets},
              {"copied_bytes", p.copied_bytes},
              {"share", number(p.share)},
              {"rate", rate_json(p.rx_bps, p.tx_bps)}};
}

Json json_of(const HealthItem& h) {
  return Json{{"code", h.code},
              {"interface", or_null(h.interface)},
              {"severity", h.severity},
              {"text", h.text},
              {"fix", h.fix}};
}

Json json_of(const WorkerReport& w) {
  return Json{{"sessions", w.sessions}, {"handed_datagrams", w.handed_datagrams}, {"handed_packets", w.handed_packets}};
}

Json json_of(const UserReport& u);

template <typename T>
Json list_json(const std::vector<T>& items) {
  Json out = Json::array();
  for (const T& item : items) out.push_back(json_of(item));
  return out;
}

Json json_of(const UserReport& u) {
  return Json{{"user", u.name},
              {"id", u.id},
              {"addresses", u.addresses},
              {"since", or_null(u.since)},
              {"cipher", or_null(u.cipher)},
              {"scheduler", u.scheduler},
              {"congestion", u.congestion},
              {"rate", rate_json(u.rx_bps, u.tx_bps)},
              {"rx_bytes", u.rx_bytes},
              {"tx_bytes", u.tx_bytes},
              {"worker", u.worker},
              {"memory_bytes", u.memory_bytes},
              {"paths", list_json(u.paths)}};
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Reading: a missing or null field keeps the default; one of another type throws, and parse turns that into an Error.
template <typename T>
void get(const Json& from, const char* key, T& out) {
  const auto it = from.find(key);
  if (it != from.end() && !it->is_null()) it->get_to(out);
}
template <typename T>
void get(const Json& from, const char* key, std::optional<T>& out) {
  const auto it = from.find(key);
  if (it != from.end() && !it->is_null()) out = it->get<T>();
}
void get(const Json& from, const char* key, std::optional<UnixTime>& out) {
  std::optional<std::string> text;
  get(from, key, text);
  if (text) out = parse_utc(*text);
}
// A field that is an object; an empty one when missing.
Json object(const Json& from, const char* key) {
  const auto it = from.find(key);
  if (it == from.end() || it->is_null()) return Json::object();
  if (!it->is_object()) throw std::invalid_argument(std::string(key) + " is no object");
  return *it;
}
template <typename T, typename Read>
void get_list(const Json& from, const char* key, std::vector<T>& out, Read read) {
  const auto it = from.find(key);
  if (it == from.end() || it->is_null()) return;
  if (!it->is_array()) throw std::invalid_argument(std::string(key) + " is no list");
  for (const Json& item : *it) {
    if (!item.is_object()) throw std::invalid_argument(std::string(key) + " holds something that is no object");
    out.push_back(read(item));
  }
}

void get_rate(const Json& from, double& rx_bps, double& tx_bps) {
  const Json rate = object(from, "rate");
  get(rate, "rx_bps", rx_bps);
  get(rate, "tx_bps", tx_bps);
}

PathReport path_from(const Json& j) {
  PathReport p;
  get(j, "id", p.id);
  get(j, "interface", p.interface);
  get(j, "type", p.type);
  get(j, "metered", p.metered);
  get(j, "priority", p.priority);
  get(j, "state", p.state);
  get(j, "reason", p.reason);
  get(j, "local", p.local);
  get(j, "remote", p.remote);
  get(j, "public", p.public_address);
  get(j, "rtt_ms", p.rtt_ms);
  get(j, "rtt_min_ms", p.rtt_min_ms);
  get(j, "loss", p.loss);
  get(j, "cwnd_bytes", p.cwnd_bytes);
  get(j, "in_flight_bytes", p.in_flight_bytes);
  get(j, "pacing_bps", p.pacing_bps);
  get(j, "capacity_bps", p.capacity_bps);
  get(j, "queue_ms", p.queue_ms);
  get(j, "mtu", p.mtu);
  get(j, "bottleneck_group", p.bottleneck_group);
  get(j, "rx_bytes", p.rx_bytes);
  get(j, "tx_bytes", p.tx_bytes);
  get(j, "reinjected_packets", p.reinjected_packets);
  get(j, "copied_packets", p.copied_packets);
  get(j, "copied_bytes", p.copied_bytes);
  get(j, "share", p.share);
  get_rate(j, p.rx_bps, p.tx_bps);
  return p;
}

HealthItem health_from(const Json& j) {
  HealthItem h;
  get(j, "code", h.code);
  get(j, "interface", h.interface);
  get(j, "severity", h.severity);
  get(j, "text", h.text);
  get(j, "fix", h.fix);
  return h;
}

UserReport user_from(const Json& j) {
  UserReport u;
  get(j, "user", u.name);
  get(j, "id", u.id);
  get(j, "addresses", u.addresses);
  get(j, "since", u.since);
  get(j, "cipher", u.cipher);
  get(j, "scheduler", u.scheduler);
  get(j, "congestion", u.congestion);
  get_rate(j, u.rx_bps, u.tx_bps);
  get(j, "rx_bytes", u.rx_bytes);
  get(j, "tx_bytes", u.tx_bytes);
  get(j, "worker", u.worker);
  get(j, "memory_bytes", u.memory_bytes);
  get_list(j, "paths", u.paths, path_from);
  return u;
}

WorkerReport worker_from(const Json& j) {
  WorkerReport w;
  get(j, "sessions", w.sessions);
  get(j, "handed_datagrams", w.handed_datagrams);
  get(j, "handed_packets", w.handed_packets);
  return w;
}

// Named as in the configuration, with the super-packets counted beside them.
Json offload_json(const OffloadState& o) {
  return Json{{"udp-gso", o.udp_gso},
              {"udp-gro", o.udp_gro},
              {"tun-tso", o.tun_tso},
              {"tun-uso", o.tun_uso},
              {"udp_sent", o.udp_sent},
              {"udp_received", o.udp_received},
              {"tun_read", o.tun_read},
              {"tun_written", o.tun_written},
              {"fallbacks", o.fallbacks}};
}

void get_offload(const Json& parent, OffloadState& o) {
  const Json j = object(parent, "offload");
  get(j, "udp-gso", o.udp_gso);
  get(j, "udp-gro", o.udp_gro);
  get(j, "tun-tso", o.tun_tso);
  get(j, "tun-uso", o.tun_uso);
  get(j, "udp_sent", o.udp_sent);
  get(j, "udp_received", o.udp_received);
  get(j, "tun_read", o.tun_read);
  get(j, "tun_written", o.tun_written);
  get(j, "fallbacks", o.fallbacks);
}

// Parses, checks the schema's name, and lets `read` fill the report; whatever throws becomes an Error.
template <typename Report, typename Read>
Result<Report> parse_report(std::string_view text, const char* schema, Read read) {
  const auto bad = [&](const std::string& why) {
    return Error{ExitCode::unexpected,
                 "the daemon's status cannot be read (" + why + "); is it of another version of Hawser?"};
  };
  try {
    const Json json = Json::parse(text);
    if (!json.is_object() || json.value("schema", "") != schema) return bad("not " + std::string(schema));
    Report report;
    read(json, report);
    return report;
  } catch (const std::exception& e) {
    return bad(e.what());
  }
}

}  // namespace

std::string render_json(const StatusReport& r) {
  const Json dns{{"servers", r.tunnel.dns_servers}, {"via", or_null(r.tunnel.dns_via)}};
  return text_of(Json{{"schema", kStatusSchema},
                      {"profile", r.profile},
                      {"state", r.state},
                      {"since", or_null(r.since)},
                      {"server", Json{{"endpoint", or_null(r.server.endpoint)}, {"public_key", r.server.public_key}}},
                      {"tunnel", Json{{"interface", or_null(r.tunnel.interface)},
                                      {"addresses", r.tunnel.addresses},
                                      {"mtu", r.tunnel.mtu},
                                      {"routes", r.tunnel.routes},
                                      {"restored_routes", r.tunnel.restored_routes},
                                      {"dns", dns}}},
                      {"rate", rate_json(r.rx_bps, r.tx_bps)},
                      {"rtt_ms", number(r.rtt_ms)},
                      {"loss", number(r.loss)},
                      {"cipher", or_null(r.cipher)},
                      {"scheduler", r.scheduler},
                      {"congestion", r.congestion},
                      {"offload", offload_json(r.offload)},
                      {"memory_bytes", r.memory_bytes},
                      {"paths", list_json(r.paths)},
                      {"drops", r.drops},
                      {"health", list_json(r.health)}});
}

std::string render_json(const ServerStatusReport& r) {
  return text_of(Json{{"schema", kServerSchema},
                      {"since", or_null(r.since)},
                      {"public_key", r.public_key},
                      {"interface", r.interface},
                      {"addresses", r.addresses},
                      {"listen", r.listen},
                      {"endpoints", r.endpoints},
                      {"sessions", r.sessions},
                      {"max_sessions", r.max_sessions},
                      {"rate", rate_json(r.rx_bps, r.tx_bps)},
                      {"offload", offload_json(r.offload)},
                      {"steering", Json{{"udp", or_null(r.udp_steering)}, {"tun", or_null(r.tun_steering)}}},
                      {"workers", list_json(r.workers)},
                      {"handshakes", r.handshakes},
                      {"users", list_json(r.users)},
                      {"drops", r.drops},
                      {"health", list_json(r.health)}});
}

Result<StatusReport> parse_status(std::string_view text) {
  return parse_report<StatusReport>(text, kStatusSchema, [](const Json& j, StatusReport& r) {
    get(j, "profile", r.profile);
    get(j, "state", r.state);
    get(j, "since", r.since);
    const Json server = object(j, "server"), tunnel = object(j, "tunnel"), dns = object(tunnel, "dns");
    get(server, "endpoint", r.server.endpoint);
    get(server, "public_key", r.server.public_key);
    get(tunnel, "interface", r.tunnel.interface);
    get(tunnel, "addresses", r.tunnel.addresses);
    get(tunnel, "mtu", r.tunnel.mtu);
    get(tunnel, "routes", r.tunnel.routes);
    get(tunnel, "restored_routes", r.tunnel.restored_routes);
    get(dns, "servers", r.tunnel.dns_servers);
    get(dns, "via", r.tunnel.dns_via);
    get_rate(j, r.rx_bps, r.tx_bps);
    get(j, "rtt_ms", r.rtt_ms);
    get(j, "loss", r.loss);
    get(j, "cipher", r.cipher);
    get(j, "scheduler", r.scheduler);
    get(j, "congestion", r.congestion);
    get_offload(j, r.offload);
    get(j, "memory_bytes", r.memory_bytes);
    get_list(j, "paths", r.paths, path_from);
    get(j, "drops", r.drops);
    get_list(j, "health", r.health, health_from);
  });
}

Result<ServerStatusReport> parse_server_status(std::string_view text) {
  return parse_report<ServerStatusReport>(text, kServerSchema, [](const Json& j, ServerStatusReport& r) {
    get(j, "since", r.since);
    get(j, "public_key", r.public_key);
    get(j, "interface", r.interface);
    get(j, "addresses", r.addresses);
    get(j, "listen", r.listen);
    get(j, "endpoints", r.endpoints);
    get(j, "sessions", r.sessions);
    get(j, "max_sessions", r.max_sessions);
    get_rate(j, r.rx_bps, r.tx_bps);
    get_offload(j, r.offload);
    const Json steering = object(j, "steering");
    get(steering, "udp", r.udp_steering);
    get(steering, "tun", r.tun_steering);
    get_list(j, "workers", r.workers, worker_from);
    get(j, "handshakes", r.handshakes);
    get_list(j, "users", r.users, user_from);
    get(j, "drops", r.drops);
    get_list(j, "health", r.health, health_from);
  });
}

}  // namespace hawser
