// Runs a scenario and turns what its flows, links and engines counted into named numbers.
#include <algorithm>
#include <chrono>

#include "tests/sim/scenario/network.h"
#include "tests/sim/scenario/result.h"

namespace hawser::sim {
namespace {

// UDP 8, IPv4 20, Ethernet 14, and the tunnel's 31 of a full data datagram (DESIGN.md, section 3).
constexpr double kTunnelOverhead = 31 + 28 + 14;
constexpr double kTcpHeaders = kTcpIpHeaders;

double sum_bins(const std::vector<double>& bins, double from, double to) {
  double sum = 0;
  for (auto i = static_cast<size_t>(from * 10); i < std::min(bins.size(), static_cast<size_t>(to * 10)); ++i) sum += bins[i];
  return sum;
}

// The first second at which the counted flows' rate over half a second is at 90 % of `target`, from when the first one starts.
double time_to(double target, const std::vector<FlowResult>& flows, const Scenario& scenario) {
  double start = scenario.length.to_seconds();
  std::vector<double> bins(static_cast<size_t>(scenario.length.to_seconds() * 10));
  for (size_t f = 0; f < flows.size(); ++f) {
    if (!flows[f].counts) continue;
    start = std::min(start, scenario.flows[f].start.to_seconds());
    for (size_t i = 0; i < std::min(bins.size(), flows[f].bins.size()); ++i) bins[i] += flows[f].bins[i];
  }
  for (auto i = static_cast<size_t>(start * 10) + 5; i <= bins.size(); ++i) {
    double bytes = 0;
    for (size_t k = i - 5; k < i; ++k) bytes += bins[k];
    if (bytes * 16e-6 >= 0.9 * target) return static_cast<double>(i) / 10 - start;
  }
  return scenario.length.to_seconds();
}

// How evenly the users share: each counted flow's part of all, the least user's part of an even share, and Jain's index of all.
void add_shares(RunResult& r, const Scenario& scenario, double goodput) {
  if (scenario.tunnel.users < 2 || goodput <= 0) return;
  std::map<size_t, double> of_user;
  for (size_t f = 0; f < r.flows.size(); ++f) {
    if (!r.flows[f].counts) continue;
    const double part = r.flows[f].values.at("goodput") / goodput;
    r.values[r.flows[f].name + ".of_all"] = part;
    of_user[scenario.flows[f].user] += part;
  }
  double least = 1, squares = 0;
  for (const auto& [user, part] : of_user) {
    least = std::min(least, part);
    squares += part * part;
  }
  r.values["least_of_fair"] = least * static_cast<double>(of_user.size());
  r.values["jain"] = 1 / (squares * static_cast<double>(of_user.size()));
}

// What TCP without a tunnel could carry over the link that the flow takes, Mbit/s; 0 for a flow through the tunnel.
double link_payload(const Scenario& scenario, const FlowSettings& flow) {
  for (const LinkSpec& l : scenario.links) {
    if (l.name() != flow.over) continue;
    const double bps = (flow.heading == Heading::up ? l.up : l.down).rate.bps;
    return bps * 1e-6 * (1500 - kTcpHeaders) / (1500 + kEthernetHeader);
  }
  return 0;
}

// The flows' rates in each phase of the run, counted from 1.
void add_phase_values(RunResult& r, const Scenario& scenario) {
  for (size_t p = 0; p < scenario.phases.size(); ++p) {
    const auto [from, to] = scenario.phases[p];
    const std::string in = "_in_" + std::to_string(p + 1);
    double goodput = 0;
    for (size_t f = 0; f < r.flows.size(); ++f) {
      const FlowResult& flow = r.flows[f];
      if (flow.values.count("goodput") == 0) continue;
      const double rate = sum_bins(flow.bins, from.to_seconds(), to.to_seconds()) * 8e-6 / (to - from).to_seconds();
      if (flow.counts) goodput += rate;
      r.values[flow.name + ".goodput" + in] = rate;
      if (const double all = link_payload(scenario, scenario.flows[f]); all > 0) r.values[flow.name + ".of_link" + in] = rate / all;
    }
    r.values["goodput" + in] = goodput;
  }
}

void add_flow_values(RunResult& r, const Scenario& scenario) {
  double goodput = 0, goodput_up = 0, goodput_down = 0;
  for (const FlowResult& f : r.flows) {
    for (const auto& [key, value] : f.values) r.values[f.name + "." + key] = value;
    if (!f.counts) continue;
    const double rate = f.values.at("goodput");
    goodput += rate;
    (f.heading == Heading::up ? goodput_up : goodput_down) += rate;
    for (const char* key : {"retransmissions", "timeouts", "reordered", "mixed_up"}) {
      if (const auto it = f.values.find(key); it != f.values.end()) r.values[key] += it->second;
    }
    for (const char* key : {"stall_ms", "hold_ms"}) {
      if (const auto it = f.values.find(key); it != f.values.end()) r.values[key] = std::max(r.values[key], it->second);
    }
  }
  r.values["goodput"] = goodput;
  for (const FlowResult& f : r.flows) {
    const auto it = f.values.find("goodput");
    if (!f.through_tunnel && it != f.values.end() && it->second > 0) r.values[f.name + ".matched"] = goodput / it->second;
  }
  add_shares(r, scenario, goodput);
  add_phase_values(r, scenario);
  if (goodput_up > 0 && goodput_down > 0) {
    r.values["goodput_up"] = goodput_up;
    r.values["goodput_down"] = goodput_down;
  }
}

// The least measured loss of a shared link over the greatest, downlink: 1 when congestion is alike everywhere, or nowhere.
void add_loss_balance(RunResult& r, const Scenario& scenario, Network& net) {
  double least = 1, most = 0;
  int shared = 0;
  for (size_t i = 0; i < scenario.links.size(); ++i) {
    const Direction& down = net.links()[i]->down;
    if (scenario.links[i].is_path || down.counters().in_frames == 0) continue;
    const double loss = down.measured_loss();
    least = std::min(least, loss);
    most = std::max(most, loss);
    ++shared;
  }
  if (shared > 1) r.values["loss_balance"] = most > 0 ? least / most : 1;
}

void add_link_values(RunResult& r, const Scenario& scenario, Network& net) {
  const double from = scenario.measure_from.to_seconds(), to = scenario.length.to_seconds();
  double up = 0, down = 0;
  for (size_t i = 0; i < scenario.links.size(); ++i) {
    const LinkSpec& spec = scenario.links[i];
    const Link& link = *net.links()[i];
    if (!net.takes_part(spec)) continue;
    r.links.push_back({spec.name(), 0, 0, link.up.counters().bins, link.down.counters().bins});
    up += sum_bins(link.up.counters().bins, from, to);
    down += sum_bins(link.down.counters().bins, from, to);
  }
  for (LinkResult& l : r.links) {
    l.share_up = up > 0 ? sum_bins(l.bins_up, from, to) / up : 0;
    l.share_down = down > 0 ? sum_bins(l.bins_down, from, to) / down : 0;
    r.values[l.name + ".share"] = up > down ? l.share_up : l.share_down;
  }
  r.values["wire_megabytes"] = (up + down) / 1e6;
  add_loss_balance(r, scenario, net);
  for (const auto& link : net.links()) {
    for (const Direction* d : {&link->up, &link->down}) {
      const DirectionCounters& c = d->counters();
      const std::string prefix = link->name + (d == &link->up ? ".up." : ".down.");
      r.values[prefix + "queue_p50"] = c.queue_delay_ms.percentile(0.5);
      r.values[prefix + "queue_p99"] = c.queue_delay_ms.percentile(0.99);
      r.values[prefix + "drops"] = static_cast<double>(c.drop_queue + c.drop_codel);
      r.values[prefix + "lost"] = static_cast<double>(c.drop_loss);
      r.values[prefix + "frames"] = static_cast<double>(c.in_frames);
    }
  }
}

// From the last step on until the rate of 500 ms is at 90 % of what it was in the three seconds before the first step.
double regained(const std::vector<double>& bins, const Scenario& scenario) {
  Duration first = Duration::infinite(), last{};
  for (const LinkSpec& l : scenario.links) {
    for (const Step& s : l.steps) {
      first = std::min(first, s.at);
      last = std::max(last, s.at);
    }
  }
  const double before = sum_bins(bins, std::max(0.0, first.to_seconds() - 3), first.to_seconds()) / std::min(3.0, first.to_seconds());
  for (double at = last.to_seconds(); at + 0.5 <= scenario.length.to_seconds(); at += 0.1) {
    if (sum_bins(bins, at, at + 0.5) * 2 >= 0.9 * before) return at - last.to_seconds();
  }
  return scenario.length.to_seconds() - last.to_seconds();
}

void add_step_values(RunResult& r, const Scenario& scenario) {
  if (std::all_of(scenario.links.begin(), scenario.links.end(), [](const LinkSpec& l) { return l.steps.empty(); })) return;
  std::vector<double> total(static_cast<size_t>(scenario.length.to_seconds() * 10));
  bool up = false;
  for (const FlowResult& f : r.flows) {
    for (size_t i = 0; f.counts && i < std::min(total.size(), f.bins.size()); ++i) total[i] += f.bins[i];
    up = up || (f.counts && f.heading == Heading::up);
  }
  r.values["regained_s"] = regained(total, scenario);
  for (const LinkResult& l : r.links) r.values[l.name + ".regained_s"] = regained(up ? l.bins_up : l.bins_down, scenario);
}

void add_engine_values(RunResult& r, Network& net) {
  // The first user's client stands for all.
  for (EngineEnd* end : {&net.tunnel().client(), &net.tunnel().server()}) {
    const std::string prefix = end == &net.tunnel().client() ? "client." : "server.";
    for (const SessionInfo& s : end->engine().sessions(net.loop().now())) {
      r.values[prefix + "memory_bytes"] = static_cast<double>(s.memory_bytes);
      for (size_t i = 0; i < kDropReasons; ++i) {
        if (s.drops.values[i]) r.values[prefix + "drop." + name(static_cast<DropReason>(i))] = static_cast<double>(s.drops.values[i]);
      }
      for (const PathInfo& p : s.paths) {
        r.values["reinjected"] += static_cast<double>(p.reinjected_packets);
        r.values["path_lost"] += static_cast<double>(p.lost_packets);
        r.values["path_sent"] += static_cast<double>(p.sent_packets);
      }
    }
  }
}

}  // namespace

double ceiling(const Scenario& scenario, const std::string& only, Heading heading) {
  double total = 0;
  std::map<std::string, double> behind;  // what comes through each shared link
  const auto rate_of = [&](const LinkSpec& l) {
    const double bps = (heading == Heading::up ? l.up : l.down).rate.bps;
    return bps > 0 ? bps : 1e18;
  };
  for (const LinkSpec& l : scenario.links) {
    if (!l.is_path || (!only.empty() && l.name() != only)) continue;
    (l.via.empty() ? total : behind[l.via]) += rate_of(l);
  }
  for (const LinkSpec& l : scenario.links) {
    if (const auto it = behind.find(l.name()); it != behind.end()) total += std::min(it->second, rate_of(l));
  }
  const double mtu = scenario.tunnel.mtu;
  return total * 1e-6 * (mtu - kTcpHeaders) / (mtu + kTunnelOverhead);
}

RunResult run_once(const Scenario& scenario, uint64_t seed, const std::string& only) {
  Network net(scenario, seed, only);
  net.run();
  RunResult r;
  const Time start = EventLoop::kStart;
  const Window window{start + scenario.measure_from, start + scenario.length}, idle{start, start + scenario.idle_until};
  double possible = 0;
  bool up = false, down = false;
  for (const auto& flow : net.flows()) {
    FlowResult f = flow->result(window, idle);
    f.name = flow->settings().name;
    f.type = flow->settings().type;
    f.heading = flow->settings().heading;
    f.counts = flow->settings().count_in_goodput;
    f.through_tunnel = flow->settings().over.empty();
    if (f.counts) (f.heading == Heading::up ? up : down) = true;
    const double all = link_payload(scenario, flow->settings());
    if (all > 0 && f.values.count("goodput")) f.values["of_link"] = f.values["goodput"] / all;
    r.flows.push_back(std::move(f));
  }
  if (up) possible += ceiling(scenario, only, Heading::up);
  if (down) possible += ceiling(scenario, only, Heading::down);
  add_flow_values(r, scenario);
  add_link_values(r, scenario, net);
  add_step_values(r, scenario);
  add_engine_values(r, net);
  double wanted = 0.9;
  for (const Bar& b : scenario.bars) {
    if (b.metric == "of_ceiling" && b.min) wanted = *b.min;
  }
  if (possible > 0) {
    r.values["ceiling"] = possible;
    r.values["of_ceiling"] = r.values["goodput"] / possible;
    r.values["time_to_90"] = time_to(wanted * possible, r.flows, scenario);
  }
  r.log = net.tunnel().log();
  r.fingerprint = net.tunnel().fingerprint();
  r.events = net.loop().events();
  return r;
}

// The aggregation benefit of the MPQUIC and MPTCP studies (Paasch et al. 2013): 0 is as good as the best link alone, 1 the
// sum of all alone; below zero relative to the best.
static void add_benefit(ScenarioResult& result) {
  double best = 0, sum = 0;
  for (const auto& [link, values] : result.alone) {
    best = std::max(best, values.at("goodput"));
    sum += values.at("goodput");
  }
  const double ours = result.run.values["goodput"];
  if (best > 0 && sum > best) result.run.values["benefit"] = ours >= best ? (ours - best) / (sum - best) : (ours - best) / best;
}

ScenarioResult run_scenario(const Scenario& scenario) {
  const auto began = std::chrono::steady_clock::now();
  ScenarioResult result;
  result.scenario = &scenario;
  std::map<std::string, std::vector<double>> all;
  const auto gather = [&](const std::string& only) {
    all.clear();
    for (int i = 0; i < scenario.seeds; ++i) {
      RunResult r = run_once(scenario, scenario.tunnel.seed + static_cast<uint64_t>(i), only);
      for (const auto& [key, value] : r.values) all[key].push_back(value);
      if (i == 0 && only.empty()) result.run = std::move(r);
    }
    std::map<std::string, double> medians;
    for (auto& [key, values] : all) {
      values.resize(static_cast<size_t>(scenario.seeds));  // a counter that one run did not have was zero there
      std::sort(values.begin(), values.end());
      medians[key] = values[values.size() / 2];
    }
    return medians;
  };
  result.run.values = gather({});
  if (scenario.alone) {
    for (const LinkSpec& link : scenario.links) {
      if (link.is_path) result.alone[link.name()] = gather(link.name());
    }
    add_benefit(result);
  }
  result.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return result;
}

}  // namespace hawser::sim
