// The daemon's life: start, connect, prove, run, undo.
#include "client/daemon.h"

#include "client/report.h"
#include "common/config/names.h"
#include "platform/clock.h"
#include "platform/files.h"

namespace hawser::client {
namespace {

constexpr Duration kProbeInterval = Duration::millis(250);  // between echo requests of the first round trip
constexpr Duration kGrace = Duration::millis(100);          // for the other links, before success is reported
constexpr Duration kRetryInterval = Duration::seconds(5);   // links that could not be made, names while nobody answers
constexpr Duration kWaitForWord = Duration::millis(300);    // which links are metered, before any is used
constexpr Duration kShowProgressAfter = Duration::seconds(1);
constexpr Duration kGoodbye = Duration::millis(50);  // for the replies of those who asked us to end

}  // namespace

Daemon::Daemon(EventLoop& loop, Log& log, DaemonSetup& setup, Verdict& verdict)
    : loop_(loop), log_(log), setup_(setup), verdict_(verdict), started_(now()), since_{wall_seconds()} {}

Daemon::~Daemon() = default;

Status Daemon::run() {
  Status result = start();
  if (result) {
    loop_.run();
    result = *result_;
  }
  const Status undone = finish();
  return result ? undone : result;
}

// ---- start --------------------------------------------------------------------------------------------------------

Status Daemon::start() {
  auto lock = InstanceLock::acquire(setup_.instance.lock_dir());
  if (!lock) {
    return Error{lock.error().code, lock.error().code == ExitCode::conflict
                                        ? setup_.instance.name +
                                              " is running already, or just being started; see vpn-status " +
                                              setup_.instance.name
                                        : lock.error().message};
  }
  lock_ = std::move(*lock);
  protect_process_memory();
  if (auto ok = write_file_atomic(setup_.instance.options_file(), render(setup_.run)); !ok) return ok;
  if (auto ok = refuse_second_full_tunnel(); !ok) return ok;
  if (auto ok = open_system(); !ok) return ok;
  make_engine();
  auto control = ControlSocket::create(loop_, setup_.instance.control_socket(), *this);
  if (!control) return control.error();
  control_ = std::move(*control);
  watch_for_the_end();
  auto watcher =
      InterfaceWatcher::create(loop_, [this](const InterfaceWatcher::Change& change) { on_interfaces(change); });
  if (!watcher) return watcher.error();
  watcher_ = std::move(*watcher);
  network_manager_ = NetworkManager::watch(loop_, [this] { on_network_manager(); });
  if (network_manager_) word_timer_.set_deadline(now() + kWaitForWord);
  log_.info("started; server " + servers_->in_words() + ", interface " + tun_->name());
  servers_->start();
  sd_notify("READY=1\nSTATUS=connecting to " + servers_->in_words());
  if (setup_.report_at_once) {
    verdict_.give(ExitCode::ok, setup_.instance.name + ": started; see vpn-status " + setup_.instance.name + "\n");
  }
  return Done{};
}

Status Daemon::refuse_second_full_tunnel() {
  if (!setup_.run.all_traffic) return Done{};
  const std::string holder = full_tunnel_holder(setup_.common, setup_.instance.name);
  if (!holder.empty()) {
    return Error{ExitCode::conflict, holder + " has all traffic already, and " + setup_.instance.name +
                                         " wants it too (route = \"all\")" + "\n  run:  vpn-down " + holder +
                                         "    or give one of them a list: route = [\"10.0.0.0/8\"]"};
  }
  const auto other = other_full_tunnel();
  if (other && !other->empty()) {
    return Error{ExitCode::conflict, "another profile sends all traffic into " + *other +
                                         " already; end it first (vpn-down), or set route = [...] in " +
                                         setup_.instance.file};
  }
  return Done{};
}

Status Daemon::open_system() {
  // What a killed predecessor left is undone before anything new is made.
  auto left = UndoLog::replay(setup_.instance.undo_log());
  if (!left) return left.error();
  for (const std::string& line : *left) log_.warning("undone, left behind by a killed predecessor: " + line);
  auto undo = UndoLog::open(setup_.instance.undo_log());
  if (!undo) return undo.error();
  undo_ = std::move(*undo);
  auto tun =
      TunDevice::open(setup_.profile.interface, {setup_.profile.offload.tun_tso, setup_.profile.offload.tun_uso});
  if (!tun) return tun.error();
  tun_ = std::move(*tun);
  routing_.emplace(*undo_, setup_.instance.name);
  tunnel_.emplace(*tun_, *routing_, setup_.profile, log_);
  return Done{};
}

void Daemon::make_engine() {
  CommonConfig common;
  common.ciphers = supported_ciphers();
  common.cipher_factory = make_cipher;
  if (setup_.profile.mtu) common.tunnel_mtu = *setup_.profile.mtu;
  ClientConfig config{std::move(common), setup_.key.clone(), setup_.profile.server_public_key, SecretKey{},
                      std::nullopt};
  engine_ = Endpoint::make_client(std::move(config), rng_);
  set_policy();
  pump_.emplace(loop_, *engine_);
  pump_->attach_tun(*tun_);
  pump_->on_event([this](const Event& e) { on_event(e); });
  pump_->filter_delivered([this](ByteSpan packet) { return on_delivered(packet); });
  links_.emplace(Links::Setup{.pump = &*pump_,
                              .engine = engine_.get(),
                              .routing = &*routing_,
                              .log = &log_,
                              .loop = &loop_,
                              .policy = {.profile = setup_.profile,
                                         .only = setup_.run.only,
                                         .without = setup_.run.without,
                                         .own_tunnel = tun_->name()},
                              .guard_all = setup_.run.all_traffic});
  servers_.emplace(loop_, log_, setup_.profile.endpoints, setup_.instance.endpoints_file(),
                   [this] { return links_->ready_interfaces(); },
                   [this](const std::vector<SocketAddress>& endpoints) { links_->set_endpoints(endpoints); });
}

void Daemon::set_policy() {
  engine_->set_policy(setup_.profile.mode, setup_.profile.scheduler, setup_.profile.congestion, now());
}

void Daemon::watch_for_the_end() {
  interrupt_ = loop_.on_signal(Signal::interrupt, [this] { end(Error{ExitCode::interrupted, "interrupted"}); });
  terminate_ = loop_.on_signal(Signal::terminate, [this] { end(Done{}); });
  hangup_ = loop_.on_signal(Signal::hangup, [this] { end(Done{}); });
  timeout_ = loop_.make_timer([this] { on_timeout(); });
  if (setup_.timeout != Duration::infinite()) timeout_.set_deadline(started_ + setup_.timeout);
  progress_ = loop_.make_timer([this] { show_progress(); });
  if (!setup_.common.quiet && is_terminal(2)) progress_.set_deadline(started_ + kShowProgressAfter);
  grace_timer_ = loop_.make_timer([this] { report_success(); });
  probe_timer_ = loop_.make_timer([this] { send_probe(); });
  retry_timer_ = loop_.make_timer([this] { on_retry(); });
  retry_timer_.set_deadline(now() + kRetryInterval);
  restore_timer_ = loop_.make_timer([this] { restore_routing(); });
  word_timer_ = loop_.make_timer([this] { on_network_manager(); });
  const Duration watchdog = watchdog_interval();
  if (watchdog == Duration::infinite()) return;
  watchdog_ = loop_.make_timer([this, watchdog] {
    sd_notify("WATCHDOG=1");
    watchdog_.set_deadline(now() + watchdog);
  });
  watchdog_.set_deadline(now() + watchdog);
}

// ---- what the engine tells ----------------------------------------------------------------------------------------

void Daemon::on_event(const Event& event) {
  if (const auto* e = std::get_if<Connected>(&event)) return on_connected(*e);
  if (std::holds_alternative<Reconnecting>(event)) return on_reconnecting();
  if (const auto* e = std::get_if<PathChanged>(&event)) return on_path_changed(*e);
  if (const auto* e = std::get_if<TunnelMtuChanged>(&event)) return on_mtu_changed(*e);
  if (const auto* e = std::get_if<Refused>(&event)) return end(Error{ExitCode::refused, refusal_text(e->reason)});
  if (const auto* e = std::get_if<Closed>(&event)) {
    const bool for_good = e->reason == wire::CloseReason::removed || e->reason == wire::CloseReason::disabled;
    if (for_good) return end(Error{ExitCode::refused, refusal_text(e->reason)});
    log_.warning(refusal_text(e->reason) + "; connecting again");
    if (proven_) enter(State::reconnecting);
  }
}

void Daemon::on_connected(const Connected& event) {
  if (auto ok = tunnel_->configure(event.accept, event.mtu); !ok) return end(ok);
  servers_->announced(event.accept.endpoints);
  if (!event.resumed || !answered_) {
    log_.notice("the server " + event.via.remote.to_string() + " answers by " + event.via.local.to_string());
  }
  answered_ = true;
  if (proven_) {
    if (state_ != State::connected) log_.notice("connected again");
    return enter(State::connected);
  }
  if (!first_round_trip_) begin_first_round_trip();
}

void Daemon::on_reconnecting() {
  log_.warning("no answer from the server by any path; traffic waits until it comes back");
  if (proven_) enter(State::reconnecting);
  servers_->resolve_again();
  retry_timer_.set_deadline(now() + kRetryInterval);
}

void Daemon::on_path_changed(const PathChanged& e) {
  std::string interface = "path " + std::to_string(e.path.value);
  for (const SessionInfo& session : engine_->sessions(now())) {
    for (const PathInfo& p : session.paths) {
      if (p.id == e.path) interface = p.interface;
    }
  }
  std::string line = interface + ": " + name(e.from) + " -> " + name(e.to);
  if (e.reason != PathReason::none) line += std::string(" (") + name(e.reason) + ")";
  if (e.to == PathState::suspect || e.to == PathState::lost) line += ", silent for " + format_duration(e.gap);
  log_.info(line);
  // A path that answers again ends a silence also without a new handshake.
  const bool answers = e.to == PathState::active || e.to == PathState::standby;
  if (answers && state_ == State::reconnecting) {
    enter(State::connected);
    log_.notice("connected again");
  }
  report_success();
}

// Until the server has confirmed the keys the device has no MTU of ours; Connected then brings the newest.
void Daemon::on_mtu_changed(const TunnelMtuChanged& e) {
  if (!answered_ || e.mtu == tunnel_->mtu()) return;
  const std::string change = std::to_string(tunnel_->mtu()) + " -> " + std::to_string(e.mtu);
  if (auto ok = tunnel_->set_mtu(e.mtu); !ok) return log_.warning("MTU " + change + ": " + ok.error().message);
  log_.notice("MTU of " + tunnel_->interface() + ": " + change + ", as the paths carry");
}

// ---- the proof ----------------------------------------------------------------------------------------------------

void Daemon::begin_first_round_trip() {
  const wire::AcceptPayload& accept = tunnel_->accept();
  const bool v4 = accept.inner_v4.is_set() && accept.server_v4.is_set();
  const IpAddress& from = v4 ? accept.inner_v4 : accept.inner_v6;
  const IpAddress& to = v4 ? accept.server_v4 : accept.server_v6;
  if (!from.is_set() || !to.is_set()) {
    return end(Error{ExitCode::no_round_trip, "the server gave no inner address; see [network] in its server.toml"});
  }
  first_round_trip_.emplace(from, to, static_cast<uint16_t>(rng_.next_u64()), rng_.next_u64());
  enter(State::proving);
  send_probe();
}

void Daemon::send_probe() {
  if (proven_ || !first_round_trip_) return;
  uint8_t packet[FirstRoundTrip::kMaxPacket];
  const size_t size = first_round_trip_->write_request(packet);
  pump_->inject(ByteSpan(packet).first(size));
  probe_timer_.set_deadline(now() + kProbeInterval);
}

// Delivered packets pass here only until the proof is made.
bool Daemon::on_delivered(ByteSpan packet) {
  if (!first_round_trip_ || !first_round_trip_->is_reply(packet)) return false;
  if (!proven_) on_first_round_trip();
  return true;
}

void Daemon::on_first_round_trip() {
  proven_ = true;
  probe_timer_.cancel();
  timeout_.cancel();
  if (auto ok = tunnel_->install_routes(); !ok) return end(ok);
  enter(State::connected);
  for (const std::string& command : undo_->commands()) log_.debug("changed: " + command);
  connected_after_ = now() - started_;
  log_.notice("connected in " + format_duration(connected_after_));
  grace_timer_.set_deadline(now() + kGrace);
  report_success();
}

bool Daemon::still_validating() const {
  for (const SessionInfo& session : engine_->sessions(now())) {
    for (const PathInfo& p : session.paths) {
      if (p.state == PathState::validating) return true;
    }
  }
  return false;
}

// The tunnel works; a moment more, and the other links have answered too and can be told.
void Daemon::report_success() {
  if (!proven_ || verdict_.given() || (grace_timer_.armed() && still_validating())) return;
  std::string summary = connected_summary(report(), connected_after_, setup_.style);
  if (setup_.run.all_traffic)
    summary += "  DNS is not touched (dns = \"off\"): queries go to the resolvers of this machine as before\n";
  verdict_.give(ExitCode::ok, setup_.common.quiet ? std::string() : summary);
}

// ---- time ---------------------------------------------------------------------------------------------------------

void Daemon::on_timeout() {
  if (proven_) return;
  if (!answered_) {
    return end(Error{ExitCode::no_answer,
                     no_answer_text(*links_, servers_->in_words(), setup_.instance.name, setup_.timeout)});
  }
  end(Error{ExitCode::no_round_trip,
            "the server answered, but none of " + std::to_string(first_round_trip_->sent()) +
                " packets made the round trip through the tunnel within " + format_duration(setup_.timeout) +
                "\n   check on the server: does a firewall drop ICMP on its tunnel interface? vpn-server status"});
}

// Once, for the one who waits at the terminal.
void Daemon::show_progress() {
  if (proven_) return;
  std::string interfaces;
  for (const auto& [name, sent] : links_->sent_by_interface()) interfaces += (interfaces.empty() ? "" : ", ") + name;
  verdict_.progress(
      setup_.instance.name + ": " +
      (answered_ ? "the server answers; waiting for a round trip through the tunnel"
                 : "asking " + servers_->in_words() + " by " + (interfaces.empty() ? "no interface yet" : interfaces)) +
      " ...");
}

void Daemon::on_retry() {
  if (links_->incomplete()) links_->try_again();
  if (silent()) servers_->resolve_again();
  // No wake-ups while all is well; a failed link or a silence sets the timer again.
  if (silent() || links_->incomplete()) retry_timer_.set_deadline(now() + kRetryInterval);
}

void Daemon::on_interfaces(const InterfaceWatcher::Change& change) {
  // Not a byte by a link that is metered, and then perhaps not to be used, before that is known.
  const bool word_is_due = network_manager_ && network_manager_->asking() && word_timer_.armed();
  if (!word_is_due) use_interfaces(change.interfaces, change.routes_changed);
  restore_routing();
}

// It has said something new, or has been waited for long enough.
void Daemon::on_network_manager() {
  word_timer_.cancel();
  use_interfaces(watcher_->interfaces(), false);
}

void Daemon::use_interfaces(std::vector<Interface> interfaces, bool routes_changed) {
  if (network_manager_) network_manager_->complete(interfaces);
  if (routes_changed || interfaces != links_->interfaces()) {
    const std::vector<std::string> ready = links_->ready_interfaces();
    links_->set_interfaces(std::move(interfaces));
    if (links_->incomplete()) retry_timer_.set_deadline(now() + kRetryInterval);
    if (silent() && links_->ready_interfaces() != ready) servers_->resolve_again();
  }
}

// Network managers that restart may wipe rules they do not know, and a device that was down has lost its routes.
void Daemon::restore_routing() {
  const Time at = now();
  if (restore_budget_.allowed_at() > at) return restore_timer_.set_deadline(restore_budget_.allowed_at());
  const Routing::Restored restored = routing_->restore();
  if (!restored.problem) {
    log_.write_limited(LogLevel::warning, "restore", "restoring routes: " + restored.problem.error().message, at);
  }
  if (restored.count == 0) return;
  restore_budget_.spend(at);
  restored_ += restored.count;
  log_.write_limited(LogLevel::warning, "restored",
                     "routing rules or routes of ours were removed by another program: " +
                         std::to_string(restored.count) + " put back, " + std::to_string(restored_) + " so far",
                     at);
}

void Daemon::enter(State state) {
  const std::string before = state_name();
  state_ = state;
  if (before == state_name()) return;
  since_ = UnixTime{wall_seconds()};
  sd_notify("STATUS=" + state_name() + " (" + servers_->in_words() + ")");
}

std::string Daemon::state_name() const {
  switch (state_) {
    case State::connected:
      return "connected";
    case State::reconnecting:
      return "reconnecting";
    case State::connecting:
    case State::proving:
      break;
  }
  return "connecting";
}

// ---- requests -----------------------------------------------------------------------------------------------------

StatusReport Daemon::report() const {
  const auto sessions = engine_->sessions(now());
  const EndpointInfo endpoint = engine_->info();
  ReportInput input;
  input.profile_name = setup_.instance.name;
  input.state = state_name();
  input.since = since_;
  input.profile = &setup_.profile;
  input.tunnel = &*tunnel_;
  input.links = &*links_;
  input.session = sessions.empty() ? nullptr : &sessions.front();
  input.endpoint = &endpoint;
  input.offload = pump_->offload();
  input.restored = restored_;
  StatusReport r = make_report(input);
  if (pump_->unbuffered_packets() > 0) r.drops["no_buffer"] += pump_->unbuffered_packets();
  if (pump_->refused_datagrams() > 0) r.drops["transmit"] += pump_->refused_datagrams();
  return r;
}

Status Daemon::set(const std::string& key, const std::string& value) {
  const auto setting = parse_setting(key, value);
  if (!setting) return setting.error();
  if (const auto* path = std::get_if<PathSetting>(&*setting)) {
    links_->apply(*path);
  } else {
    apply(setup_.profile, std::get<BondingSetting>(*setting));
    set_policy();
  }
  log_.notice(key + " set to " + value);
  return Done{};
}

// ---- the end ------------------------------------------------------------------------------------------------------

void Daemon::end(Status result) {
  if (result_) return;
  result_ = std::move(result);
  sd_notify("STOPPING=1");
  // One more moment for replies that are on their way to whoever asked for this.
  end_timer_ = loop_.make_timer([this] { loop_.stop(); });
  end_timer_.set_deadline(now() + kGoodbye);
}

Status Daemon::finish() {
  if (result_ && *result_) log_.notice("ending as asked");
  network_manager_.reset();
  watcher_.reset();
  servers_.reset();
  if (engine_ && pump_) {
    engine_->close_all(wire::CloseReason::done, now());
    pump_->flush();
  }
  Status undone = Done{};
  if (undo_) undone = undo_->undo_all();
  if (!undone)
    log_.error("undoing: " + undone.error().message + "; to try again: vpn-up " + setup_.instance.name + " --cleanup");
  control_.reset();
  if (lock_) {
    if (auto ok = remove_file(setup_.instance.options_file()); !ok) log_.warning(ok.error().message);
  }
  return undone;
}

}  // namespace hawser::client
