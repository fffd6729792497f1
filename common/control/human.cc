// Status as tables. Columns are as wide as their widest cell; widths count characters, colours come after padding.
#include "common/control/human.h"

#include <algorithm>
#include <cstdio>

#include "common/config/names.h"

namespace hawser {
namespace {

constexpr const char* kReset = "\x1b[0m";
constexpr const char* kBold = "\x1b[1m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kRed = "\x1b[31m";
constexpr const char* kGreen = "\x1b[32m";
constexpr const char* kYellow = "\x1b[33m";

constexpr std::string_view kDot = "  \xc2\xb7  ";  // a middle dot between the parts of a heading

std::string paint(const std::string& text, const char* colour, HumanStyle style) {
  return style.colour && colour != nullptr ? colour + text + kReset : text;
}

const char* colour_of(std::string_view state) {
  if (state == "active" || state == "connected") return kGreen;
  if (state == "standby" || state == "paused") return kDim;
  if (state == "lost" || state == "unavailable" || state == "down") return kRed;
  return kYellow;
}

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string milliseconds(const std::optional<double>& ms) {
  if (!ms) return "-";
  return format(*ms < 9.95 ? "%.1f ms" : "%.0f ms", *ms);
}
std::string percent(double part, int places) {
  return format(places == 0 ? "%.0f %%" : "%.1f %%", part * 100);
}
std::string rate(double bps) {
  return format_rate(BitRate{bps});
}

// Characters of well-formed UTF-8; a cell has no others, for printable() made it.
size_t width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

struct Column {
  std::string title;
  bool right = false;
};

struct Cell {
  Cell(std::string t, const char* c = nullptr) : text(printable(t)), colour(c) {}
  std::string text;
  const char* colour = nullptr;
};

std::string table(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows, HumanStyle style) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns.size(); ++i) {
    widths.push_back(width(columns[i].title));
    for (const auto& row : rows) widths[i] = std::max(widths[i], width(row[i].text));
  }
  std::string out;
  const auto put = [&](size_t i, const std::string& text, const char* colour) {
    const std::string padding(widths[i] - width(text), ' ');
    const bool last = i + 1 == columns.size();
    if (columns[i].right) out += padding;
    out += paint(text, colour, style);
    if (!last) out += (columns[i].right ? "" : padding) + "  ";
  };
  for (size_t i = 0; i < columns.size(); ++i) put(i, columns[i].title, kBold);
  out += "\n";
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) put(i, row[i].text, row[i].colour);
    out += "\n";
  }
  return out;
}

std::string age(const std::optional<UnixTime>& since, UnixTime now) {
  if (!since) return "";
  return " " + format_duration(Duration::seconds(std::max<int64_t>(now - *since, 0)));
}

// "suspect" or "unavailable: no-route".
std::string state_text(const PathReport& p) {
  return p.reason ? p.state + ": " + *p.reason : p.state;
}

std::string health_lines(const std::vector<HealthItem>& health, HumanStyle style) {
  std::string out;
  for (const HealthItem& h : health) {
    const char* colour = h.severity == "high" ? kRed : h.severity == "medium" ? kYellow : kDim;
    out += paint(printable(h.code), colour, style) + (h.interface ? "  " + printable(*h.interface) : "") + "  " +
           printable(h.text) + "\n";
    if (!h.fix.empty()) out += "   fix:  " + printable(h.fix) + "\n";
  }
  return out;
}

// "IPv4+IPv6", by the tunnel's addresses.
std::string families(const std::vector<std::string>& addresses) {
  const auto is_v6 = [](const std::string& a) { return a.find(':') != std::string::npos; };
  const bool v6 = std::any_of(addresses.begin(), addresses.end(), is_v6);
  const bool v4 = !std::all_of(addresses.begin(), addresses.end(), is_v6);
  return v4 && v6 ? "IPv4+IPv6" : v6 ? "IPv6" : "IPv4";
}

std::string traffic(const std::vector<std::string>& routes) {
  const auto has = [&](std::string_view r) { return std::find(routes.begin(), routes.end(), r) != routes.end(); };
  if (has("0.0.0.0/0") || has("::/0")) return "all traffic";
  if (routes.empty()) return "no routes";
  return routes.size() == 1 ? "to " + routes[0] : std::to_string(routes.size()) + " routes";
}

std::string without_port(const std::string& endpoint) {
  return endpoint.substr(0, endpoint.rfind(':'));
}
std::string without_length(const std::string& prefix) {
  return prefix.substr(0, prefix.find('/'));
}

// "in use", "standby", "no-route" with the fix of the health item that belongs to it.
std::string path_remark(const PathReport& p, const std::vector<HealthItem>& health) {
  for (const HealthItem& h : health) {
    if (p.state == "active" || h.interface != p.interface) continue;
    return printable(h.text) + (h.fix.empty() ? "" : ". Fix: " + printable(h.fix));
  }
  if (p.state == "active") return p.metered ? "in use (metered)" : "in use";
  return printable(state_text(p));
}

// Paths of one interface are listed together. The others are named by what tells them from the first: the outer family.
const PathReport& first_of_interface(const std::vector<PathReport>& paths, const PathReport& p) {
  const PathReport* first = &p;
  while (first != paths.data() && (first - 1)->interface == p.interface) --first;
  return *first;
}
std::string family_of(const PathReport& p) {
  return p.local && p.local->starts_with('[') ? "IPv6" : "IPv4";
}

}  // namespace

