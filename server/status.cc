// From the engine's snapshot to the report. Received and sent are the server's view, as everywhere in its output.
#include "server/status.h"

#include "common/config/profile.h"

namespace hawser::server {
namespace {

std::optional<std::string> cipher_name(uint8_t cipher_bit) {
  switch (cipher_bit) {
    case wire::kCipherChaCha20: return "chacha20-poly1305";
    case wire::kCipherAes256Gcm: return "aes-256-gcm";
    case wire::kCipherAegis256: return "aegis-256";
    default: return std::nullopt;
  }
}

const char* priority_name(wire::PathPriority priority) {
  switch (priority) {
    case wire::PathPriority::always: return "always";
    case wire::PathPriority::secondary: return "secondary";
    case wire::PathPriority::backup: return "backup";
    case wire::PathPriority::never: return "never";
    case wire::PathPriority::automatic: break;
  }
  return "auto";
}

std::optional<std::string> text(const SocketAddress& address) {
  return address.is_set() ? std::optional(address.to_string()) : std::nullopt;
}

std::optional<double> millis(Duration d) { return d.ns > 0 ? std::optional(d.to_millis()) : std::nullopt; }

PathReport report(const PathInfo& p) {
  PathReport r;
  r.id = p.id.value;
  r.metered = p.metered;
  r.priority = priority_name(p.priority);
  r.state = name(p.state);
  if (p.reason != PathReason::none) r.reason = name(p.reason);
  r.local = text(p.local);
  r.remote = text(p.remote);
  r.public_address = text(p.observed);
  r.rtt_ms = millis(p.smoothed_rtt);
  r.rtt_min_ms = millis(p.min_rtt);
  r.loss = p.loss;
  r.cwnd_bytes = p.congestion_window;
  r.in_flight_bytes = p.bytes_in_flight;
  r.pacing_bps = p.pacing_rate.bps;
  r.capacity_bps = p.capacity.bps;
  r.queue_ms = p.queue_delay.to_millis();
  r.mtu = p.mtu;
  r.bottleneck_group = p.bottleneck_group < 0 ? 0 : static_cast<uint32_t>(p.bottleneck_group);
  r.rx_bytes = p.received_bytes;
  r.tx_bytes = p.sent_bytes;
  r.rx_bps = p.receive_rate.bps;
  r.tx_bps = p.send_rate.bps;
  r.reinjected_packets = p.reinjected_packets;
  r.copied_packets = p.copied_packets;
  r.copied_bytes = p.copied_bytes;
  r.share = p.share;
  return r;
}

void add(DropCounts& sum, const DropCounters& drops) {
  for (size_t i = 0; i < kDropReasons; ++i) {
    const auto reason = static_cast<DropReason>(i);
    sum[name(reason)] += drops[reason];
  }
}

void add(OffloadState& sum, const OffloadState& s) {
  sum.udp_gso = sum.udp_gso || s.udp_gso;
  sum.udp_gro = sum.udp_gro || s.udp_gro;
  sum.tun_tso = sum.tun_tso || s.tun_tso;
  sum.tun_uso = sum.tun_uso || s.tun_uso;
  sum.udp_sent += s.udp_sent;
  sum.udp_received += s.udp_received;
  sum.tun_read += s.tun_read;
  sum.tun_written += s.tun_written;
  sum.fallbacks += s.fallbacks;
}

void add(ServerStatusReport& r, const WorkerSnapshot& w) {
  r.workers.push_back({w.info.sessions, w.handed_on.datagrams, w.handed_on.packets});
  r.sessions += w.info.sessions;
  r.handshakes["started"] += w.info.handshakes_started;
  r.handshakes["accepted"] += w.info.handshakes_completed;
  r.handshakes["refused"] += w.info.handshakes_refused;
  r.handshakes["cookie"] += w.info.cookies_sent;
  add(r.offload, w.offload);
  add(r.drops, w.info.drops);
  r.drops[name(DropReason::malformed)] += w.counters.truncated;
  r.drops[name(DropReason::transmit)] += w.counters.refused;
  r.drops[name(DropReason::no_buffer)] += w.counters.no_buffer;
  r.drops["receive_buffer"] += w.kernel_drops;
  r.drops["worker_ring"] += w.handed_on.dropped;
}

UserReport report(const SessionInfo& session) {
  UserReport u;
  u.name = session.name;
  u.id = session.user.value;
  for (const IpAddress& a : {session.inner_v4, session.inner_v6}) {
    if (a.is_set()) u.addresses.push_back(a.to_string());
  }
  u.cipher = cipher_name(session.cipher);
  u.scheduler = to_text(session.scheduler);
  u.congestion = to_text(session.congestion);
  u.rx_bps = session.receive_rate.bps;
  u.tx_bps = session.send_rate.bps;
  u.rx_bytes = session.received_bytes;
  u.tx_bytes = session.sent_bytes;
  u.memory_bytes = session.memory_bytes;
  for (const PathInfo& p : session.paths) u.paths.push_back(report(p));
  return u;
}

}  // namespace

ServerStatusReport make_status(const StatusSources& s) {
  const auto calendar = [&](Time t) { return UnixTime{s.started_wall.seconds + (t - s.started).ns / 1'000'000'000}; };
  ServerStatusReport r;
  r.since = calendar(s.started);
  r.public_key = s.public_key.to_base64();
  r.interface = s.interface;
  for (const IpAddress& a : s.tunnel_addresses) {
    const auto& block = a.is_v4() ? s.settings.ipv4 : s.settings.ipv6;
    if (a.is_set() && block) r.addresses.push_back(IpPrefix{a, block->length}.to_string());
  }
  for (const SocketAddress& a : s.listening) r.listen.push_back(a.to_string());
  for (const HostPort& e : s.settings.endpoints) r.endpoints.push_back(e.to_string());
  r.max_sessions = s.settings.max_sessions;
  r.udp_steering = s.udp_steering;
  r.tun_steering = s.tun_steering;
  for (const WorkerSnapshot& worker : s.workers) {
    add(r, worker);
    for (const SessionInfo& session : worker.sessions) {
      add(r.drops, session.drops);
      if (!session.connected) continue;
      UserReport u = report(session);
      u.worker = static_cast<uint32_t>(r.workers.size() - 1);
      if (session.since.is_set()) u.since = calendar(session.since);
      r.rx_bps += u.rx_bps;
      r.tx_bps += u.tx_bps;
      r.users.push_back(std::move(u));
    }
  }
  return r;
}

}  // namespace hawser::server
