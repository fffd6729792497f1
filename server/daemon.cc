// The server's process: start in the order of what can fail, events, reload, stop. Everything here runs in the main thread
// but relay(), which each worker calls in its own.
#include "server/daemon.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>

#include "common/session/endpoint.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/log.h"
#include "platform/process.h"
#include "platform/resolve.h"
#include "platform/rng.h"
#include "platform/thread.h"
#include "server/bridge.h"
#include "server/control.h"
#include "server/installation.h"
#include "server/network.h"
#include "server/status.h"
#include "server/worker.h"

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
// One worker per processor, up to what one droplet's network can make use of.
constexpr unsigned kMostWorkers = 8;
// The workers share what packets may take, but each has enough for a fast user.
constexpr size_t kLeastPoolBytes = 32u << 20;

class Daemon {
 public:
  Daemon(const CommonOptions& common, Log log) : common_(common), log_(std::move(log)) {}

  Status start();
  void run() { loop_->run(); }
  void stop();

 private:
  Result<std::vector<UdpSocket>> open_sockets();
  Result<std::vector<UdpSocket>> share(std::vector<UdpSocket>& sockets) const;
  Status make_workers(const StaticKeyPair& key, std::vector<UdpSocket> sockets);
  Status start_workers();
  std::unique_ptr<Endpoint> make_endpoint(uint32_t worker, const StaticKeyPair& key, const std::vector<SocketAddress>& announced);
  void watch_signals();

  bool on_main(const Worker& worker) const { return worker.id() == 0; }
  void in_worker(uint32_t worker, std::function<void(Worker&)> work);
  void relay(Worker& worker, Event& event);
  void handle_event(uint32_t worker, const Event& event);
  void handle(uint32_t worker, const SessionUp& up);
  void handle(const Closed& closed);
  void handle(const PathChanged& changed);
  void review_sessions(const std::string* only_user);
  void cut(UserId user, wire::CloseReason reason);
  void watch_registry();

  Status reload();
  void status(std::function<void(const ServerStatusReport&)> report);

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
  Steering steering_;
  std::atomic<size_t> all_sessions_{0};
  bool udp_steered_ = false;
  std::unique_ptr<Bridge> bridge_;
  std::unique_ptr<Exchange> exchange_;             // null with one worker
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Control> control_;

  EventLoop::Timer registry_timer_;
  EventLoop::SignalWatch terminate_, interrupt_, hangup_;
  struct LiveUser {
    std::string name;
    uint32_t worker = 0;  // who has the session
    PublicKey key;        // of its device
  };
  std::map<UserId, LiveUser> live_;  // users with a session
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
  const uint32_t workers = settings_.workers.value_or(std::min(usable_processors(), kMostWorkers));
  steering_ = Steering::of_pools(workers, settings_.ipv4, settings_.ipv6);
  auto network = Network::open(common_, settings_, steering_, CommonConfig{}.tunnel_mtu, log_);
  if (!network) return network.error();
  network_.emplace(std::move(*network));
  tunnel_addresses_ = {network_->address_v4(), network_->address_v6()};

  const auto fail = [&](const Error& error) {
    if (auto undone = network_->close(); !undone) log_.error(undone.error().message);
    return error;
  };
  if (auto made = make_workers(*key, std::move(*sockets)); !made) return fail(made.error());
  auto control = Control::open(*loop_, common_.control_socket(),
                               {[this](auto report) { status(std::move(report)); }, [this] { return reload(); },
                                [this](const std::string& user) { review_sessions(&user); }});
  if (!control) return fail(control.error());
  control_ = std::move(*control);
  watch_signals();
  watch_registry();
  if (auto started = start_workers(); !started) return fail(started.error());

  std::string where;
  for (const SocketAddress& a : workers_.front()->pump().listening()) where += (where.empty() ? "" : ", ") + a.to_string();
  log_.notice("listening on " + where + " as " + public_key_.to_base64());
  sd_notify("READY=1\nSTATUS=listening on " + where);
  return Done{};
}

