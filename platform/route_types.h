// Routes and policy rules as plain values, exact enough to remove precisely what was added and nothing else.
#pragma once

#include <optional>
#include <string>

#include "common/net.h"
#include "common/result.h"

namespace hawser {

inline constexpr uint32_t kMainTable = 254;
// The tables that all profiles of Hawser take theirs from; far from the small numbers of people and from wg-quick's
// 51820.
inline constexpr uint32_t kFirstTable = 18'500;
inline constexpr uint32_t kTableCount = 1'000;
constexpr bool is_own_table(uint32_t table) {
  return table >= kFirstTable && table < kFirstTable + kTableCount;
}

// The preferences that all profiles of Hawser take theirs from.
inline constexpr uint32_t kFirstPreference = 5'000;
inline constexpr uint32_t kLastPreference = 5'399;
constexpr bool is_own_preference(uint32_t preference) {
  return preference >= kFirstPreference && preference <= kLastPreference;
}

struct Route {
  enum class Type : uint8_t { unicast, unreachable, throw_ };  // throw_: "look on in the next rule"
  IpAddress::Family family = IpAddress::Family::v4;
  Type type = Type::unicast;
  IpPrefix destination;   // unset address: the default route
  std::string interface;  // empty for unreachable and throw
  IpAddress gateway;      // unset: on-link
  IpAddress source;       // preferred source, may be unset
  uint32_t table = kMainTable;
  uint32_t metric = 0;  // 0: the kernel's default

  // "ip -4 route add default via 192.168.1.1 dev wlan0 onlink table 51001"; `verb` is add or del.
  std::string to_command(const char* verb = "add") const;
  bool operator==(const Route&) const = default;
};

struct Rule {
  IpAddress::Family family = IpAddress::Family::v4;
  uint32_t preference = 0;
  std::optional<IpPrefix> from, to;
  std::string oif;    // empty: any
  uint32_t mark = 0;  // of sockets (SO_MARK), 0: any
  uint32_t table = kMainTable;
  std::optional<uint32_t> suppress_prefix;  // suppress_prefixlength

  std::string to_command(const char* verb = "add") const;
  bool operator==(const Rule&) const = default;
};

// What a change did; "already" (it was there, so it is not ours) and "gone" are no errors.
enum class Outcome : uint8_t { done, already_there, already_gone };

Result<Outcome> add_route(const Route& route);
Result<Outcome> delete_route(const Route& route);
Result<Outcome> add_rule(const Rule& rule);
Result<Outcome> delete_rule(const Rule& rule);

}  // namespace hawser
