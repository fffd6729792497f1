// Packets at a constant rate in one direction: a call, a stream. Measures one-way delay, loss, gaps.
#include <cstring>

#include "tests/sim/net/ipv4.h"
#include "tests/sim/traffic/arrivals.h"

namespace hawser::sim {
namespace {

struct Stamp {
  uint64_t sequence;
  Time sent;
};

class CbrFlow final : public Flow, private PacketHandler {
 public:
  CbrFlow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends)
      : Flow(loop, settings),
        from_(settings.heading == Heading::up ? ends.client : ends.server),
        to_(settings.heading == Heading::up ? ends.server : ends.client),
        from_port_(settings.heading == Heading::up ? ends.client_port : ends.server_port),
        to_port_(settings.heading == Heading::up ? ends.server_port : ends.client_port),
        tick_(loop, [this] { send(); }) {
    to_.listen(to_port_, from_port_, *this);
  }

  void start() override { tick_.set(EventLoop::kStart + settings_.start); }

  FlowResult result(const Window& window, const Window&) const override {
    FlowResult r;
    r.bins = arrivals_.bins();
    Samples delays, first;
    uint64_t sent = 0, lost = 0;
    // What was sent in the last second may still be under way.
    const Time until = window.to - Duration::seconds(1);
    Time last = window.from;
    Duration gap{};
    for (const Sent& s : sent_) {
      if (s.at < window.from || s.at > until) continue;
      ++sent;
      if (!s.arrived.is_set()) ++lost;
      if (s.arrived.is_set()) {
        delays.add((s.arrived - s.at).to_millis());
        r.delays.emplace_back((s.at - EventLoop::kStart).to_seconds(), (s.arrived - s.at).to_millis());
        gap = std::max(gap, s.arrived - last);
        last = std::max(last, s.arrived);
      }
    }
    r.values["goodput"] = arrivals_.rate(window);
    r.values["delay_p50"] = delays.percentile(0.5);
    r.values["delay_p95"] = delays.percentile(0.95);
    r.values["delay_p99"] = delays.percentile(0.99);
    r.values["delay_max"] = delays.max();
    r.values["lost"] = static_cast<double>(lost);
    r.values["lost_share"] = sent ? static_cast<double>(lost) / static_cast<double>(sent) : 0;
    r.values["gap_ms"] = gap.to_millis();
    r.values["reordered"] = static_cast<double>(reordered_);
    r.values["duplicates"] = static_cast<double>(duplicates_);
    return r;
  }

 private:
  struct Sent {
    Time at, arrived;
  };

  void send() {
    if (stopped()) return;
    for (size_t i = 0; i < settings_.burst; ++i) {
      make_udp(packet_, settings_.packet_bytes, from_.address(), to_.address(), from_port_, to_port_, static_cast<uint8_t>(settings_.dscp << 2));
      const Stamp stamp{sent_.size(), loop_.now()};
      std::memcpy(&packet_[kUdpIpHeaders], &stamp, sizeof stamp);
      sent_.push_back({loop_.now(), Time{}});
      from_.send(packet_);
    }
    const double interval = static_cast<double>(settings_.burst) / settings_.packets_per_second;
    tick_.set(loop_.now() + Duration::from_seconds(interval));
  }

  void on_packet(ByteSpan packet) override {
    Stamp stamp;
    if (packet.size() < kUdpIpHeaders + sizeof stamp) return;
    std::memcpy(&stamp, &packet[kUdpIpHeaders], sizeof stamp);
    if (stamp.sequence >= sent_.size()) return;
    Sent& s = sent_[stamp.sequence];
    if (s.arrived.is_set()) {
      ++duplicates_;
      return;
    }
    s.arrived = loop_.now();
    if (stamp.sequence < highest_) ++reordered_;
    highest_ = std::max(highest_, stamp.sequence);
    arrivals_.add(loop_.now(), packet.size() - kUdpIpHeaders);
  }

  Host& from_;
  Host& to_;
  const uint16_t from_port_, to_port_;
  Timer tick_;
  std::vector<uint8_t> packet_;
  std::vector<Sent> sent_;
  Arrivals arrivals_;
  uint64_t highest_ = 0, reordered_ = 0, duplicates_ = 0;
};

}  // namespace

std::unique_ptr<Flow> make_cbr_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends) {
  return std::make_unique<CbrFlow>(loop, settings, ends);
}

}  // namespace hawser::sim
