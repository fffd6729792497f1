// A server endpoint as people write it: an IP literal or a host name, and a port. Names are resolved by the programs,
// not here.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "common/net.h"
#include "common/result.h"

namespace hawser {

inline constexpr uint16_t kDefaultPort = 443;

struct HostPort {
  std::string host;  // "203.0.113.7", "2a03:b0c0:1::7" (no brackets), "vpn.example.org"
  uint16_t port = kDefaultPort;

  // "203.0.113.7:443", "[2a03:b0c0:1::7]:443", "vpn.example.org"; without a port `default_port`, or an error when that
  // is 0. The message tells what is wrong but not where: the caller puts file, line or option before it.
  static Result<HostPort> parse(std::string_view text, uint16_t default_port = kDefaultPort);
  // With brackets where IPv6 needs them; always with the port.
  std::string to_string() const;
  // The address when the host is a literal; nothing when it is a name.
  std::optional<SocketAddress> literal() const;

  auto operator<=>(const HostPort&) const = default;
};

// Letters, digits, '-', '_' and '.' in labels of 1..63, at most 253 in all; not an IP literal.
bool is_host_name(std::string_view text);

}  // namespace hawser
