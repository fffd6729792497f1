// The client's endpoint: one session, its links, and the handshake that starts and renews it.
#pragma once

#include "common/session/endpoint_base.h"

namespace hawser {

class ClientEndpoint final : public EndpointBase {
 public:
  ClientEndpoint(ClientConfig config, Rng& rng);

  void on_datagrams(std::span<ReceivedDatagram> batch, Time now) override;
  void on_packets(std::span<Packet> from_tun, Time now) override;
  void on_path_event(const PathEvent& event, Time now) override;
  void on_registry_answer(const RegistryAnswer&, Time) override {}
  void on_handover(HandedHandshake&, Time) override {}
  void on_writable(LinkId link, bool writable, Time now) override;
  void on_timer(Time now) override;
  Time next_timeout() const override;
  bool poll_transmit(TransmitBatch& batch, Time now) override;
  void set_policy(wire::Mode mode, wire::SchedulerKind scheduler, wire::CongestionKind congestion, Time now) override;
  void close(UserId, wire::CloseReason reason, Time now, const PublicKey*) override { close_all(reason, now); }
  void close_all(wire::CloseReason reason, Time now) override;
  void set_announcements(std::vector<SocketAddress>, std::vector<IpPrefix>, std::vector<IpAddress>, Time) override {}
  std::vector<SessionInfo> sessions(Time now) const override;

 private:
  struct Link {
    LinkUp up;
    std::optional<Cookie> cookie;  // to be shown in mac2 on this link
    Time cookie_at;
    uint64_t initiations_sent = 0;
    bool has_path = false;
    int tried = 0;                 // how often a path was opened here
  };
  struct Policy {
    wire::Mode mode = wire::Mode::automatic;
    wire::SchedulerKind scheduler = wire::SchedulerKind::automatic;
    wire::CongestionKind congestion = wire::CongestionKind::automatic;
    bool set = false;
  };

  Link* find_link(LinkId id);
  void begin_handshake(Time now);
  void send_initiations(Time now);
  void queue_initiation(Link& link, Time now);
  void handshake_timer(Time now);
  bool needs_handshake(Time now) const;
  Time handshake_wanted_at() const;
  void on_response(const ReceivedDatagram& d, Time now);
  void on_accepted(Initiator::Completed done, const UdpTuple& via, Time now);
  void on_cookie(const ReceivedDatagram& d, Time now);
  void open_paths(const UdpTuple& via, Time now);
  void open_spare_paths(Time now);
  void replace_silent_paths(Time now);
  void after_session_input(Time now);
  void clear_session();

  ClientConfig config_;
  uint64_t session_nonce_;
  std::vector<Link> links_;
  std::optional<Initiator> initiator_;
  Time initiation_began_, initiation_next_ = Time::infinite();
  Duration initiation_interval_;
  std::unique_ptr<Session> session_;
  wire::AcceptPayload accept_;
  UdpTuple accepted_via_;
  bool confirmed_ = false;     // the server has answered under the keys
  bool resumed_ = false;
  bool stopped_ = false;       // refused, or closed by the server for good
  bool was_working_ = false;
  bool reconnecting_ = false;  // said so, and not yet that it is over
  bool enrolled_ = false;
  Policy policy_;
  Time now_;                   // of the last call
};

}  // namespace hawser
