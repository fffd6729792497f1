// IP addresses, UDP addresses and prefixes as plain values, without any header of the operating system.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "common/types.h"

namespace hawser {

// An IPv4 or IPv6 address. IPv4 uses the first four bytes; the rest stay zero, so that equality is bytewise.
struct IpAddress {
  enum class Family : uint8_t { none = 0, v4 = 4, v6 = 6 };

  Family family = Family::none;
  std::array<uint8_t, 16> bytes{};

  static IpAddress v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
  static IpAddress v4(ByteSpan four_bytes);
  static IpAddress v6(ByteSpan sixteen_bytes);
  // "10.9.0.1" or "fd00::1" (no scope, no brackets).
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const { return family == Family::v4; }
  bool is_v6() const { return family == Family::v6; }
  bool is_set() const { return family != Family::none; }
  ByteSpan octets() const { return {bytes.data(), is_v4() ? size_t{4} : is_v6() ? size_t{16} : size_t{0}}; }
  bool is_link_local() const;
  bool is_loopback() const;
  bool is_multicast() const;
  // RFC 1918, RFC 6598, RFC 4193, link-local or loopback: not reachable from the Internet.
  bool is_private() const;
  std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;
};

// An address and a UDP port; `scope` is an interface index (link-local IPv6, and the server's "arrived on").
struct SocketAddress {
  IpAddress ip;
  uint16_t port = 0;
  uint32_t scope = 0;

  // "203.0.113.7:443" or "[2a03:b0c0:1::7]:443".
  static std::optional<SocketAddress> parse(std::string_view text);
  std::string to_string() const;

  bool is_set() const { return ip.is_set(); }
  auto operator<=>(const SocketAddress&) const = default;
};

// An address block, "10.9.0.0/16".
struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;

  // "10.9.0.0/16"; a bare address is a full-length prefix. Host bits must be zero when `strict`.
  static std::optional<IpPrefix> parse(std::string_view text, bool strict = false);
  std::string to_string() const;
  bool contains(const IpAddress& a) const;
  IpAddress masked() const;
  // The `n`th address of the block (0 = the network address itself).
  IpAddress nth(uint64_t n) const;

  auto operator<=>(const IpPrefix&) const = default;
};

// What a datagram travels by: the platform's socket, our address (port may be 0), the peer's address.
struct UdpTuple {
  LinkId link;
  SocketAddress local;
  SocketAddress remote;
  bool operator==(const UdpTuple&) const = default;
};

}  // namespace hawser

template <>
struct std::hash<hawser::IpAddress> {
  size_t operator()(const hawser::IpAddress& a) const noexcept {
    uint64_t h = 0x9e3779b97f4a7c15ull ^ static_cast<uint64_t>(a.family);
    for (uint8_t b : a.bytes) h = (h ^ b) * 0x100000001b3ull;
    return static_cast<size_t>(h);
  }
};
template <>
struct std::hash<hawser::SocketAddress> {
  size_t operator()(const hawser::SocketAddress& a) const noexcept {
    return std::hash<hawser::IpAddress>{}(a.ip) * 31 + a.port;
  }
};
