// Chunked video: a player fetches a chunk of `bytes` for every `interval` of film, keeps a few ahead, and stands still without.
#include "tests/sim/traffic/exchange.h"

namespace hawser::sim {
namespace {

constexpr size_t kChunksAhead = 3;

class VideoFlow final : public Flow {
 public:
  VideoFlow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends)
      : Flow(loop, settings),
        chunk_(settings.interval.ns > 0 ? settings.interval : Duration::seconds(2)),
        exchange_(loop, settings, ends, [this] { fetched(); }),
        fetch_(loop, [this] { fetch(); }),
        play_(loop, [this] { play(); }) {}

  void start() override { fetch_.set(EventLoop::kStart + settings_.start); }

  FlowResult result(const Window& window, const Window&) const override {
    FlowResult r;
    Samples times;
    for (size_t i = 0; i < asked_.size(); ++i) {
      if (asked_[i] < window.from || (i >= done_.size() && asked_[i] > window.to - chunk_)) continue;
      const Time done = i < done_.size() ? done_[i] : window.to;
      times.add((done - asked_[i]).to_millis());
      r.delays.emplace_back((asked_[i] - EventLoop::kStart).to_seconds(), (done - asked_[i]).to_millis());
    }
    r.values["chunk_p50"] = times.percentile(0.5);
    r.values["chunk_p99"] = times.percentile(0.99);
    r.values["chunk_max"] = times.max();
    r.values["rebuffer_s"] = (starved_ + (starving_since_.is_set() ? window.to - starving_since_ : Duration{})).to_seconds();
    r.values["goodput"] = static_cast<double>(done_.size() * settings_.bytes) * 8e-6 / (window.to - EventLoop::kStart).to_seconds();
    return r;
  }

 private:
  void fetch() {
    if (stopped()) return;
    asked_.push_back(loop_.now());
    exchange_.ask();
  }
  void fetched() {
    done_.push_back(loop_.now());
    if (starving_since_.is_set()) {
      starved_ += loop_.now() - starving_since_;
      starving_since_ = Time{};
      play();
    } else if (done_.size() == 1) {
      play();
    }
    if (done_.size() - played_ < kChunksAhead) fetch();
  }
  // A chunk begins to be shown.
  void play() {
    if (played_ == done_.size()) {
      starving_since_ = loop_.now();
      return;
    }
    ++played_;
    play_.set(loop_.now() + chunk_);
    if (asked_.size() == done_.size()) fetch();
  }

  const Duration chunk_;
  Exchange exchange_;
  Timer fetch_, play_;
  std::vector<Time> asked_, done_;
  size_t played_ = 0;
  Time starving_since_;
  Duration starved_{};
};

}  // namespace

std::unique_ptr<Flow> make_video_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends) {
  return std::make_unique<VideoFlow>(loop, settings, ends);
}

}  // namespace hawser::sim
