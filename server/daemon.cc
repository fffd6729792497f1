// The server's process: start in the order of what can fail, one turn of the loop, events, reload, stop.
#include "server/daemon.h"

#include <map>
#include <memory>

#include "common/session/endpoint.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/log.h"
#include "platform/process.h"
#include "platform/resolve.h"
#include "platform/rng.h"
#include "server/bridge.h"
#include "server/control.h"
#include "server/installation.h"
#include "server/network.h"
#include "server/pump.h"
#include "server/status.h"

namespace hawser::server {
namespace {

const char* close_reason_name(wire::CloseReason reason) {
  switch (reason) {
    case wire::CloseReason::done: return "by the client";
    case wire::CloseReason::removed: return "removed";
    case wire::CloseReason::disabled: return "disabled";
    case wire::CloseReason::replaced: return "replaced by another device";
    case wire::CloseReason::shutdown: return "shutdown";
    case wire::CloseReason::expired: return "invite expired";
    case wire::CloseReason::used: return "invite used";
    case wire::CloseReason::idle: return "idle";
  }
  return "unknown";
}

// What sessions announce. Names are resolved once, at the start; one that cannot be is left out.
std::vector<SocketAddress> announced_endpoints(const ServerSettings& settings, Log& log) {
  std::vector<SocketAddress> endpoints;
  for (const HostPort& e : settings.endpoints) {
    const auto addresses = resolve(e.host);
    if (!addresses) {
      log.warning("not announcing " + e.to_string() + ": " + addresses.error().message);
      continue;
    }
    for (const IpAddress& ip : *addresses) {
      if (endpoints.size() < wire::kMaxAnnouncedEndpoints) endpoints.push_back({ip, e.port, 0});
    }
  }
  return endpoints;
}

// Everything of the families that the tunnel carries.
std::vector<IpPrefix> announced_routes(const Network& network) {
  std::vector<IpPrefix> routes;
  if (network.address_v4().is_set()) routes.push_back(*IpPrefix::parse("0.0.0.0/0"));
  if (network.address_v6().is_set()) routes.push_back(*IpPrefix::parse("::/0"));
  return routes;
}

// How long a change of the registry may go unnoticed when nobody tells us by the socket.
constexpr Duration kRegistryPoll = Duration::seconds(2);
constexpr Duration kPurgeInterval = Duration::seconds(3600);

class Daemon {
 public:
  Daemon(const CommonOptions& common, Log log) : common_(common), log_(std::move(log)) {}

  Status start();
  void run() { loop_->run(); }
  void stop();

 private:
  Result<std::vector<UdpSocket>> open_sockets();
  void make_endpoint(StaticKeyPair key);
  void watch_signals();

  void turn();
  void handle_events();
  void handle(const SessionUp& up);
  void handle(const Closed& closed);
  void handle(const PathChanged& changed);
  void review_sessions(const std::string* only_user);
  void cut(UserId user, wire::CloseReason reason);
  void watch_registry();

  Status reload();
  ServerStatusReport status() const;

  const CommonOptions& common_;
  Log log_;
  SystemRng rng_;
  Time started_;
  UnixTime started_wall_;

  // In the order of construction; taken apart from the bottom up.
  std::optional<InstanceLock> lock_;
  ServerSettings settings_;
  PublicKey public_key_;
  std::unique_ptr<EventLoop> loop_;
  std::optional<Registry> registry_;
  std::optional<Network> network_;
  std::vector<IpAddress> tunnel_addresses_;
  std::unique_ptr<Endpoint> endpoint_;
  std::unique_ptr<Bridge> bridge_;
  std::unique_ptr<Pump> pump_;
  std::unique_ptr<Control> control_;

