// The short session of vpn-join.
#include "client/enrolment.h"

#include <algorithm>

#include "client/report.h"
#include "platform/clock.h"

namespace hawser::client {
namespace {

constexpr Duration kLookInterval = Duration::millis(50);
// After the server has accepted: time for a late "used" to arrive, and for slow links to answer.
constexpr Duration kAtLeast = Duration::millis(200);
constexpr Duration kAtMost = Duration::millis(2000);

bool answered(const PathInfo& p) {
  return p.state == PathState::active || p.state == PathState::standby;
}

}  // namespace

Enrolment::Enrolment(EventLoop& loop, Log& log, Setup setup, const StaticKeyPair& key)
    : loop_(loop), log_(log), setup_(std::move(setup)) {
  CommonConfig common;
  common.ciphers = supported_ciphers();
  common.cipher_factory = make_cipher;
  ClientConfig config{std::move(common), key.clone(), setup_.profile.server_public_key, SecretKey{}, setup_.token};
  engine_ = Endpoint::make_client(std::move(config), rng_);
  pump_.emplace(loop_, *engine_);
  pump_->on_event([this](const Event& e) { on_event(e); });
  links_.emplace(Links::Setup{.pump = &*pump_,
                              .engine = engine_.get(),
                              .routing = nullptr,
                              .log = &log_,
                              .loop = &loop_,
                              .policy = {.profile = setup_.profile, .only = {}, .without = {}, .own_tunnel = {}},
                              .guard_all = false});
  servers_.emplace(loop_, log_, setup_.profile.endpoints, "", [this] { return links_->ready_interfaces(); },
                   [this](const std::vector<SocketAddress>& e) { links_->set_endpoints(e); });
}

Result<EnrolmentResult> Enrolment::run() {
  auto watcher = InterfaceWatcher::create(
      loop_, [this](const InterfaceWatcher::Change& c) {
        links_->set_interfaces(c.interfaces);
        if (!result_) servers_->resolve_again();
      });
  if (!watcher) return watcher.error();
  watcher_ = std::move(*watcher);
  timeout_ = loop_.make_timer([this] {
    if (!result_)
      fail({ExitCode::no_answer, no_answer_text(*links_, servers_->in_words(), setup_.profile_name, setup_.timeout)});
  });
  timeout_.set_deadline(now() + setup_.timeout);
  look_ = loop_.make_timer([this] { look_at_links(); });
  interrupt_ = loop_.on_signal(Signal::interrupt, [this] {
    fail({ExitCode::interrupted, "interrupted; nothing was written but the key"});
  });
  terminate_ = loop_.on_signal(Signal::terminate, [this] {
    fail({ExitCode::interrupted, "ended; nothing was written but the key"});
  });
  servers_->start();
  loop_.run();
  engine_->close_all(wire::CloseReason::done, now());
  pump_->flush();
  if (error_) return *error_;
  return *result_;
}

void Enrolment::on_event(const Event& event) {
  if (const auto* e = std::get_if<Connected>(&event)) return on_connected(*e);
  if (const auto* e = std::get_if<Refused>(&event)) return fail({ExitCode::refused, refusal_text(e->reason)});
  if (const auto* e = std::get_if<Closed>(&event)) {
    // Our own close at the end is no news.
    if (result_ && e->reason == wire::CloseReason::done) return;
    const bool for_good = e->reason != wire::CloseReason::shutdown && e->reason != wire::CloseReason::idle &&
                          e->reason != wire::CloseReason::done;
    if (for_good) fail({ExitCode::refused, refusal_text(e->reason)});
  }
}

void Enrolment::on_connected(const Connected& event) {
  if (result_) return;
  result_.emplace();
  result_->server = event.via.remote;
  result_->accept = event.accept;
  connected_at_ = now();
  look_.set_deadline(connected_at_ + kAtLeast);
}

void Enrolment::look_at_links() {
  result_->links = link_results();
  const bool all = std::all_of(result_->links.begin(), result_->links.end(),
                               [](const LinkResult& l) { return l.rtt || l.text != "no reply"; });
  if (all || now() - connected_at_ >= kAtMost) return loop_.stop();
  look_.set_deadline(now() + kLookInterval);
}

std::vector<LinkResult> Enrolment::link_results() const {
  std::vector<LinkResult> results;
  for (const auto& [interface, sent] : links_->sent_by_interface()) {
    LinkResult r{interface, "other", std::nullopt, "no reply"};
    for (const Interface& i : links_->interfaces()) {
      if (i.name == interface) r.type = to_string(i.type);
    }
    for (const SessionInfo& session : engine_->sessions(now())) {
      for (const PathInfo& p : session.paths) {
        if (p.interface == interface && answered(p)) r.rtt = r.rtt ? std::min(*r.rtt, p.smoothed_rtt) : p.smoothed_rtt;
      }
    }
    results.push_back(std::move(r));
  }
  for (const Unusable& u : links_->unusable()) {
    // Who was asked by a guessed translator has a line already.
    const auto asked = std::find_if(results.begin(), results.end(), [&](const LinkResult& r) { return r.interface == u.interface; });
    if (asked == results.end()) results.push_back({u.interface, u.type, std::nullopt, u.text});
  }
  return results;
}

void Enrolment::fail(Error error) {
  if (!error_) error_ = std::move(error);
  loop_.stop();
}

}  // namespace hawser::client
