// The daemon of one profile: `vpn-up --foreground NAME`. It owns everything that runs, decides when the tunnel is up,
// and leaves the system as it was.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/control_server.h"
#include "client/first_round_trip.h"
#include "client/instance.h"
#include "client/links.h"
#include "client/pump.h"
#include "client/restore_budget.h"
#include "client/run_options.h"
#include "client/server_addresses.h"
#include "client/tunnel.h"
#include "platform/network_manager.h"
#include "platform/process.h"
#include "platform/rng.h"
#include "platform/undo.h"

namespace hawser::client {

struct DaemonSetup {
  Instance instance;
  Profile profile;
  StaticKeyPair key;
  CommonOptions common;
  RunOptions run;
  HumanStyle style;                         // of the waiting command's stdout
  Duration timeout = Duration::infinite();  // for the first round trip
  bool report_at_once = false;              // --no-wait
};

class Daemon {
 public:
  // The loop, the log, the setup and the verdict outlive the daemon.
  Daemon(EventLoop& loop, Log& log, DaemonSetup& setup, Verdict& verdict);
  ~Daemon();

  // Runs until told to end, or until it cannot go on; everything is undone before it returns. An error is what the
  // process exits with.
  Status run();

  // For the control socket.
  StatusReport report() const;
  Status set(const std::string& key, const std::string& value);
  void end(Status result);

 private:
  enum class State : uint8_t { connecting, proving, connected, reconnecting };

  Status start();
  Status refuse_second_full_tunnel();
  Status open_system();
  void make_engine();
  void set_policy();
  void watch_for_the_end();
  Status finish();

  void on_event(const Event& event);
  void on_connected(const Connected& event);
  void on_reconnecting();
  void on_path_changed(const PathChanged& event);
  void on_mtu_changed(const TunnelMtuChanged& event);
  void begin_first_round_trip();
  void send_probe();
  bool on_delivered(ByteSpan packet);
  void on_first_round_trip();
  bool still_validating() const;
  void report_success();
  void on_timeout();
  void on_retry();
  void show_progress();
  void on_interfaces(const InterfaceWatcher::Change& change);
  void on_network_manager();
  void use_interfaces(std::vector<Interface> interfaces, bool routes_changed);
  void restore_routing();
  void enter(State state);
  std::string state_name() const;
  bool silent() const { return !answered_ || state_ == State::reconnecting; }

  EventLoop& loop_;
  Log& log_;
  DaemonSetup& setup_;
  Verdict& verdict_;
  SystemRng rng_;
  const Time started_;

  std::optional<InstanceLock> lock_;
  std::unique_ptr<UndoLog> undo_;
  std::optional<Routing> routing_;
  std::optional<TunDevice> tun_;
  std::unique_ptr<Endpoint> engine_;
  std::optional<Pump> pump_;
  std::optional<Tunnel> tunnel_;
  std::optional<Links> links_;
  std::optional<ServerAddresses> servers_;
  std::unique_ptr<InterfaceWatcher> watcher_;
  std::unique_ptr<NetworkManager> network_manager_;
  std::unique_ptr<ControlSocket> control_;

  EventLoop::Timer timeout_, progress_, probe_timer_, grace_timer_, retry_timer_, restore_timer_, watchdog_, end_timer_,
      word_timer_;
  EventLoop::SignalWatch interrupt_, terminate_, hangup_;

  State state_ = State::connecting;
  UnixTime since_;
  bool answered_ = false;  // the server has confirmed its keys at least once
  bool proven_ = false;    // a packet made the round trip
  Duration connected_after_;
  RestoreBudget restore_budget_;
  uint64_t restored_ = 0;  // rules and routes put back
  std::optional<FirstRoundTrip> first_round_trip_;
  std::optional<Status> result_;
};

}  // namespace hawser::client
