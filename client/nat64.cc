// Finding the translator's prefix, and addresses in it.
#include "client/nat64.h"

#include <algorithm>
#include <array>

#include "platform/clock.h"

namespace hawser::client {
namespace {

constexpr std::array<uint8_t, 6> kLengths = {96, 64, 56, 48, 40, 32};
constexpr size_t kReserved = 8;  // RFC 6052, 2.2: this byte is always zero, the address goes around it

// Where the four bytes of the IPv4 address are.
std::array<size_t, 4> places(uint8_t length) {
  std::array<size_t, 4> at{};
  size_t next = length / 8u;
  for (size_t& place : at) {
    if (next == kReserved) ++next;
    place = next++;
  }
  return at;
}

}  // namespace

std::optional<IpAddress> nat64_address(const IpPrefix& prefix, const IpAddress& v4) {
  const bool known = std::find(kLengths.begin(), kLengths.end(), prefix.length) != kLengths.end();
  if (!known || !prefix.address.is_v6() || !v4.is_v4()) return std::nullopt;
  IpAddress address = prefix.masked();
  const auto at = places(prefix.length);
  for (size_t i = 0; i < at.size(); ++i) address.bytes[at[i]] = v4.bytes[i];
  return address;
}

std::vector<IpPrefix> nat64_prefixes(std::span<const IpAddress> answers) {
  std::vector<IpPrefix> found;
  for (const IpAddress& a : answers) {
    if (found.size() == kMaxNat64Prefixes) break;
    if (!a.is_v6()) continue;
    for (const uint8_t length : kLengths) {
      const auto at = places(length);
      const IpAddress inside = IpAddress::v4(a.bytes[at[0]], a.bytes[at[1]], a.bytes[at[2]], a.bytes[at[3]]);
      if (inside != IpAddress::v4(192, 0, 0, 170) && inside != IpAddress::v4(192, 0, 0, 171)) continue;
      if (length != 96 && a.bytes[kReserved] != 0) continue;
      const IpPrefix prefix{IpPrefix{a, length}.masked(), length};
      if (std::find(found.begin(), found.end(), prefix) == found.end()) found.push_back(prefix);
      break;
    }
  }
  return found;
}

std::vector<SocketAddress> with_translated(std::span<const SocketAddress> endpoints, std::span<const IpPrefix> prefixes,
                                           size_t most) {
  std::vector<SocketAddress> all(endpoints.begin(), endpoints.end());
  for (const IpPrefix& prefix : prefixes) {
    for (const SocketAddress& e : endpoints) {
      if (all.size() >= most) return all;
      if (const auto translated = nat64_address(prefix, e.ip)) all.push_back({*translated, e.port, 0});
    }
  }
  return all;
}

Nat64::Nat64(EventLoop& loop, Log& log, std::function<void()> callback)
    : loop_(loop), log_(log), callback_(std::move(callback)), timer_(loop.make_timer([this] { ask(); })) {}

std::vector<IpPrefix> Nat64::prefixes() const {
  std::vector<IpPrefix> all = prefixes_;
  const IpPrefix well_known{*IpAddress::parse("64:ff9b::"), 96};
  if (!settled_ && std::find(all.begin(), all.end(), well_known) == all.end()) all.push_back(well_known);
  return all;
}

void Nat64::network_changed() {
  interval_ = kFirst;
  settled_ = false;
  timer_.cancel();
  // What was asked before is answered by the network before.
  running_.clear();
  waiting_.clear();
}

void Nat64::look(std::vector<std::string> interfaces) {
  interfaces_ = std::move(interfaces);
  if (!settled_ && !timer_.armed()) timer_.set_deadline(now());
}

void Nat64::rest() {
  timer_.cancel();
}

void Nat64::ask() {
  for (const std::string& interface : interfaces_) ask(interface);
  ask("");
  timer_.set_deadline(now() + interval_);
  interval_ = std::min(interval_ * 2, kMost);
}

void Nat64::ask(const std::string& interface) {
  if (waiting_.contains(interface)) return;
  const auto told = [this, interface](const Result<std::vector<IpAddress>>& a) { answered(interface, a); };
  auto resolution = interface.empty() ? Resolution::start(loop_, "ipv4only.arpa", told)
                                      : Resolution::start_by(loop_, "ipv4only.arpa", interface, told);
  if (!resolution) return;
  running_[interface] = std::move(*resolution);  // the one before has answered
  waiting_.insert(interface);
}

void Nat64::answered(const std::string& interface, const Result<std::vector<IpAddress>>& addresses) {
  waiting_.erase(interface);
  if (!addresses) return;
  std::vector<IpPrefix> found = nat64_prefixes(*addresses);
  // As the system asks the answer may have come through the tunnel: it may know no translator, or another network's.
  if (found.empty() || (settled_ && interface.empty())) return;
  const std::vector<IpPrefix> before = prefixes();
  settled_ = true;
  timer_.cancel();
  prefixes_ = std::move(found);
  if (prefixes_ == before) return;
  for (const IpPrefix& p : prefixes_) log_.info("this network translates IPv4 (NAT64) by " + p.to_string());
  callback_();
}

}  // namespace hawser::client
