// A scenario brought to life: links, two engines, hosts and flows in one virtual time.
#pragma once

#include "tests/sim/scenario/scenario.h"

namespace hawser::sim {

class Network final : private EventHandler {
 public:
  // `only`: all interfaces but this link stay away (empty: all take part).
  Network(const Scenario& scenario, uint64_t seed, const std::string& only = {});
  void run();

  EventLoop& loop() { return loop_; }
  Tunnel& tunnel() { return *tunnel_; }
  const std::vector<std::unique_ptr<Link>>& links() const { return links_; }
  const std::vector<std::unique_ptr<Flow>>& flows() const { return flows_; }
  bool takes_part(const LinkSpec& link) const { return link.is_path && (only_.empty() || link.name() == only_); }

 private:
  void on_event(uint64_t tag) override;  // tag: index into acts_
  void add_links();
  void add_flows();
  Link& find(const std::string& name);
  // Hosts at both ends of a link, without a tunnel.
  std::pair<DirectHost*, DirectHost*> hosts_over(const std::string& link);

  struct Act {
    size_t link;
    size_t interface;
    Step step;
  };
  struct DirectPair {
    std::string link;
    std::unique_ptr<DirectHost> client, server;
  };

  const Scenario& scenario_;
  const uint64_t seed_;
  const std::string only_;
  EventLoop loop_;
  std::vector<std::unique_ptr<Link>> links_;
  std::unique_ptr<Tunnel> tunnel_;
  std::vector<DirectPair> direct_;
  std::vector<std::unique_ptr<Flow>> flows_;
  std::vector<Act> acts_;
};

}  // namespace hawser::sim
