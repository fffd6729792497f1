// Status reports of the client.
#include "client/report.h"

#include <algorithm>

#include "common/config/names.h"

namespace hawser::client {
namespace {

std::optional<double> millis(Duration d) {
  if (d.ns <= 0) return std::nullopt;
  return d.to_millis();
}

std::optional<std::string> text_of(const SocketAddress& a) {
  if (!a.is_set()) return std::nullopt;
  return a.to_string();
}

std::string cipher_name(uint8_t bit) {
  switch (bit) {
    case wire::kCipherAes256Gcm:
      return "aes-256-gcm";
    case wire::kCipherAegis256:
      return "aegis-256";
    default:
      return "chacha20-poly1305";
  }
}

const std::string kPortalText = "this network wants a login first (captive portal)";
const std::string kPortalFix = "open any http:// page in a browser and log in";

// Validated, and not lost since.
bool carries(const PathReport& p) { return p.state == "active" || p.state == "standby" || p.state == "suspect"; }
bool carried_by(const std::vector<PathReport>& paths, const std::string& interface) {
  return std::ranges::any_of(paths, [&](const PathReport& p) { return p.interface == interface && carries(p); });
}

const Interface* find_interface(const Links* links, const std::string& name) {
  if (links == nullptr) return nullptr;
  const auto it = std::ranges::find(links->interfaces(), name, &Interface::name);
  return it == links->interfaces().end() ? nullptr : &*it;
}

// The path as it is now wished and known, which may have changed since it was opened.
PathReport report_of(const PathInfo& p, const Links* links) {
  const Interface* i = find_interface(links, p.interface);
  PathReport r = make_path_report(p, i == nullptr ? p.priority : links->policy().priority(*i));
  if (i == nullptr) return r;
  r.metered = i->metered;
  if (i->portal && !carries(r)) r.reason = "portal";
  return r;
}

HealthItem health_of(const Unusable& u, const std::string& profile_name) {
  return {.code = u.reason,
          .interface = u.interface,
          .severity = "low",
          .text = u.interface + ": " + u.text,
          .fix = fix_for(u, profile_name)};
}

// Interfaces in the order of their first paths; of one interface's paths the one that carries comes first.
void sort_by_interface(std::vector<PathReport>& paths) {
  std::map<std::string, size_t> order;
  for (const PathReport& p : paths) order.emplace(p.interface, order.size());
  std::ranges::stable_sort(paths, {},
                           [&](const PathReport& p) { return std::pair(order[p.interface], p.state != "active"); });
}

void add_session(const SessionInfo& session, const Links* links, StatusReport& r) {
  r.rx_bps = session.receive_rate.bps;
  r.tx_bps = session.send_rate.bps;
  r.rtt_ms = millis(session.smoothed_rtt);
  r.loss = session.loss;
  if (session.cipher != 0) r.cipher = cipher_name(session.cipher);
  r.memory_bytes = session.memory_bytes;
  r.scheduler = to_text(session.scheduler);
  r.congestion = to_text(session.congestion);
  for (const PathInfo& p : session.paths) r.paths.push_back(report_of(p, links));
  sort_by_interface(r.paths);
  for (size_t i = 0; i < kDropReasons; ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (session.drops[reason] > 0) r.drops[name(reason)] += session.drops[reason];
  }
  // The endpoint in use is that of the path that carries most.
  const auto best = std::ranges::max_element(session.paths, {}, [](const PathInfo& p) {
    return std::pair(p.state == PathState::active, p.received_bytes + p.sent_bytes);
  });
  if (best != session.paths.end()) r.server.endpoint = text_of(best->remote);
}

// A login page instead of the Internet: said once for each interface by which nothing comes through.
void add_portals(const Links& links, const std::string& profile_name, StatusReport& r) {
  const auto carries_all = [](const std::string& route) { return route == "0.0.0.0/0" || route == "::/0"; };
  const bool browser_in_tunnel = std::ranges::any_of(r.tunnel.routes, carries_all);
  for (const Interface& i : links.interfaces()) {
    const bool wanted = links.policy().considers(i) && links.policy().priority(i) != wire::PathPriority::never;
    if (!i.portal || !wanted || carried_by(r.paths, i.name)) continue;
    r.health.push_back({.code = "portal",
                        .interface = i.name,
                        .severity = "low",
                        .text = i.name + ": " + kPortalText,
                        .fix = browser_in_tunnel ? "vpn-down " + profile_name + ", " + kPortalFix + ", vpn-up " + profile_name
                                                 : kPortalFix + "; the link joins by itself"});
  }
}

// Interfaces that have no path are shown too: with the reason.
void add_unusable(const Links& links, const std::string& profile_name, StatusReport& r) {
  for (const Unusable& u : links.unusable()) {
    // A guessed translator works, or may still.
    if (carried_by(r.paths, u.interface)) continue;
    PathReport p;
    p.interface = u.interface;
    p.type = u.type;
    p.metered = u.metered;
    p.priority = to_text(u.priority);
    p.state = "unavailable";
    p.reason = u.reason;
    r.paths.push_back(std::move(p));
    if (u.reason == "no-route" || u.reason == "no-address") r.health.push_back(health_of(u, profile_name));
  }
}

}  // namespace

PathReport make_path_report(const PathInfo& p, wire::PathPriority in_force) {
  PathReport r;
  r.id = p.id.value;
  r.interface = p.interface;
  r.type = to_string(p.type);
  r.metered = p.metered;
  r.priority = to_text(in_force);
  r.state = name(p.state);
  // Not answering is no news of a path that was opened a moment ago.
  const bool fresh = p.state == PathState::validating && p.sent_packets < 3;
  if (p.reason != PathReason::none && !fresh) r.reason = name(p.reason);
  r.local = text_of(p.local);
  r.remote = text_of(p.remote);
  r.public_address = text_of(p.observed);
  r.rtt_ms = millis(p.smoothed_rtt);
  r.rtt_min_ms = millis(p.min_rtt);
  r.loss = p.loss;
  r.cwnd_bytes = p.congestion_window;
  r.in_flight_bytes = p.bytes_in_flight;
  r.pacing_bps = p.pacing_rate.bps;
  r.capacity_bps = p.capacity.bps;
  r.queue_ms = p.queue_delay.to_millis();
  r.mtu = p.mtu;
  r.bottleneck_group = static_cast<uint32_t>(std::max(p.bottleneck_group, 0));
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

StatusReport make_report(const ReportInput& in) {
  StatusReport r;
  r.profile = in.profile_name;
  r.state = in.state;
  r.since = in.since;
  r.server.public_key = in.profile->server_public_key.to_base64();
  r.scheduler = to_text(in.profile->scheduler);
  r.congestion = to_text(in.profile->congestion);
  r.offload = in.offload;
  if (in.session != nullptr) add_session(*in.session, in.links, r);
  if (in.endpoint != nullptr) {
    for (size_t i = 0; i < kDropReasons; ++i) {
      const auto reason = static_cast<DropReason>(i);
      if (in.endpoint->drops[reason] > 0) r.drops[name(reason)] += in.endpoint->drops[reason];
    }
  }
  if (in.tunnel != nullptr) {
    r.tunnel.interface = in.tunnel->interface();
    r.tunnel.addresses = in.tunnel->addresses();
    r.tunnel.mtu = in.tunnel->mtu();
    r.tunnel.routes = in.tunnel->routes();
  }
  if (in.links != nullptr) {
    add_unusable(*in.links, in.profile_name, r);
    add_portals(*in.links, in.profile_name, r);
  }
  r.tunnel.restored_routes = in.restored;
  if (in.restored > 0) {
    r.health.push_back({.code = "rules-removed",
                        .interface = {},
                        .severity = "low",
                        .text = "another program removes routing rules or routes of the tunnel; put back " +
                                std::to_string(in.restored) + " so far",
                        .fix = "with systemd-networkd: ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no "
                               "below [Network] in /etc/systemd/networkd.conf.d/hawser.conf"});
  }
  if (in.state == "reconnecting") {
    r.health.push_back({.code = "server-unreachable",
                        .interface = {},
                        .severity = "high",
                        .text = "the server does not answer by any interface; traffic for the tunnel waits",
                        .fix = "check that this machine has network; the tunnel resumes by itself"});
  }
  return r;
}

std::string no_answer_text(const Links& links, const std::string& endpoints, const std::string& profile_name,
                           Duration waited) {
  std::string text = "no answer from " + endpoints + " by any interface (waited " + format_duration(waited) + ")";
  size_t width = 0;
  const auto sent = links.sent_by_interface();
  for (const auto& [interface, n] : sent) width = std::max(width, interface.size());
  for (const Unusable& u : links.unusable()) width = std::max(width, u.interface.size());
  const auto line = [&](std::string interface, const std::string& what) {
    interface.resize(width, ' ');
    text += "\n   " + interface + "  " + what;
  };
  for (const auto& [interface, n] : sent) {
    const Interface* i = find_interface(&links, interface);
    line(interface, "sent " + std::to_string(n) + ", no reply" +
                        (i != nullptr && i->portal ? ": " + kPortalText + "; " + kPortalFix : ""));
  }
  for (const Unusable& u : links.unusable()) {
    const std::string fix = fix_for(u, profile_name);
    line(u.interface, u.text + (fix.empty() ? "" : ". " + fix));
  }
  if (sent.empty() && links.unusable().empty()) text += "\n   there is no interface to send by: ip link";
  text +=
      "\n   check:  is the server running and its UDP port open (cloud firewall included), is [server] public_key its "
      "key (on the\n"
      "           server: vpn-server status), does it know this device (vpn-server user list), does this network let "
      "UDP through?";
  return text;
}

std::string refusal_text(wire::RefusalReason reason) {
  switch (reason) {
    case wire::RefusalReason::removed:
      return "the server refuses this device: its user was removed. Ask for a new invite, then: vpn-join NAME --force";
    case wire::RefusalReason::disabled:
      return "the server refuses this device: its user is disabled. On the server: vpn-server user enable NAME";
    case wire::RefusalReason::token_used:
      return "this invite was used already. One invite is for one device; on the server: vpn-server invite NAME";
    case wire::RefusalReason::token_expired:
      return "this invite has expired. Ask for a new one; on the server: vpn-server invite NAME";
    case wire::RefusalReason::full:
      return "the server is full. Try again later; on the server: max_sessions in server.toml";
  }
  return "the server refuses this device";
}

std::string refusal_text(wire::CloseReason reason) {
  switch (reason) {
    case wire::CloseReason::removed:
      return refusal_text(wire::RefusalReason::removed);
    case wire::CloseReason::disabled:
      return refusal_text(wire::RefusalReason::disabled);
    case wire::CloseReason::replaced:
      return "the server ended the session: another device has enrolled in this one's place. Ask for a new invite";
    case wire::CloseReason::used:
      return refusal_text(wire::RefusalReason::token_used);
    case wire::CloseReason::expired:
      return refusal_text(wire::RefusalReason::token_expired);
    case wire::CloseReason::shutdown:
      return "the server is shutting down";
    case wire::CloseReason::idle:
      return "the server ended the session: it was idle";
    case wire::CloseReason::done:
      break;
  }
  return "the server ended the session";
}

}  // namespace hawser::client
