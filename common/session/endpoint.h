// Endpoint: the engine's face. Client: one session; server: many. No sockets, no clock, no event loop: datagrams and
// packets go in with the time, datagrams and packets come out, and next_timeout says when to come back.
// After every call that takes `now`: drain poll_deliver, poll_transmit and poll_event, then sleep until next_timeout.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>

#include "common/crypto/cipher.h"
#include "common/crypto/key.h"
#include "common/rng.h"
#include "common/session/events.h"
#include "common/steering.h"

namespace hawser {

struct CommonConfig {
  uint8_t ciphers = wire::kCipherChaCha20;  // what this machine may use: supported_ciphers()
  CipherFactory cipher_factory;             // make_cipher; the simulator injects NullCipher
  uint16_t tunnel_mtu = 1400;               // the TUN's MTU, bytes; on the client the server's offer wins when smaller
  size_t packet_pool_bytes = 64u << 20;     // bound of all packets held, all sessions together
};

struct ClientConfig : CommonConfig {
  StaticKeyPair static_key = StaticKeyPair::from_secret(SecretKey{});
  PublicKey server_key;
  SecretKey psk;                                          // zero unless configured
  std::optional<std::array<uint8_t, 16>> enrolment_token;  // to enrol: from the invite
};

struct ServerConfig : CommonConfig {
  StaticKeyPair static_key = StaticKeyPair::from_secret(SecretKey{});
  IpAddress server_v4, server_v6;           // the server's inner addresses
  std::vector<SocketAddress> endpoints;     // announced to clients
  std::vector<IpPrefix> routes;             // announced to clients
  std::vector<IpAddress> dns;
  size_t max_sessions = 10'000;
  // Of several workers each has an endpoint: which it is of how many, and the sessions of all of them together (null: it is
  // the only one), which must outlive it.
  Steering steering;
  uint32_t worker = 0;
  std::atomic<size_t>* all_sessions = nullptr;
};

class Endpoint {
 public:
  // `rng` must outlive the endpoint.
  static std::unique_ptr<Endpoint> make_client(ClientConfig config, Rng& rng);
  static std::unique_ptr<Endpoint> make_server(ServerConfig config, Rng& rng);
  virtual ~Endpoint() = default;

  // Bytes from the sockets. Opened in place. Whatever they contain, the worst that happens is a counted drop.
  virtual void on_datagrams(std::span<ReceivedDatagram> batch, Time now) = 0;
  // Packets read from the TUN, taken from pool() and moved in.
  virtual void on_packets(std::span<Packet> from_tun, Time now) = 0;
  // Where the TUN reader gets its buffers.
  virtual PacketPool& pool() = 0;
  // Client: links come, go, change. The first LinkUp starts the handshake.
  virtual void on_path_event(const PathEvent& event, Time now) = 0;
  // Server: the registry's word, in answer to RegistryLookup or EnrolmentCommit.
  virtual void on_registry_answer(const RegistryAnswer& answer, Time now) = 0;
  // Server: a handshake that another worker took. Called in this endpoint's thread; what was handed over is used up.
  virtual void on_handover(HandedHandshake& what, Time now) = 0;
  // A socket took less than offered (writable = false) or can take more again (true).
  virtual void on_writable(LinkId link, bool writable, Time now) = 0;
  // Runs what is due. Spurious calls are harmless.
  virtual void on_timer(Time now) = 0;
  // The next moment on_timer wants to run; Time::infinite() when there is none.
  virtual Time next_timeout() const = 0;

  // The next burst to send; false when there is none at `now`. Fills and overwrites `batch`.
  virtual bool poll_transmit(TransmitBatch& batch, Time now) = 0;
  // Packets for the TUN; false when there are none.
  virtual bool poll_deliver(DeliverBatch& batch) = 0;
  virtual bool poll_event(Event& event) = 0;

  // ---- control --------------------------------------------------------------------------------------------------
  // Client: the user's wishes; told to the server, which obeys for the downlink.
  virtual void set_policy(wire::Mode mode, wire::SchedulerKind scheduler, wire::CongestionKind congestion, Time now) = 0;
  // Server: a user was removed, disabled, or its key replaced: cut it off at once and tell it why; with `device`, only
  // a session by that key. Client: say goodbye (close everything). Drain poll_transmit afterwards.
  virtual void close(UserId user, wire::CloseReason reason, Time now, const PublicKey* device = nullptr) = 0;
  virtual void close_all(wire::CloseReason reason, Time now) = 0;

  // Server: what later handshakes announce (after a reload); live sessions learn the endpoints at once. Client: no effect.
  virtual void set_announcements(std::vector<SocketAddress> endpoints, std::vector<IpPrefix> routes,
                                 std::vector<IpAddress> dns, Time now) = 0;

  virtual EndpointInfo info() const = 0;
  // Client: exactly one entry once links exist. Server: one per session.
  virtual std::vector<SessionInfo> sessions(Time now) const = 0;
};

}  // namespace hawser
