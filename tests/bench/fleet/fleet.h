// Many users on one machine: each has the client's engine, a key and a UDP socket of its own; all share one thread, one
// event loop and one TUN. What they ask of a server is what as many laptops would ask, without as many processes.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "common/session/endpoint.h"
#include "platform/loop.h"
#include "platform/rng.h"
#include "platform/tun.h"
#include "platform/udp.h"

namespace hawser::bench {

// The key of user `i`. No secret: whoever registers the users and whoever plays them make it alike.
StaticKeyPair key_of_user(size_t i);

class Fleet {
 public:
  struct Options {
    std::string interface;  // where the sockets are bound
    SocketAddress local;    // its address; the port is the kernel's choice
    SocketAddress server;
    PublicKey server_key;
    size_t users = 1000;
  };
  static Result<std::unique_ptr<Fleet>> create(EventLoop& loop, Options options);

  size_t size() const { return users_.size(); }
  size_t connected() const { return connected_; }

  // A closed loop of handshakes: `in_flight` users at a time begin anew, in turns, with an engine that knows nothing of
  // a session before; whoever is connected makes room for the next one. `most`: how many begin in all. `connected`
  // hears of each one how long it took, from the first initiation to the server's word under the keys.
  void start_handshakes(size_t in_flight, size_t most, std::function<void(Duration)> connected);
  // Nobody begins any more; those under way go on.
  void stop_starting() { may_start_ = 0; }
  size_t in_flight() const { return in_flight_; }

  // Makes a TUN with the inner addresses of the first `users` users, who must be connected: what is sent from such an
  // address goes through its user's tunnel. Returns the addresses.
  Result<std::vector<IpAddress>> attach(size_t users);

 private:
  struct User {
    size_t index = 0;
    StaticKeyPair keys = StaticKeyPair::from_secret(SecretKey{});
    std::unique_ptr<UdpSocket> socket;
    EventLoop::FdWatch watch;
    std::unique_ptr<Endpoint> engine;  // null until the first handshake
    TransmitBatch unsent;              // what a full socket did not take, from `unsent_offset` on
    size_t unsent_offset = 0;
    bool blocked = false;
    bool connecting = false, connected = false;
    Time began;
    Time deadline = Time::infinite();  // stands in deadlines_
    IpAddress inner;
  };

  Fleet(EventLoop& loop, Options options);
  void start_some();
  void begin(User& user);
  void on_event(User& user, const Event& event);
  void read_socket(User& user);
  void read_tun();
  void take_from_tun(size_t count);
  void deliver(User& user);
  void transmit(User& user, Time at);
  void send(User& user, Time at);
  void resume(User& user, Time at);
  void on_timer();
  void settle(User& user);
  void flush(User& user);

  EventLoop& loop_;
  const Options options_;
  SystemRng rng_;
  PacketPool from_tun_;  // outlives the engines, which hold packets of it
  std::unique_ptr<TunDevice> tun_;
  EventLoop::FdWatch tun_watch_;
  EventLoop::Timer timer_;
  EventLoop::Hook hook_;
  std::vector<std::unique_ptr<User>> users_;
  std::unordered_map<IpAddress, User*> by_inner_;
  std::set<std::pair<Time, size_t>> deadlines_;

  size_t next_ = 0, may_start_ = 0, most_in_flight_ = 0, in_flight_ = 0, connected_ = 0;
  std::function<void(Duration)> on_connected_;

  ReceiveBuffers receive_buffers_;
  std::vector<ReceivedDatagram> datagrams_;
  DeliverBatch delivered_;
  TransmitBatch transmit_;
  std::vector<Packet> packets_;
  std::vector<MutableByteSpan> packet_buffers_;
  std::vector<size_t> packet_sizes_;
};

}  // namespace hawser::bench
