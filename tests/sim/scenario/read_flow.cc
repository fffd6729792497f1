// Flows from TOML.
#include <algorithm>

#include "tests/sim/scenario/read_link.h"
#include "tests/sim/scenario/units.h"

namespace hawser::sim {
namespace {

constexpr std::string_view kFlowKeys[] = {"name", "type", "user", "heading", "count", "over", "start", "stop", "congestion", "window", "bytes",
                                          "packet", "rate", "pps", "port", "dscp", "interval", "new-connection", "burst", "counts"};

// Each type has its own idea of a usual packet.
void set_defaults(FlowSettings& f) {
  if (f.type == "cbr") f.count_in_goodput = false;
  if (f.type == "voice") {  // G.711, 20 ms: 64 kbit/s of speech
    f.type = "cbr";
    f.packet_bytes = 200;
    f.packets_per_second = 50;
    f.count_in_goodput = false;
  }
  if (f.type == "echo") {
    f.packet_bytes = 92;
    f.packets_per_second = 200;
    f.count_in_goodput = false;
  }
  if (f.type == "request" || f.type == "video") f.count_in_goodput = false;
}

Heading read_heading(const std::string& value) {
  if (value == "up") return Heading::up;
  if (value == "down") return Heading::down;
  throw ScenarioError("heading '" + value + "' is not one of up, down");
}

}  // namespace

std::vector<FlowSettings> read_flows(const toml::table& t) {
  check_keys(t, kFlowKeys, "flow");
  FlowSettings f;
  f.type = text(t, "type").value_or("tcp");
  f.name = text(t, "name").value_or(f.type);
  const std::vector<std::string> types = {"tcp", "quic", "cbr", "voice", "echo", "request", "video"};
  if (!std::count(types.begin(), types.end(), f.type)) {
    throw ScenarioError("flow type '" + f.type + "' is not one of tcp, quic, cbr, voice, echo, request, video");
  }
  set_defaults(f);
  f.heading = read_heading(text(t, "heading").value_or("down"));
  f.over = text(t, "over").value_or("");
  if (!f.over.empty()) f.count_in_goodput = false;
  f.user = read_user(t);
  if (const auto v = text(t, "start")) f.start = parse_duration(*v);
  if (const auto v = text(t, "stop")) f.stop = parse_duration(*v);
  if (const auto v = text(t, "congestion")) {
    if (*v != "cubic" && *v != "reno") throw ScenarioError("congestion '" + *v + "' of a flow is not one of cubic, reno");
    f.tcp.congestion = *v == "reno" ? CongestionControl::reno : CongestionControl::cubic;
  }
  if (const auto v = text(t, "window")) f.tcp.window = parse_bytes(*v);
  if (const auto v = text(t, "bytes")) f.bytes = parse_bytes(*v);
  if (const auto v = text(t, "packet")) f.packet_bytes = parse_bytes(*v);
  if (const auto v = t["burst"].value<int64_t>()) f.burst = static_cast<size_t>(std::max<int64_t>(1, *v));
  if (const auto v = t["pps"].value<double>()) f.packets_per_second = *v;
  if (const auto v = text(t, "rate")) f.packets_per_second = parse_rate(*v).bytes_per_second() / static_cast<double>(f.packet_bytes);
  if (const auto v = t["port"].value<int64_t>()) f.port = static_cast<uint16_t>(*v);
  if (const auto v = t["dscp"].value<int64_t>()) f.dscp = static_cast<uint8_t>(*v);
  if (const auto v = text(t, "interval")) f.interval = parse_duration(*v);
  f.new_connection = t["new-connection"].value_or(false);
  f.count_in_goodput = t["counts"].value_or(f.count_in_goodput);
  std::vector<FlowSettings> flows;
  const int64_t count = t["count"].value_or(int64_t{1});
  for (int64_t i = 0; i < count; ++i) {
    flows.push_back(f);
    if (count > 1) flows.back().name += std::to_string(i + 1);
  }
  return flows;
}

}  // namespace hawser::sim
