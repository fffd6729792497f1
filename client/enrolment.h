// A short session without TUN and without routes: proves to the server who we are, learns what it gives us, and looks
// which links reach it. Used by vpn-join.
#pragma once

#include <memory>
#include <optional>

#include "client/links.h"
#include "client/pump.h"
#include "client/server_addresses.h"
#include "platform/rng.h"

namespace hawser::client {

struct LinkResult {
  std::string interface;
  std::string type;
  std::optional<Duration> rtt;  // unset: did not answer in time, or is not usable
  std::string text;             // why not
};

struct EnrolmentResult {
  SocketAddress server;  // the first address that answered
  wire::AcceptPayload accept;
  std::vector<LinkResult> links;
};

class Enrolment {
 public:
  struct Setup {
    std::string profile_name;
    Profile profile;  // endpoints and server key; the rest are defaults
    std::optional<std::array<uint8_t, 16>> token;
    Duration timeout = Duration::seconds(20);
  };
  // `loop` and `log` outlive it; the key is copied.
  Enrolment(EventLoop& loop, Log& log, Setup setup, const StaticKeyPair& key);

  // Blocks until the server has accepted and the links were looked at, or until it is clear that it will not.
  // Errors: no_answer with a line per interface, refused with the reason, interrupted.
  Result<EnrolmentResult> run();

 private:
  void on_event(const Event& event);
  void on_connected(const Connected& event);
  void look_at_links();
  std::vector<LinkResult> link_results() const;
  void fail(Error error);

  EventLoop& loop_;
  Log& log_;
  Setup setup_;
  SystemRng rng_;
  std::unique_ptr<Endpoint> engine_;
  std::optional<Pump> pump_;
  std::optional<Links> links_;
  std::optional<ServerAddresses> servers_;
  std::unique_ptr<InterfaceWatcher> watcher_;
  EventLoop::Timer timeout_, look_;
  EventLoop::SignalWatch interrupt_, terminate_;
  Time connected_at_;
  std::optional<EnrolmentResult> result_;
  std::optional<Error> error_;
};

}  // namespace hawser::client
