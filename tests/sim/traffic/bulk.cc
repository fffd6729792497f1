// One TCP connection that carries a file, or as much as it can.
#include "tests/sim/traffic/arrivals.h"

namespace hawser::sim {
namespace {

class BulkFlow final : public Flow {
 public:
  BulkFlow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends)
      : Flow(loop, settings),
        client_(loop, ends.client, ends.client_port, ends.server.address(), ends.server_port, settings.tcp,
                [this](uint64_t bytes) { arrived(bytes); }),
        server_(loop, ends.server, ends.server_port, ends.client.address(), ends.client_port, settings.tcp,
                [this](uint64_t bytes) { arrived(bytes); }),
        starter_(loop, [this] { begin(); }),
        stopper_(loop, [this] { sender().stop(); }) {}

  void start() override { starter_.set(EventLoop::kStart + settings_.start); }

  FlowResult result(const Window& window, const Window&) const override {
    FlowResult r;
    r.bins = arrivals_.bins();
    Window active{std::max(window.from, EventLoop::kStart + settings_.start), window.to};
    const TcpSenderStats& sent = sender().sender_stats();
    const TcpReceiverStats& received = receiver().receiver_stats();
    r.values["goodput"] = arrivals_.rate(active);
    const Arrivals::Stall stall = arrivals_.longest_stall(active);
    r.values["stall_ms"] = stall.ms;
    r.values["stall_at_s"] = (stall.from - EventLoop::kStart).to_seconds();
    r.values["retransmissions"] = static_cast<double>(sent.retransmissions);
    r.values["timeouts"] = static_cast<double>(sent.timeouts);
    r.values["recoveries"] = static_cast<double>(sent.recoveries);
    r.values["undone"] = static_cast<double>(sent.undone);
    r.values["reordered"] = static_cast<double>(received.reordered);
    r.values["duplicates"] = static_cast<double>(received.duplicates);
    r.values["outdated"] = static_cast<double>(received.outdated);
    r.values["hold_ms"] = received.longest_hold.to_millis();
    r.values["mixed_up"] = static_cast<double>(client_.mixed_up() + server_.mixed_up());
    if (const TcpSender* s = sender().sender()) r.values["srtt_ms"] = s->rtt().smoothed().to_millis();
    if (settings_.bytes < TcpSender::kForever) {
      r.values["complete"] = done_at_.is_set() ? 1 : 0;
      const Time end = done_at_.is_set() ? done_at_ : loop_.now();
      r.values["seconds"] = (end - EventLoop::kStart - settings_.start).to_seconds();
      r.values["goodput"] = static_cast<double>(total_) * 8e-6 / r.values["seconds"];
    }
    return r;
  }

 private:
  const TcpConnection& sender() const { return settings_.heading == Heading::up ? client_ : server_; }
  const TcpConnection& receiver() const { return settings_.heading == Heading::up ? server_ : client_; }
  TcpConnection& sender() { return settings_.heading == Heading::up ? client_ : server_; }

  void begin() {
    sender().write(settings_.bytes);
    client_.connect();
    if (settings_.stop < Duration::infinite()) stopper_.set(EventLoop::kStart + settings_.stop);
  }
  void arrived(uint64_t bytes) {
    arrivals_.add(loop_.now(), bytes);
    total_ += bytes;
    if (total_ >= settings_.bytes && !done_at_.is_set()) done_at_ = loop_.now();
  }

  Arrivals arrivals_;
  TcpConnection client_, server_;
  Timer starter_, stopper_;
  uint64_t total_ = 0;
  Time done_at_;
};

}  // namespace

std::unique_ptr<Flow> make_bulk_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends) {
  return std::make_unique<BulkFlow>(loop, settings, ends);
}

}  // namespace hawser::sim
