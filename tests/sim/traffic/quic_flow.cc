// A download by a QUIC-like protocol: UDP port 443, its own loss detection, never helped by the tunnel's knowledge of TCP.
#include "tests/sim/quic/receiver.h"
#include "tests/sim/quic/sender.h"
#include "tests/sim/traffic/arrivals.h"

namespace hawser::sim {
namespace {

constexpr size_t kPacket = 1280;  // IP packet: what stacks use without probing

class QuicFlow final : public Flow {
 public:
  QuicFlow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends)
      : Flow(loop, settings),
        up_(settings.heading == Heading::up),
        from_(up_ ? ends.client : ends.server),
        to_(up_ ? ends.server : ends.client),
        from_port_(up_ ? ends.client_port : ends.server_port),
        to_port_(up_ ? ends.server_port : ends.client_port),
        sender_(loop, settings.tcp.congestion, kPacket, settings.bytes, settings.tcp.window,
                [this](const QuicData& d) { send_data(d); }),
        receiver_(loop, kPacket - kUdpIpHeaders - kQuicDataHeader, [this](const QuicRanges& r) { send_ack(r); },
                  [this](uint64_t bytes) { arrived(bytes); }),
        acks_(*this),
        data_(*this),
        starter_(loop, [this] { sender_.start(); }),
        stopper_(loop, [this] { sender_.stop(); }) {
    from_.listen(from_port_, to_port_, acks_);
    to_.listen(to_port_, from_port_, data_);
  }

  void start() override {
    starter_.set(EventLoop::kStart + settings_.start);
    if (settings_.stop < Duration::infinite()) stopper_.set(EventLoop::kStart + settings_.stop);
  }

  FlowResult result(const Window& window, const Window&) const override {
    FlowResult r;
    r.bins = arrivals_.bins();
    const Window active{std::max(window.from, EventLoop::kStart + settings_.start), window.to};
    r.values["goodput"] = arrivals_.rate(active);
    const Arrivals::Stall stall = arrivals_.longest_stall(active);
    r.values["stall_ms"] = stall.ms;
    r.values["stall_at_s"] = (stall.from - EventLoop::kStart).to_seconds();
    r.values["retransmissions"] = static_cast<double>(sender_.stats().retransmissions);
    r.values["spurious"] = static_cast<double>(sender_.stats().spurious);
    r.values["timeouts"] = static_cast<double>(sender_.stats().timeouts);
    r.values["reordered"] = static_cast<double>(receiver_.reordered());
    if (settings_.bytes < TcpSender::kForever) {
      const Time end = done_at_.is_set() ? done_at_ : loop_.now();
      r.values["complete"] = done_at_.is_set() ? 1 : 0;
      r.values["seconds"] = (end - EventLoop::kStart - settings_.start).to_seconds();
      r.values["goodput"] = static_cast<double>(total_) * 8e-6 / r.values["seconds"];
    }
    return r;
  }

 private:
  struct AckSide final : PacketHandler {
    explicit AckSide(QuicFlow& f) : flow(f) {}
    void on_packet(ByteSpan packet) override { flow.sender_.on_ack(get_quic_ack(packet)); }
    QuicFlow& flow;
  };
  struct DataSide final : PacketHandler {
    explicit DataSide(QuicFlow& f) : flow(f) {}
    void on_packet(ByteSpan packet) override {
      if (const auto d = get_quic_data(packet)) flow.receiver_.on_packet(*d);
    }
    QuicFlow& flow;
  };

  void send_data(const QuicData& d) {
    make_udp(packet_, kPacket, from_.address(), to_.address(), from_port_, to_port_, 0);
    put_quic_data(packet_, d);
    from_.send(packet_);
  }
  void send_ack(const QuicRanges& ranges) {
    make_udp(ack_, quic_ack_size(ranges), to_.address(), from_.address(), to_port_, from_port_, 0);
    put_quic_ack(ack_, ranges);
    to_.send(ack_);
  }
  void arrived(uint64_t bytes) {
    arrivals_.add(loop_.now(), bytes);
    total_ += bytes;
    if (total_ >= settings_.bytes && !done_at_.is_set()) done_at_ = loop_.now();
  }

  const bool up_;
  Host& from_;
  Host& to_;
  const uint16_t from_port_, to_port_;
  QuicSender sender_;
  QuicReceiver receiver_;
  AckSide acks_;
  DataSide data_;
  Timer starter_, stopper_;
  Arrivals arrivals_;
  std::vector<uint8_t> packet_, ack_;
  uint64_t total_ = 0;
  Time done_at_;
};

}  // namespace

std::unique_ptr<Flow> make_quic_flow(EventLoop& loop, const FlowSettings& settings, const FlowEnds& ends) {
  return std::make_unique<QuicFlow>(loop, settings, ends);
}

}  // namespace hawser::sim