  EventLoop::Timer engine_timer_, registry_timer_;
  EventLoop::Hook turn_hook_;
  EventLoop::SignalWatch terminate_, interrupt_, hangup_;
  std::map<UserId, std::string> live_;  // users with a session
  uint64_t registry_version_ = 0;
  Time purged_;
};

// ---- start ----------------------------------------------------------------------------------------------------------

Status Daemon::start() {
  started_ = now();
  started_wall_ = wall_clock();
  auto settings = load_settings(common_);
  if (!settings) return settings.error();
  settings_ = std::move(*settings);
  auto key = load_key(common_, settings_);
  if (!key) return key.error();
  public_key_ = key->public_key();

  auto lock = InstanceLock::acquire(common_.instance_dir());
  if (!lock) {
    if (lock.error().code != ExitCode::conflict) return lock.error();
    return Error{ExitCode::conflict, "a server is already running with " + common_.instance_dir() +
                                         "; see: vpn-server status, or give another --run-dir"};
  }
  lock_.emplace(std::move(*lock));
  auto registry = open_registry(common_, settings_);
  if (!registry) return registry.error();
  registry_.emplace(std::move(*registry));

  auto loop = EventLoop::create();
  if (!loop) return loop.error();
  loop_ = std::move(*loop);
  auto sockets = open_sockets();
  if (!sockets) return sockets.error();
  auto network = Network::open(common_, settings_, CommonConfig{}.tunnel_mtu, log_);
  if (!network) return network.error();
  network_.emplace(std::move(*network));
  tunnel_addresses_ = {network_->address_v4(), network_->address_v6()};

  make_endpoint(std::move(*key));
  bridge_ = std::make_unique<Bridge>(*endpoint_, *registry_, log_);
  pump_ = std::make_unique<Pump>(*loop_, *endpoint_, network_->tun(), std::move(*sockets));
  auto control = Control::open(*loop_, common_.control_socket(),
                               {[this] { return status(); }, [this] { return reload(); },
                                [this](const std::string& user) { review_sessions(&user); }});
  if (!control) {
    if (auto undone = network_->close(); !undone) log_.error(undone.error().message);
    return control.error();
  }
  control_ = std::move(*control);

  engine_timer_ = loop_->make_timer([this] { endpoint_->on_timer(now()); });
  turn_hook_ = loop_->before_sleep([this] { turn(); });
  watch_signals();
  watch_registry();

  std::string where;
  for (const SocketAddress& a : pump_->listening()) where += (where.empty() ? "" : ", ") + a.to_string();
  log_.notice("listening on " + where + " as " + public_key_.to_base64());
  sd_notify("READY=1\nSTATUS=listening on " + where);
  return Done{};
}

Result<std::vector<UdpSocket>> Daemon::open_sockets() {
  std::vector<UdpSocket> sockets;
  for (const SocketAddress& address : settings_.listen) {
    auto socket = UdpSocket::open_server(address, false, {settings_.offload.udp_gso, settings_.offload.udp_gro});
    if (!socket) {
      // A wildcard of a family that this kernel does not have is no reason not to serve the other.
      const bool wildcard = address.ip.is_v6() && address.ip == IpAddress::parse("::");
      if (wildcard && settings_.listen.size() > 1 && !file_exists("/proc/net/if_inet6")) {
        log_.warning("not listening on " + address.to_string() + ": " + socket.error().message);
        continue;
      }
      return Error{socket.error().code, socket.error().message + "; another server may be using it (see: ss -lunp), or change listen in " +
                                            common_.config_file()};
    }
    sockets.push_back(std::move(*socket));
  }
  return sockets;
}

void Daemon::make_endpoint(StaticKeyPair key) {
  CommonConfig common;
  common.ciphers = supported_ciphers();
  common.cipher_factory = make_cipher;
  ServerConfig config{std::move(common), std::move(key), network_->address_v4(), network_->address_v6(),
                      announced_endpoints(settings_, log_), announced_routes(*network_), settings_.dns, settings_.max_sessions};
  endpoint_ = Endpoint::make_server(std::move(config), rng_);
}

void Daemon::watch_signals() {
  terminate_ = loop_->on_signal(Signal::terminate, [this] { loop_->stop(); });
  interrupt_ = loop_->on_signal(Signal::interrupt, [this] { loop_->stop(); });
  hangup_ = loop_->on_signal(Signal::hangup, [this] {
    if (auto done = reload(); !done) log_.error("reload: " + done.error().message);
  });
}

// ---- one turn of the loop -------------------------------------------------------------------------------------------

// Before the loop sleeps: what the engine wants told, answered, sent, and when it wants to be woken.
void Daemon::turn() {
  const Time at = now();
  handle_events();
  bridge_->answer_some(at);
  pump_->flush(at);
  handle_events();
  engine_timer_.set_deadline(bridge_->waiting() ? at : endpoint_->next_timeout());
}

void Daemon::handle_events() {
  Event event;
  while (endpoint_->poll_event(event)) {
    if (const auto* lookup = std::get_if<RegistryLookup>(&event)) bridge_->ask(*lookup);
    else if (const auto* commit = std::get_if<EnrolmentCommit>(&event)) bridge_->ask(*commit);
    else if (const auto* up = std::get_if<SessionUp>(&event)) handle(*up);
    else if (const auto* closed = std::get_if<Closed>(&event)) handle(*closed);
    else if (const auto* changed = std::get_if<PathChanged>(&event)) handle(*changed);
  }
}

void Daemon::handle(const SessionUp& up) {
  const bool news = live_.insert_or_assign(up.user, up.name).second;
  if (news) log_.info(up.name + ": connected from " + up.via.remote.to_string());
  // The registry may have changed between its answer and now.
  if (const auto reason = bridge_->must_go(up.user)) cut(up.user, *reason);
}

void Daemon::handle(const Closed& closed) {
  const auto live = live_.find(closed.user);
  if (live == live_.end()) return;
  log_.info(live->second + ": disconnected (" + close_reason_name(closed.reason) + ")");
  live_.erase(live);
}

void Daemon::handle(const PathChanged& changed) {
  const auto live = live_.find(changed.user);
  if (live == live_.end() || !log_.enabled(LogLevel::info)) return;
  std::string line = live->second + ": path " + std::to_string(changed.path.value) + " " + name(changed.from) + " -> " + name(changed.to);
  if (changed.reason != PathReason::none) line += std::string(" (") + name(changed.reason) + ")";
  log_.info(line);
}

// ---- users that must go ---------------------------------------------------------------------------------------------

// Looks again at all users with a session, or at those of one name (a name may be given anew after a removal, hence by id).
void Daemon::review_sessions(const std::string* only_user) {
  const std::map<UserId, std::string> live = live_;
  for (const auto& [user, name_of_user] : live) {
    if (only_user != nullptr && name_of_user != *only_user) continue;
    if (const auto reason = bridge_->must_go(user)) cut(user, *reason);
  }
}

void Daemon::cut(UserId user, wire::CloseReason reason) {
  endpoint_->close(user, reason, now());
  if (const auto live = live_.find(user); live != live_.end()) {
    log_.notice(live->second + ": cut off (" + close_reason_name(reason) + ")");
    live_.erase(live);
  }
}

// Commands tell us by the socket; this is for those that could not (another --run-dir, a restored backup).
void Daemon::watch_registry() {
  registry_timer_ = loop_->make_timer([this] {
    const Time at = now();
    const auto version = registry_->data_version();
    if (version && *version != registry_version_) {
      registry_version_ = *version;
      review_sessions(nullptr);
    }
    if (at - purged_ >= kPurgeInterval) {
      purged_ = at;
      if (auto done = registry_->purge(wall_clock()); !done) log_.error("registry: " + done.error().message);
    }
    registry_timer_.set_deadline(at + kRegistryPoll);
  });
  registry_timer_.set_deadline(now());
}

// ---- control --------------------------------------------------------------------------------------------------------

Status Daemon::reload() {
  auto fresh = load_settings(common_);
  if (!fresh) return fresh.error();
  if (fresh->nat != settings_.nat || fresh->client_to_client != settings_.client_to_client) {
    if (auto done = network_->set_firewall(*fresh); !done) return done.error();
    settings_.nat = fresh->nat;
    settings_.client_to_client = fresh->client_to_client;
    log_.notice("reload: the firewall table is new");
  }
  if (fresh->endpoints != settings_.endpoints || fresh->dns != settings_.dns) {
    settings_.endpoints = fresh->endpoints;
    settings_.dns = fresh->dns;
    endpoint_->set_announcements(announced_endpoints(settings_, log_), announced_routes(*network_), settings_.dns, now());
    log_.notice("reload: endpoints and DNS are announced anew");
  }
  if (*fresh == settings_) return Done{};
  return Error{ExitCode::configuration, common_.config_file() + ": only endpoints, nat, client_to_client and dns change while the server "
                                            "runs; for the rest: systemctl restart hawser-server"};
}

ServerStatusReport Daemon::status() const {
  const StatusSources sources{settings_, public_key_, network_->name(), tunnel_addresses_, *endpoint_, *pump_, started_, started_wall_};
  return make_status(sources, now());
}

// ---- stop -----------------------------------------------------------------------------------------------------------

void Daemon::stop() {
  sd_notify("STOPPING=1");
  control_.reset();
  const Time at = now();
  endpoint_->close_all(wire::CloseReason::shutdown, at);
  pump_->flush(at);  // the clients hear it now instead of finding out
  if (auto done = network_->close(); !done) log_.error("stop: " + done.error().message);
  log_.notice("stopped");
}

}  // namespace

Status run_server(const CommonOptions& common) {
  const LogLevel level = common.quiet ? LogLevel::warning : common.verbosity > 0 ? LogLevel::debug : LogLevel::info;
  protect_process_memory();
  Daemon daemon(common, Log::to_stderr(level));
  if (auto started = daemon.start(); !started) return started.error();
  daemon.run();
  daemon.stop();
  return Done{};
}

}  // namespace hawser::server
