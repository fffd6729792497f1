// The server's endpoint: many sessions, handshakes under a budget, the index table, fair sharing of the way out.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "common/crypto/cookie.h"
#include "common/ring_queue.h"
#include "common/session/endpoint_base.h"
#include "common/session/handshake_budget.h"

namespace hawser {

class ServerEndpoint final : public EndpointBase {
 public:
  ServerEndpoint(ServerConfig config, Rng& rng);

  void on_datagrams(std::span<ReceivedDatagram> batch, Time now) override;
  void on_packets(std::span<Packet> from_tun, Time now) override;
  void on_path_event(const PathEvent&, Time) override {}
  void on_registry_answer(const RegistryAnswer& answer, Time now) override;
  void on_handover(HandedHandshake& what, Time now) override;
  void on_writable(LinkId link, bool writable, Time now) override;
  void on_timer(Time now) override;
  Time next_timeout() const override;
  bool poll_transmit(TransmitBatch& batch, Time now) override;
  void set_policy(wire::Mode, wire::SchedulerKind, wire::CongestionKind, Time) override {}
  void close(UserId user, wire::CloseReason reason, Time now, const PublicKey* device) override;
  void close_all(wire::CloseReason reason, Time now) override;
  void set_announcements(std::vector<SocketAddress> endpoints, std::vector<IpPrefix> routes, std::vector<IpAddress> dns,
                         Time now) override;
  EndpointInfo info() const override;
  std::vector<SessionInfo> sessions(Time now) const override;

 private:
  using Mac = std::array<uint8_t, 16>;
  struct MacHash {
    size_t operator()(const Mac& m) const noexcept;
  };
  // A session and its bookkeeping. A pending one becomes live when the client's first datagram under its key comes.
  struct Entry {
    explicit Entry(SessionContext c, SessionIdentity id, uint64_t own, uint64_t peer, uint16_t mtu, Time now)
        : session(c, std::move(id), own, peer, mtu, now), created(now) {}
    Session session;
    Time created;
    bool live = false;
    bool committing = false;                  // proved a token; the registry is writing it down
    bool ready = false;                       // stands in ready_
    Time closed_at;                           // closing: since when; kept to say why for a while
    Time close_repeated_at;
    Time scheduled = Time::infinite();        // earliest entry in timers_
    std::optional<std::array<uint8_t, 16>> token_id;
    PublicKey key;
    std::vector<SessionIndex> indices;
  };
  struct User {
    Entry* live = nullptr;
    std::vector<Entry*> pending;              // at most kMaxPendingPerUser
  };
  // An initiation that was opened and awaits the registry. The same bytes by other paths join it.
  struct Lookup {
    PendingHandshake handshake;
    Mac mac1;
    std::vector<UdpTuple> from;
    Time began;
  };
  struct CachedResponse {
    std::vector<uint8_t> datagram;
    Time at;
    uint64_t entry_id = 0;                    // 0 for a refusal
    std::optional<uint32_t> owner = std::nullopt;  // no answer, but the worker that has it
    int copies = 0;                           // sent after it
  };
  struct Timer {
    Time at;
    uint64_t entry_id;
    bool operator>(const Timer& o) const { return at > o.at; }
  };

  // server_handshake.cc
  void on_initiation(const ReceivedDatagram& d, Time now);
  bool was_answered_before(const Mac& mac1) const;
  void remember(const Mac& mac1);
  bool answer_from_cache(const Mac& mac1, const UdpTuple& from, Time now);
  void accept(Lookup& lookup, const RegistryAnswer& answer, Time now);
  void hand_over(Lookup& lookup, uint32_t owner, const RegistryAnswer& answer, Time now);
  void refuse(Lookup& lookup, wire::RefusalReason reason, Time now);
  void respond(const Lookup& lookup, std::vector<uint8_t> datagram, uint64_t entry_id, Time now);
  void cache(const Mac& mac1, CachedResponse response);
  void on_commit_answer(uint64_t entry_id, const RegistryAnswer& answer, Time now);
  SessionIndex fresh_index();
  wire::AcceptPayload accept_payload(const RegistryAnswer& answer, uint64_t nonce, uint8_t cipher, const SocketAddress& observed) const;
  void expire_handshakes(Time now);

  // server_endpoint.cc
  void on_data(ReceivedDatagram& d, Time now);
  void prune(UserId user);
  void promote(Entry& e, const UdpTuple& via, Time now);
  void go_live(Entry& e, const UdpTuple& via, Time now);
  void retire(Entry& e, wire::CloseReason reason, Time now);
  void destroy(uint64_t entry_id);
  void bind_index(Entry& e, SessionIndex index, uint64_t entry_id);
  void release_indices(Entry& e);
  void touch(Entry& e, uint64_t entry_id);
  void schedule(Entry& e, uint64_t entry_id, Time now);
  bool is_valid(const Timer& t) const;
  void pop_timer();
  bool is_full() const;
  void count_live(int change);
  static Time end_of_life(const Entry& e);
  uint64_t id_of(const Entry& e) const { return entry_ids_.at(&e); }

  ServerConfig config_;
  Responder responder_;
  CookieIssuer cookies_;
  HandshakeBudget budget_;

  uint64_t next_entry_id_ = 1;
  std::unordered_map<uint64_t, std::unique_ptr<Entry>> entries_;
  std::unordered_map<const Entry*, uint64_t> entry_ids_;
  std::unordered_map<SessionIndex, uint64_t> by_index_;
  std::unordered_map<IpAddress, uint64_t> by_inner_;
  std::unordered_map<UserId, User> users_;
  size_t live_sessions_ = 0;

  uint64_t next_lookup_ = 1;
  std::unordered_map<uint64_t, Lookup> lookups_;
  std::unordered_map<Mac, uint64_t, MacHash> lookup_by_mac_;
  std::unordered_map<uint64_t, uint64_t> commits_;  // lookup id -> entry id
  std::unordered_map<Mac, CachedResponse, MacHash> cache_;
  std::deque<std::pair<Time, Mac>> cache_age_;
  std::deque<std::pair<Time, uint64_t>> lookup_age_;
  std::unordered_set<uint64_t> answered_;   // mac1s of accepted initiations: a replay of one makes no new keys
  std::deque<uint64_t> answered_age_;

  RingQueue<uint64_t> ready_;        // sessions that may have something to send: served in turns, a burst each
  std::vector<Timer> timers_;         // heap; schedule() clears its front of stale entries
  Time now_;
};

}  // namespace hawser
