// An interface with IPv6 only reaches a server that is known by IPv4 through the network's translator: its prefix is
// found by asking DNS for ipv4only.arpa (RFC 7050), and the server's address is put into it (RFC 6052). Where DNS names none
// the well-known prefix is tried: a wrong guess costs a few datagrams, for who answers must prove to be the server.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "common/net.h"
#include "platform/log.h"
#include "platform/loop.h"
#include "platform/resolve.h"

namespace hawser::client {

// A network has one translator's prefix, or two while it changes it. More would be sockets and handshakes at the wish of whoever
// answers DNS: a single answer has room for 2000.
inline constexpr size_t kMaxNat64Prefixes = 2;

// The prefixes in the answers to ipv4only.arpa, each once, the first kMaxNat64Prefixes; its real addresses are no news.
std::vector<IpPrefix> nat64_prefixes(std::span<const IpAddress> answers);
// `v4` as the translator of `prefix` knows it (32, 40, 48, 56, 64 or 96 bits); else nothing.
std::optional<IpAddress> nat64_address(const IpPrefix& prefix, const IpAddress& v4);
// All of `endpoints`, then the IPv4 ones as translators know them: all by the first prefix, then by the next, until there are
// `most`.
std::vector<SocketAddress> with_translated(std::span<const SocketAddress> endpoints, std::span<const IpPrefix> prefixes,
                                           size_t most);

class Nat64 {
 public:
  // `callback` when the prefixes changed. Both outlive this.
  Nat64(EventLoop& loop, Log& log, std::function<void()> callback);

  // Asks DNS, by `interfaces` and as the machine asks, soon again while there is no answer (a resolver comes a little later than
  // an address), and once more on every other network.
  void look(std::vector<std::string> interfaces);
  // Nobody needs it now.
  void rest();
  // Another network may have another translator; what is known stays until DNS names it.
  void network_changed();
  bool guessing() const { return prefixes_.empty(); }
  // What DNS named last, and the guess while it has not named this network's.
  std::vector<IpPrefix> prefixes() const;

 private:
  static constexpr Duration kFirst = Duration::millis(500);
  static constexpr Duration kMost = Duration::seconds(300);

  void ask();
  void ask(const std::string& interface);
  void answered(const std::string& interface, const Result<std::vector<IpAddress>>& addresses);

  EventLoop& loop_;
  Log& log_;
  std::function<void()> callback_;
  std::map<std::string, std::unique_ptr<Resolution>> running_;  // by interface; empty: as the system asks
  std::set<std::string> waiting_;                               // those that have not answered yet
  std::vector<std::string> interfaces_;
  bool settled_ = false;  // DNS has named this network's translator
  EventLoop::Timer timer_;
  Duration interval_ = kFirst;
  std::vector<IpPrefix> prefixes_;
};

}  // namespace hawser::client
