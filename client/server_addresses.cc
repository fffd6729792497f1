// The list of the server's addresses.
#include "client/server_addresses.h"

#include <algorithm>

#include "client/links.h"
#include "platform/clock.h"
#include "platform/files.h"

namespace hawser::client {
namespace {

constexpr Duration kSystemsTurn = Duration::millis(300);  // before the interfaces are asked as well
// Asked again after so long, and not longer ago than that, nobody has answered where the names led.
constexpr Duration kNextRound = Duration::seconds(4), kSameSilence = Duration::seconds(10);

}  // namespace

std::vector<SocketAddress> in_turn(const std::vector<std::vector<SocketAddress>>& sources, size_t most) {
  std::vector<SocketAddress> all;
  bool more = true;
  for (size_t turn = 0; std::exchange(more, false); ++turn) {
    for (const std::vector<SocketAddress>& source : sources) {
      if (turn >= source.size() || all.size() >= most) continue;
      more = true;
      const SocketAddress& a = source[turn];
      const bool usable = a.ip.is_set() && a.port != 0 && !a.ip.is_multicast();
      if (usable && std::ranges::find(all, a) == all.end()) all.push_back(a);
    }
  }
  return all;
}

ServerAddresses::ServerAddresses(EventLoop& loop, Log& log, std::vector<HostPort> endpoints,
                                 std::string remembered_file, std::function<std::vector<std::string>()> interfaces,
                                 Callback callback)
    : loop_(loop),
      log_(log),
      endpoints_(std::move(endpoints)),
      remembered_file_(std::move(remembered_file)),
      interfaces_(std::move(interfaces)),
      callback_(std::move(callback)),
      interfaces_timer_(loop.make_timer([this] { ask_by_interfaces(); })) {}

void ServerAddresses::start() {
  load_remembered();
  publish();
  resolve_again();
}

void ServerAddresses::resolve_again() {
  const Time at = now();
  if (!last_asked_.is_set() || at - last_asked_ > kSameSilence) first_asked_ = at;
  last_asked_ = at;
  bool names = false;
  for (const HostPort& e : endpoints_) {
    if (e.literal()) continue;
    names = true;
    ask({e, ""});
  }
  if (names && !interfaces_timer_.armed()) interfaces_timer_.set_deadline(at + kSystemsTurn);
}

void ServerAddresses::ask_by_interfaces() {
  const bool in_vain = now() - first_asked_ > kNextRound;
  const std::vector<std::string> interfaces = interfaces_();
  // What a link that is away was told counts no more.
  std::erase_if(known_, [&](const auto& k) {
    const std::string& by = k.first.second;
    return !by.empty() && std::ranges::find(interfaces, by) == interfaces.end();
  });
  for (const HostPort& e : endpoints_) {
    if (e.literal() || !(in_vain || waiting_.contains({e, ""}) || failures_.contains(e))) continue;
    for (const std::string& interface : interfaces) ask({e, interface});
  }
}

void ServerAddresses::ask(const Question& question) {
  if (waiting_.contains(question)) return;
  const auto& [name, interface] = question;
  const auto answered = [this, question](const Result<std::vector<IpAddress>>& addresses) { resolved(question, addresses); };
  auto resolution = interface.empty() ? Resolution::start(loop_, name.host, answered)
                                      : Resolution::start_by(loop_, name.host, interface, answered);
  if (resolution) {
    running_[question] = std::move(*resolution);
    waiting_.insert(question);
  } else {
    resolved(question, resolution.error());
  }
}

void ServerAddresses::resolved(const Question& question, const Result<std::vector<IpAddress>>& addresses) {
  const auto& [name, interface] = question;
  waiting_.erase(question);  // the handle itself stays: this is its callback
  if (!addresses) {          // what was known before is still worth trying
    if (!interface.empty()) return log_.debug(addresses.error().message);
    if (failures_[name] != addresses.error().message) log_.warning(addresses.error().message);
    failures_[name] = addresses.error().message;
    return;
  }
  if (interface.empty()) failures_.erase(name);
  std::vector<SocketAddress> found;
  for (const IpAddress& a : *addresses) found.push_back({a, name.port, 0});
  known_[question] = std::move(found);
  publish();
}

void ServerAddresses::announced(const std::vector<SocketAddress>& endpoints) {
  if (endpoints.empty() || endpoints == announced_) return;
  announced_ = endpoints;
  publish();
  if (remembered_file_.empty()) return;
  std::string text;
  for (const SocketAddress& e : endpoints) text += e.to_string() + "\n";
  if (auto ok = write_file_atomic(remembered_file_, text, 0600); !ok) log_.warning(ok.error().message);
}

// From a file that only root writes; still, a line that does not parse is passed over.
void ServerAddresses::load_remembered() {
  if (remembered_file_.empty() || !file_exists(remembered_file_)) return;
  const auto text = read_file(remembered_file_);
  if (!text) return;
  size_t begin = 0;
  while (begin < text->size()) {
    const size_t end = std::min(text->find('\n', begin), text->size());
    if (const auto e = SocketAddress::parse(std::string_view(*text).substr(begin, end - begin)))
      announced_.push_back(*e);
    begin = end + 1;
  }
}

void ServerAddresses::publish() {
  std::vector<std::vector<SocketAddress>> sources;
  for (const HostPort& e : endpoints_) {
    if (const auto literal = e.literal()) sources.push_back({*literal});
    for (const auto& [question, addresses] : known_) {
      if (question.first == e) sources.push_back(addresses);
    }
  }
  sources.push_back(announced_);
  std::vector<SocketAddress> all = in_turn(sources, kMaxEndpoints);
  if (all == published_) return;
  published_ = std::move(all);
  callback_(published_);
}

bool ServerAddresses::knows(const HostPort& name) const {
  return std::ranges::any_of(known_, [&](const auto& k) { return k.first.first == name; });
}

std::string ServerAddresses::in_words() const {
  std::string text;
  for (const HostPort& e : endpoints_) {
    text += (text.empty() ? "" : ", ") + e.to_string();
    if (const auto it = failures_.find(e); it != failures_.end() && !knows(e)) text += " (" + it->second + ")";
  }
  return text;
}

}  // namespace hawser::client