std::string status_table(const StatusReport& r, UnixTime now, HumanStyle style) {
  std::string out = paint(printable(r.profile), kBold, style) + "  " +
                    paint(printable(r.state), colour_of(r.state), style) + age(r.since, now);
  if (r.state == "connected") {
    out += std::string(kDot) + "down " + rate(r.rx_bps) + "  up " + rate(r.tx_bps) + std::string(kDot) + "rtt " +
           milliseconds(r.rtt_ms) + std::string(kDot) + "loss " + percent(r.loss, 1);
  }
  out += "\n";
  if (!r.paths.empty()) {
    std::vector<std::vector<Cell>> rows;
    for (const PathReport& p : r.paths) {
      const bool live = p.state != "unavailable";
      const auto or_dash = [&](const std::string& text) { return Cell(live ? text : "-"); };
      const std::string label = &first_of_interface(r.paths, p) == &p ? p.interface : "  and " + family_of(p);
      rows.push_back({Cell(label), Cell(p.type), Cell(p.priority), Cell(state_text(p), colour_of(p.state)),
                      Cell(milliseconds(p.rtt_ms)), or_dash(percent(p.loss, 1)), or_dash(rate(p.rx_bps)),
                      or_dash(rate(p.tx_bps)), or_dash(percent(p.share, 0)),
                      Cell(format_bytes(p.rx_bytes + p.tx_bytes))});
    }
    out += table({{"PATH"},
                  {"TYPE"},
                  {"ROLE"},
                  {"STATE"},
                  {"RTT", true},
                  {"LOSS", true},
                  {"DOWN", true},
                  {"UP", true},
                  {"SHARE", true},
                  {"USED", true}},
                 rows, style);
  }
  return out + health_lines(r.health, style);
}

std::string connected_summary(const StatusReport& r, Duration took, HumanStyle style) {
  std::string out = paint(printable(r.profile), kBold, style) + ": " + paint("connected", kGreen, style) + " in " +
                    format_duration(took);
  if (r.server.endpoint) out += " to " + printable(without_port(*r.server.endpoint));
  if (!r.tunnel.addresses.empty()) out += " as " + printable(without_length(r.tunnel.addresses.front()));
  out += " (" + families(r.tunnel.addresses) + ", " + printable(traffic(r.tunnel.routes)) + ", " +
         (r.tunnel.dns_via ? "DNS via " + printable(*r.tunnel.dns_via) : "DNS untouched") + ")\n";
  size_t name_width = 0, type_width = 0, rtt_width = 0;
  for (const PathReport& p : r.paths) {
    name_width = std::max(name_width, width(printable(p.interface)));
    type_width = std::max(type_width, width(printable(p.type)));
    rtt_width = std::max(rtt_width, milliseconds(p.rtt_ms).size());
  }
  for (const PathReport& p : r.paths) {
    // An interface's other family matters here only while the first does not carry.
    const PathReport& first = first_of_interface(r.paths, p);
    if (&first != &p && first.state == "active") continue;
    const std::string name = printable(p.interface), type = printable(p.type), rtt = milliseconds(p.rtt_ms);
    out += "  " + name + std::string(name_width - width(name), ' ') + "  " + type +
           std::string(type_width - width(type), ' ') + "  " + std::string(rtt_width - rtt.size(), ' ') + rtt + "   " +
           paint(path_remark(p, r.health), colour_of(p.state), style) + "\n";
  }
  return out;
}

std::string server_status_table(const ServerStatusReport& r, UnixTime now, HumanStyle style) {
  std::string out = paint("server", kBold, style) + "  " + paint("running", kGreen, style) + age(r.since, now) +
                    std::string(kDot) + std::to_string(r.sessions) + (r.sessions == 1 ? " session" : " sessions") +
                    std::string(kDot) + "from users " + rate(r.rx_bps) + "  to users " + rate(r.tx_bps) + "\n";
  if (r.workers.size() > 1) {
    uint64_t datagrams = 0, packets = 0;
    for (const WorkerReport& w : r.workers) datagrams += w.handed_datagrams, packets += w.handed_packets;
    const auto dropped = r.drops.find("worker_ring");
    out += std::to_string(r.workers.size()) + " workers; handed on between them: " + std::to_string(datagrams) + " datagrams, " +
           std::to_string(packets) + " packets, dropped: " + std::to_string(dropped == r.drops.end() ? 0 : dropped->second) + "\n";
  }
  std::vector<std::vector<Cell>> rows;
  for (const UserReport& u : r.users) {
    const std::string address = u.addresses.empty() ? "-" : without_length(u.addresses.front());
    if (u.paths.empty()) {
      rows.push_back({Cell(u.name), Cell(address), Cell("-"), Cell("no path", kYellow), Cell("-"), Cell("-"), Cell("-"),
                      Cell("-"), Cell(format_bytes(u.rx_bytes + u.tx_bytes))});
    }
    for (const PathReport& p : u.paths) {
      rows.push_back({Cell(u.name), Cell(address), Cell(p.remote.value_or("-")),
                      Cell(state_text(p), colour_of(p.state)), Cell(milliseconds(p.rtt_ms)), Cell(percent(p.loss, 1)),
                      Cell(rate(p.rx_bps)), Cell(rate(p.tx_bps)), Cell(format_bytes(p.rx_bytes + p.tx_bytes))});
    }
  }
  if (!rows.empty()) {
    out += table({{"USER"},
                  {"ADDRESS"},
                  {"PATH FROM"},
                  {"STATE"},
                  {"RTT", true},
                  {"LOSS", true},
                  {"FROM USER", true},
                  {"TO USER", true},
                  {"USED", true}},
                 rows, style);
  }
  return out + health_lines(r.health, style);
}

}  // namespace hawser
