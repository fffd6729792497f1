// Request and response over TCP, web-like: the client asks, the server answers with so many bytes. Measures completion times.
#include "tests/sim/traffic/exchange.h"

namespace hawser::sim {
namespace {

class RequestFlow final : public Flow {
 public:
  RequestFlow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends)
      : Flow(loop, settings), ends_(ends), next_(loop, [this] { ask(); }) {}

  void start() override { next_.set(EventLoop::kStart + settings_.start); }

  FlowResult result(const Window& window, const Window&) const override {
    FlowResult r;
    Samples times;
    uint64_t unfinished = 0, finished = 0;
    Duration gap{};
    Time last = window.from;
    for (const Request& q : requests_) {
      if (q.done.is_set() && q.done >= window.from && q.done <= window.to) {
        gap = std::max(gap, q.done - last);
        last = q.done;
      }
      // A request that began in the last seconds may still be under way.
      if (q.asked < window.from || q.asked > window.to - Duration::seconds(2)) continue;
      const Time done = q.done.is_set() ? q.done : window.to;
      ++(q.done.is_set() ? finished : unfinished);
      times.add((done - q.asked).to_millis());
      r.delays.emplace_back((q.asked - EventLoop::kStart).to_seconds(), (done - q.asked).to_millis());
    }
    for (const auto& [name, p] : {std::pair{"time_p50", 0.5}, {"time_p95", 0.95}, {"time_p99", 0.99}, {"time_max", 1.0}}) {
      r.values[name] = times.percentile(p);
    }
    r.values["time_mean"] = times.mean();
    r.values["gap_ms"] = gap.to_millis();
    r.values["finished"] = static_cast<double>(finished);
    r.values["unfinished"] = static_cast<double>(unfinished);
    r.values["goodput"] = static_cast<double>(finished * settings_.bytes) * 8e-6 / (window.to - window.from).to_seconds();
    return r;
  }

 private:
  struct Request {
    Time asked, done;
  };

  void ask() {
    if (stopped()) return;
    if (settings_.interval.ns > 0) next_.set(loop_.now() + settings_.interval);
    // A persistent connection answers one after the other; what is still under way makes the next one wait.
    if (!settings_.new_connection && !exchanges_.empty() && answered_ < requests_.size()) {
      ++waiting_;
      return;
    }
    begin();
  }
  void begin() {
    requests_.push_back({loop_.now(), Time{}});
    if (settings_.new_connection || exchanges_.empty()) {
      FlowEnds ends = ends_;
      ends.client_port = static_cast<uint16_t>(ends_.client_port + exchanges_.size() % 1'000);
      const size_t index = requests_.size() - 1;
      exchanges_.push_back(std::make_unique<Exchange>(loop_, settings_, ends, [this, index] { done(index); }));
    }
    exchanges_.back()->ask();
  }
  void done(size_t index) {
    if (!settings_.new_connection) index = answered_;
    requests_[index].done = loop_.now();
    ++answered_;
    if (settings_.interval.ns == 0) next_.set(loop_.now());
    if (waiting_ > 0) {
      --waiting_;
      begin();
    }
  }

  const FlowEnds ends_;
  Timer next_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  std::vector<Request> requests_;
  size_t answered_ = 0, waiting_ = 0;
};

}  // namespace

std::unique_ptr<Flow> make_request_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends) {
  return std::make_unique<RequestFlow>(loop, settings, ends);
}

}  // namespace hawser::sim
