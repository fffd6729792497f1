// The list of the server's addresses.
#include "client/server_addresses.h"

#include <algorithm>

#include "platform/files.h"

namespace hawser::client {

ServerAddresses::ServerAddresses(EventLoop& loop, Log& log, std::vector<HostPort> endpoints,
                                 std::string remembered_file, std::function<std::vector<std::string>()> interfaces,
                                 Callback callback)
    : loop_(loop),
      log_(log),
      endpoints_(std::move(endpoints)),
      remembered_file_(std::move(remembered_file)),
      interfaces_(std::move(interfaces)),
      callback_(std::move(callback)) {}

void ServerAddresses::start() {
  load_remembered();
  publish();
  resolve_again();
}

void ServerAddresses::resolve_again() {
  for (const HostPort& e : endpoints_) {
    if (e.literal()) continue;
    ask(e, Source::system);
    ask(e, Source::interfaces);
  }
}

void ServerAddresses::ask(const HostPort& name, Source source) {
  const Question question{name, source};
  if (waiting_.contains(question)) return;
  const std::vector<std::string> by = source == Source::interfaces ? interfaces_() : std::vector<std::string>();
  if (source == Source::interfaces && by.empty()) return;
  const auto answered = [this, question](Result<std::vector<IpAddress>> addresses) { resolved(question, addresses); };
  auto resolution = source == Source::system ? Resolution::start(loop_, name.host, answered)
                                             : Resolution::start_by(loop_, name.host, by, answered);
  if (resolution) {
    running_[question] = std::move(*resolution);
    waiting_.insert(question);
  } else {
    failures_[name] = resolution.error().message;
  }
}

void ServerAddresses::resolved(const Question& question, const Result<std::vector<IpAddress>>& addresses) {
  const auto& [name, source] = question;
  waiting_.erase(question);  // the handle itself stays: this is its callback
  if (!addresses) {          // what was known before is still worth trying
    if (source == Source::interfaces) return log_.debug(addresses.error().message);
    if (failures_[name] != addresses.error().message) log_.warning(addresses.error().message);
    failures_[name] = addresses.error().message;
    return;
  }
  failures_.erase(name);
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
  std::vector<SocketAddress> all;
  const auto add = [&](const SocketAddress& a) {
    if (a.ip.is_set() && a.port != 0 && !a.ip.is_multicast() && std::ranges::find(all, a) == all.end())
      all.push_back(a);
  };
  for (const HostPort& e : endpoints_) {
    if (const auto literal = e.literal()) {
      add(*literal);
      continue;
    }
    // By the interfaces first: the system's answer may be the one that it remembers.
    for (const Source source : {Source::interfaces, Source::system}) {
      if (const auto it = known_.find({e, source}); it != known_.end()) std::ranges::for_each(it->second, add);
    }
  }
  for (const SocketAddress& a : announced_) add(a);
  if (all == published_) return;
  published_ = all;
  callback_(all);
}

std::string ServerAddresses::in_words() const {
  std::string text;
  for (const HostPort& e : endpoints_) {
    text += (text.empty() ? "" : ", ") + e.to_string();
    if (const auto it = failures_.find(e); it != failures_.end()) text += " (" + it->second + ")";
  }
  return text;
}

}  // namespace hawser::client
