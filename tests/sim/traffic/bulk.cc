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
        stopper_(loop, [this] { running_ = false; }),
        feeder_(loop, [this] { feed(); }) {}

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
    feed();
    client_.connect();
    if (settings_.stop < Duration::infinite()) stopper_.set(EventLoop::kStart + settings_.stop);
  }
  // A flow with an end in time writes a little ahead of its sender; others write everything at once.
  void feed() {
    if (settings_.stop == Duration::infinite()) {
      sender().write(settings_.bytes);
      return;
    }
    constexpr uint64_t kAhead = 8u << 20;
    while (running_ && written_ < std::min(settings_.bytes, total_ + kAhead)) {
      const uint64_t piece = std::min<uint64_t>(256u << 10, settings_.bytes - written_);
      written_ += piece;
      sender().write(piece);
    }
    if (running_) feeder_.set(loop_.now() + Duration::millis(20));
  }
  void arrived(uint64_t bytes) {
    arrivals_.add(loop_.now(), bytes);
    total_ += bytes;
    if (total_ >= settings_.bytes && !done_at_.is_set()) done_at_ = loop_.now();
  }

  Arrivals arrivals_;
  TcpConnection client_, server_;
  Timer starter_, stopper_, feeder_;
  uint64_t total_ = 0, written_ = 0;
  bool running_ = true;
  Time done_at_;
};

}  // namespace

std::unique_ptr<Flow> make_bulk_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends) {
  return std::make_unique<BulkFlow>(loop, settings, ends);
}

}  // namespace hawser::sim
