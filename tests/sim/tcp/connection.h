// One end of a TCP connection: handshake, a sender and a receiver, and the segments between them as real packets.
#pragma once

#include "tests/sim/net/host.h"
#include "tests/sim/tcp/receiver.h"
#include "tests/sim/tcp/sender.h"

namespace hawser::sim {

struct TcpSettings {
  CongestionControl congestion = CongestionControl::cubic;
  uint64_t window = 6u << 20;  // receive buffer, bytes: Linux' tcp_rmem maximum
};

class TcpConnection final : private PacketHandler {
 public:
  // `on_bytes`: so many bytes more have arrived in order. Registers `local_port` at the host; must outlive its traffic.
  TcpConnection(EventLoop& loop, Host& host, uint16_t local_port, IpAddress peer, uint16_t peer_port, const TcpSettings& settings,
                std::function<void(uint64_t)> on_bytes);

  void connect();  // else: listens
  void write(uint64_t bytes);
  void stop();  // what has not been sent yet never is
  void on_established(std::function<void()> action) { established_action_ = std::move(action); }

  bool established() const { return state_ == State::established; }
  const TcpSenderStats& sender_stats() const { return sender_stats_ ? sender_->stats() : kNoStats; }
  const TcpReceiverStats& receiver_stats() const { return receiver_.stats(); }
  const TcpSender* sender() const { return sender_.get(); }
  uint64_t mixed_up() const { return mixed_up_; }  // segments whose content was not what their header says

 private:
  enum class State : uint8_t { listening, syn_sent, syn_received, established };
  void on_packet(ByteSpan packet) override;
  void on_data(const Segment& s);
  void establish(const Segment& s);
  void measure_handshake();
  void send_syn();
  void send_segment(uint64_t offset, uint32_t length);
  void send(Segment& s);
  bool outdated(const Segment& s, uint64_t offset, uint64_t ack) const;
  uint32_t timestamp() const { return static_cast<uint32_t>(loop_.now().ns / kTick.ns); }
  Time time_of(uint32_t timestamp) const;  // when its tick began

  static const TcpSenderStats kNoStats;
  EventLoop& loop_;
  Host& host_;
  const uint16_t port_, peer_port_;
  const IpAddress peer_;
  const TcpSettings settings_;
  State state_ = State::listening;
  Timer syn_timer_;
  int syn_tries_ = 0;
  Time syn_sent_;
  TcpReceiver receiver_;
  std::unique_ptr<TcpSender> sender_;
  bool sender_stats_ = false;
  uint64_t written_early_ = 0;
  uint32_t last_timestamp_ = 0;  // of the SYN, to be echoed
  uint64_t mixed_up_ = 0;
  std::function<void()> established_action_;
  std::vector<uint8_t> buffer_;
};

}  // namespace hawser::sim
