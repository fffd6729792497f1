// UDP echo: small packets from the client at a constant rate, sent back by the server. Measures round trips.
#include <cstring>

#include "tests/sim/net/ipv4.h"
#include "tests/sim/traffic/flow.h"

namespace hawser::sim {
namespace {

class EchoFlow final : public Flow {
 public:
  EchoFlow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends)
      : Flow(loop, settings), ends_(ends), server_(*this), client_(*this), tick_(loop, [this] { send(); }) {
    ends.server.listen(ends.server_port, ends.client_port, server_);
    ends.client.listen(ends.client_port, ends.server_port, client_);
  }

  void start() override { tick_.set(EventLoop::kStart + settings_.start); }

  FlowResult result(const Window& window, const Window& idle) const override {
    FlowResult r;
    Samples loaded, empty;
    uint64_t sent = 0, lost = 0;
    const Time until = window.to - Duration::seconds(1);  // what was sent last may still be under way
    Time last = window.from;
    Duration gap{};
    for (const Sent& s : sent_) {
      const double ms = (s.back - s.at).to_millis();
      if (s.back.is_set() && s.at >= idle.from && s.at < idle.to) empty.add(ms);
      if (s.at < window.from || s.at > until) continue;
      ++sent;
      if (!s.back.is_set()) {
        ++lost;
        continue;
      }
      loaded.add(ms);
      r.delays.emplace_back((s.at - EventLoop::kStart).to_seconds(), ms);
      gap = std::max(gap, s.back - last);
      last = std::max(last, s.back);
    }
    for (const auto& [name, p] : {std::pair{"rtt_p50", 0.5}, {"rtt_p95", 0.95}, {"rtt_p99", 0.99}, {"rtt_max", 1.0}}) {
      r.values[name] = loaded.percentile(p);
    }
    r.values["idle_p50"] = empty.percentile(0.5);
    r.values["idle_p99"] = empty.percentile(0.99);
    r.values["over_idle_p99"] = loaded.percentile(0.99) - empty.percentile(0.5);
    r.values["lost"] = static_cast<double>(lost);
    r.values["lost_share"] = sent ? static_cast<double>(lost) / static_cast<double>(sent) : 0;
    r.values["gap_ms"] = gap.to_millis();
    return r;
  }

 private:
  struct Sent {
    Time at, back;
  };
  struct ServerSide final : PacketHandler {
    explicit ServerSide(EchoFlow& f) : flow(f) {}
    void on_packet(ByteSpan packet) override { flow.send_back(packet); }
    EchoFlow& flow;
  };
  struct ClientSide final : PacketHandler {
    explicit ClientSide(EchoFlow& f) : flow(f) {}
    void on_packet(ByteSpan packet) override { flow.came_back(packet); }
    EchoFlow& flow;
  };

  void send() {
    if (stopped()) return;
    make_udp(packet_, settings_.packet_bytes, ends_.client.address(), ends_.server.address(), ends_.client_port, ends_.server_port,
             static_cast<uint8_t>(settings_.dscp << 2));
    const uint64_t sequence = sent_.size();
    std::memcpy(&packet_[kUdpIpHeaders], &sequence, sizeof sequence);
    sent_.push_back({loop_.now(), Time{}});
    ends_.client.send(packet_);
    tick_.set(loop_.now() + Duration::from_seconds(1 / settings_.packets_per_second));
  }
  void send_back(ByteSpan packet) {
    uint64_t sequence;
    std::memcpy(&sequence, &packet[kUdpIpHeaders], sizeof sequence);
    make_udp(back_, packet.size(), ends_.server.address(), ends_.client.address(), ends_.server_port, ends_.client_port,
             static_cast<uint8_t>(settings_.dscp << 2));
    std::memcpy(&back_[kUdpIpHeaders], &sequence, sizeof sequence);
    ends_.server.send(back_);
  }
  void came_back(ByteSpan packet) {
    uint64_t sequence;
    std::memcpy(&sequence, &packet[kUdpIpHeaders], sizeof sequence);
    if (sequence < sent_.size() && !sent_[sequence].back.is_set()) sent_[sequence].back = loop_.now();
  }

  const FlowEnds ends_;
  ServerSide server_;
  ClientSide client_;
  Timer tick_;
  std::vector<uint8_t> packet_, back_;
  std::vector<Sent> sent_;
};

}  // namespace

std::unique_ptr<Flow> make_echo_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends) {
  return std::make_unique<EchoFlow>(loop, settings, ends);
}

}  // namespace hawser::sim
