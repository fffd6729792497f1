// Builds the network of a scenario and runs it.
#include "tests/sim/scenario/network.h"

#include "tests/sim/scenario/units.h"

namespace hawser::sim {
namespace {

constexpr size_t kNoInterface = SIZE_MAX;
constexpr uint16_t kFirstClientPort = 30'000, kPortsPerFlow = 1'000;

uint16_t default_port(const std::string& type) {
  if (type == "quic") return 443;
  if (type == "cbr") return 5004;
  if (type == "echo") return 7007;
  return 5001;
}

}  // namespace

Network::Network(const Scenario& scenario, uint64_t seed, const std::string& only) : scenario_(scenario), seed_(seed), only_(only) {
  TunnelSettings settings = scenario.tunnel;
  settings.seed = seed;
  tunnel_ = std::make_unique<Tunnel>(loop_, settings);
  add_links();
  add_flows();
}

Link& Network::find(const std::string& name) {
  for (const auto& link : links_) {
    if (link->name == name) return *link;
  }
  throw ScenarioError("there is no link '" + name + "'");
}

void Network::add_links() {
  for (const LinkSpec& spec : scenario_.links) links_.push_back(std::make_unique<Link>(loop_, spec.name(), spec.up, spec.down, seed_));
  for (size_t i = 0; i < scenario_.links.size(); ++i) {
    const LinkSpec& spec = scenario_.links[i];
    size_t interface = kNoInterface;
    if (takes_part(spec)) {
      std::vector<Direction*> to_server = {&links_[i]->up}, to_client = {&links_[i]->down};
      if (!spec.via.empty()) {
        Link& shared = find(spec.via);
        to_server.push_back(&shared.up);
        to_client.insert(to_client.begin(), &shared.down);
      }
      interface = tunnel_->add_interface(spec.user, spec.interface, to_server, to_client);
      if (!spec.starts_down) {
        Step up;
        up.up = spec.up;
        up.down = spec.down;
        up.carrier = true;
        acts_.push_back({i, interface, up});
      }
    }
    for (const Step& step : spec.steps) acts_.push_back({i, interface, step});
  }
  for (size_t i = 0; i < acts_.size(); ++i) loop_.at(EventLoop::kStart + acts_[i].step.at, *this, i);
}

void Network::on_event(uint64_t tag) {
  const Act& act = acts_[tag];
  links_[act.link]->up.set(act.step.up);
  links_[act.link]->down.set(act.step.down);
  if (act.interface == kNoInterface) return;
  if (act.step.carrier && *act.step.carrier) tunnel_->interface_up(act.interface);
  if (act.step.carrier && !*act.step.carrier) tunnel_->interface_down(act.interface);
  if (act.step.rebind) tunnel_->nat_rebind(act.interface);
  if (act.step.priority) tunnel_->set_priority(act.interface, *act.step.priority);
}

std::pair<DirectHost*, DirectHost*> Network::hosts_over(const std::string& name) {
  for (const DirectPair& p : direct_) {
    if (p.link == name) return {p.client.get(), p.server.get()};
  }
  DirectPair p;
  p.link = name;
  const auto n = static_cast<uint8_t>(direct_.size() + 1);
  p.client = std::make_unique<DirectHost>(IpAddress::v4(172, 16, n, 2));
  p.server = std::make_unique<DirectHost>(IpAddress::v4(172, 17, n, 1));
  std::vector<Direction*> to_server, to_client;
  for (const LinkSpec& spec : scenario_.links) {
    if (spec.name() != name) continue;
    to_server = {&find(name).up};
    to_client = {&find(name).down};
    if (!spec.via.empty()) {
      to_server.push_back(&find(spec.via).up);
      to_client.insert(to_client.begin(), &find(spec.via).down);
    }
  }
  find(name);  // throws for a name that is none
  p.client->connect(*p.server, to_server);
  p.server->connect(*p.client, to_client);
  direct_.push_back(std::move(p));
  return {direct_.back().client.get(), direct_.back().server.get()};
}

void Network::add_flows() {
  uint16_t client_port = kFirstClientPort;
  for (const FlowSettings& f : scenario_.flows) {
    const uint16_t server_port = f.port ? f.port : default_port(f.type);
    Host* client = &tunnel_->client(f.user);
    Host* server = &tunnel_->server();
    if (!f.over.empty()) std::tie(client, server) = hosts_over(f.over);
    flows_.push_back(make_flow(loop_, f, FlowEnds{*client, *server, client_port, server_port, seed_}));
    client_port = static_cast<uint16_t>(client_port + kPortsPerFlow);
  }
}

void Network::run() {
  for (const auto& flow : flows_) flow->start();
  loop_.run_until(EventLoop::kStart + scenario_.measure_from);
  for (const auto& link : links_) {
    link->up.begin_measuring();
    link->down.begin_measuring();
  }
  loop_.run_until(EventLoop::kStart + scenario_.length);
}

}  // namespace hawser::sim