Result<std::vector<UdpSocket>> Daemon::open_sockets() {
  std::vector<UdpSocket> sockets;
  for (const SocketAddress& address : settings_.listen) {
    auto socket = UdpSocket::open_server(address, {settings_.offload.udp_gso, settings_.offload.udp_gro});
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

// The same addresses once more, in the same order: a LinkId means the same address with every worker.
Result<std::vector<UdpSocket>> Daemon::share(std::vector<UdpSocket>& sockets) const {
  std::vector<UdpSocket> shared;
  for (UdpSocket& socket : sockets) {
    auto another = socket.open_sharing({settings_.offload.udp_gso, settings_.offload.udp_gro});
    if (!another) return another.error();
    shared.push_back(std::move(*another));
  }
  return shared;
}

Status Daemon::make_workers(const StaticKeyPair& key, std::vector<UdpSocket> sockets) {
  bridge_ = std::make_unique<Bridge>(
      Bridge::Workers{[this](uint32_t worker, const RegistryAnswer& answer) {
                        // Wiped when done with, wherever that is.
                        const std::shared_ptr<RegistryAnswer> a(new RegistryAnswer(answer), [](RegistryAnswer* gone) {
                          wipe(gone->psk);
                          wipe(gone->verifier);
                          delete gone;
                        });
                        in_worker(worker, [a](Worker& w) { w.endpoint().on_registry_answer(*a, now()); });
                      },
                      [this](uint32_t worker, UserId user, wire::CloseReason reason) {
                        in_worker(worker, [user, reason](Worker& w) { w.endpoint().close(user, reason, now()); });
                      }},
      *registry_, log_);
  if (steering_.workers > 1) exchange_ = std::make_unique<Exchange>(steering_);
  std::vector<std::vector<UdpSocket>> of_worker(steering_.workers);
  for (uint32_t id = 1; id < steering_.workers; ++id) {
    auto shared = share(sockets);
    if (!shared) return shared.error();
    of_worker[id] = std::move(*shared);
  }
  if (steering_.workers > 1 && settings_.offload.udp_steering) {
    udp_steered_ = std::all_of(sockets.begin(), sockets.end(), [this](UdpSocket& s) { return s.steer(steering_); });
  }
  of_worker[0] = std::move(sockets);
  const auto announced = announced_endpoints(settings_, log_);
  for (uint32_t id = 0; id < steering_.workers; ++id) {
    Worker::Parts parts;
    parts.id = id;
    parts.loop = id == 0 ? loop_.get() : nullptr;
    parts.endpoint = make_endpoint(id, key, announced);
    parts.tun = &network_->tun(id);
    parts.sockets = std::move(of_worker[id]);
    parts.exchange = exchange_.get();
    parts.wake = [this](uint32_t other) { workers_[other]->ring_bell(); };
    parts.tell = [this](Worker& worker, Event& event) { relay(worker, event); };
    if (id == 0) {
      parts.chores = [this](Time at) {
        bridge_->answer_some(at);
        return bridge_->waiting();
      };
    }
    auto worker = Worker::create(std::move(parts));
    if (!worker) return worker.error();
    workers_.push_back(std::move(*worker));
  }
  return Done{};
}

Status Daemon::start_workers() {
  for (const auto& worker : workers_) {
    if (on_main(*worker)) continue;
    if (auto started = worker->start(); !started) {
      // Before anything is taken apart: those that run talk to the others.
      for (const auto& w : workers_) w->stop(wire::CloseReason::shutdown);
      return Error{started.error().code, started.error().message + "; allow more threads or memory, or set workers = 1 in " +
                                             common_.config_file()};
    }
  }
  return Done{};
}

std::unique_ptr<Endpoint> Daemon::make_endpoint(uint32_t worker, const StaticKeyPair& key, const std::vector<SocketAddress>& announced) {
  CommonConfig common;
  common.ciphers = supported_ciphers();
  common.cipher_factory = make_cipher;
  if (steering_.workers > 1) common.packet_pool_bytes = std::max(common.packet_pool_bytes / steering_.workers, kLeastPoolBytes);
  ServerConfig config{std::move(common), key.clone(), network_->address_v4(), network_->address_v6(),
                      announced, announced_routes(*network_), settings_.dns, settings_.max_sessions, steering_, worker, &all_sessions_};
  return Endpoint::make_server(std::move(config), rng_);
}

void Daemon::watch_signals() {
  terminate_ = loop_->on_signal(Signal::terminate, [this] { loop_->stop(); });
  interrupt_ = loop_->on_signal(Signal::interrupt, [this] { loop_->stop(); });
  hangup_ = loop_->on_signal(Signal::hangup, [this] {
    if (auto done = reload(); !done) log_.error("reload: " + done.error().message);
  });
}

// ---- what the engines tell ------------------------------------------------------------------------------------------

// From the main thread. The first worker is in it: there it is done at once.
void Daemon::in_worker(uint32_t worker, std::function<void(Worker&)> work) {
  Worker& w = *workers_[worker];
  if (on_main(w)) work(w);
  else w.post(std::move(work));
}

// In the worker's thread: to another worker what is his, to the main thread the rest.
void Daemon::relay(Worker& worker, Event& event) {
  if (const auto* handover = std::get_if<Handover>(&event)) {
    workers_[handover->worker]->post([what = handover->what](Worker& owner) { owner.endpoint().on_handover(*what, now()); });
    return;
  }
  if (on_main(worker)) return handle_event(worker.id(), event);
  workers_.front()->post([this, id = worker.id(), e = std::move(event)](Worker&) { handle_event(id, e); });
}

void Daemon::handle_event(uint32_t worker, const Event& event) {
  if (const auto* lookup = std::get_if<RegistryLookup>(&event)) bridge_->ask(worker, *lookup);
  else if (const auto* commit = std::get_if<EnrolmentCommit>(&event)) bridge_->ask(worker, *commit);
  else if (const auto* up = std::get_if<SessionUp>(&event)) handle(worker, *up);
  else if (const auto* closed = std::get_if<Closed>(&event)) handle(*closed);
  else if (const auto* changed = std::get_if<PathChanged>(&event)) handle(*changed);
}

void Daemon::handle(uint32_t worker, const SessionUp& up) {
  const bool news = live_.insert_or_assign(up.user, LiveUser{up.name, worker, up.key}).second;
  if (news) log_.info(up.name + ": connected from " + up.via.remote.to_string());
  // The registry may have changed between its answer and now; the key may be that of a device replaced since.
  if (const auto reason = bridge_->must_go(up.user, up.key)) cut(up.user, *reason);
}

void Daemon::handle(const Closed& closed) {
  const auto live = live_.find(closed.user);
  if (live == live_.end()) return;
  log_.info(live->second.name + ": disconnected (" + close_reason_name(closed.reason) + ")");
  live_.erase(live);
}

void Daemon::handle(const PathChanged& changed) {
  const auto live = live_.find(changed.user);
  if (live == live_.end() || !log_.enabled(LogLevel::info)) return;
  std::string line = live->second.name + ": path " + std::to_string(changed.path.value) + " " + name(changed.from) + " -> " + name(changed.to);
  if (changed.reason != PathReason::none) line += std::string(" (") + name(changed.reason) + ")";
  log_.info(line);
}

// ---- users that must go ---------------------------------------------------------------------------------------------

// Looks again at all users with a session, or at those of one name (a name may be given anew after a removal, hence by id).
void Daemon::review_sessions(const std::string* only_user) {
  const std::map<UserId, LiveUser> live = live_;
  for (const auto& [user, who] : live) {
    if (only_user != nullptr && who.name != *only_user) continue;
    if (const auto reason = bridge_->must_go(user, who.key)) cut(user, *reason);
  }
}

void Daemon::cut(UserId user, wire::CloseReason reason) {
  const auto live = live_.find(user);
  if (live == live_.end()) return;
  const LiveUser who = live->second;
  live_.erase(live);
  log_.notice(who.name + ": cut off (" + close_reason_name(reason) + ")");
  in_worker(who.worker, [user, reason, key = who.key](Worker& w) {
    // A replaced device goes alone: the new one may have its session by now.
    w.endpoint().close(user, reason, now(), reason == wire::CloseReason::replaced ? &key : nullptr);
  });
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
    const auto endpoints = announced_endpoints(settings_, log_);
    for (const auto& worker : workers_) {
      in_worker(worker->id(), [endpoints, routes = announced_routes(*network_), dns = settings_.dns](Worker& w) {
        w.endpoint().set_announcements(endpoints, routes, dns, now());
      });
    }
    log_.notice("reload: endpoints and DNS are announced anew");
  }
  if (*fresh == settings_) return Done{};
  return Error{ExitCode::configuration, common_.config_file() + ": only endpoints, nat, client_to_client and dns change while the server "
                                            "runs; for the rest: systemctl restart hawser-server"};
}

// Each worker takes its numbers in its own thread; the last one to come brings the report.
void Daemon::status(std::function<void(const ServerStatusReport&)> report) {
  struct Gathering {
    std::vector<WorkerSnapshot> workers;
    size_t missing = 0;
    std::function<void(const ServerStatusReport&)> report;
  };
  auto all = std::make_shared<Gathering>();
  all->workers.resize(workers_.size());
  all->missing = workers_.size();
  all->report = std::move(report);
  const auto take = [this, all](uint32_t id, WorkerSnapshot snapshot) {
    all->workers[id] = std::move(snapshot);
    if (--all->missing != 0) return;
    std::optional<std::string> udp, tun;
    if (exchange_) {
      udp = udp_steered_ ? "program" : "rings";
      tun = network_->tun().steered() ? "program" : "rings";
    }
    all->report(make_status({settings_, public_key_, network_->name(), tunnel_addresses_, workers_.front()->pump().listening(), all->workers,
                             udp, tun, started_, started_wall_}));
  };
  for (const auto& worker : workers_) {
    in_worker(worker->id(), [this, take](Worker& w) {
      auto snapshot = std::make_shared<WorkerSnapshot>(w.snapshot(now()));
      if (on_main(w)) return take(w.id(), std::move(*snapshot));
      workers_.front()->post([take, id = w.id(), snapshot](Worker&) { take(id, std::move(*snapshot)); });
    });
  }
}

// ---- stop -----------------------------------------------------------------------------------------------------------

void Daemon::stop() {
  sd_notify("STOPPING=1");
  control_.reset();
  for (const auto& worker : workers_) worker->stop(wire::CloseReason::shutdown);
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
