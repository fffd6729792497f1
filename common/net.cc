// Parsing and printing of addresses, by hand: the engine includes no header of the operating system.
#include "common/net.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace hawser {
namespace {

std::optional<unsigned> parse_number(std::string_view text, unsigned max, int base = 10) {
  unsigned value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

std::optional<IpAddress> parse_v4(std::string_view text) {
  IpAddress a;
  a.family = IpAddress::Family::v4;
  for (int i = 0; i < 4; ++i) {
    size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (i == 3)) return std::nullopt;
    std::string_view part = text.substr(0, dot);
    if (part.size() > 1 && part[0] == '0') return std::nullopt;  // "010" is octal to some readers: refuse
    auto n = parse_number(part, 255);
    if (!n) return std::nullopt;
    a.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(*n);
    if (i < 3) text.remove_prefix(dot + 1);
  }
  return a;
}

// Groups of one side of "::"; a trailing dotted quad counts as two groups.
bool parse_groups(std::string_view text, std::array<uint16_t, 8>& out, size_t& count) {
  count = 0;
  if (text.empty()) return true;
  while (true) {
    size_t colon = text.find(':');
    std::string_view part = text.substr(0, colon);
    if (colon == std::string_view::npos && part.find('.') != std::string_view::npos) {
      auto quad = parse_v4(part);
      if (!quad || count > 6) return false;
      out[count++] = static_cast<uint16_t>(quad->bytes[0] << 8 | quad->bytes[1]);
      out[count++] = static_cast<uint16_t>(quad->bytes[2] << 8 | quad->bytes[3]);
      return true;
    }
    auto n = part.size() <= 4 ? parse_number(part, 0xffff, 16) : std::nullopt;
    if (!n || count > 7) return false;
    out[count++] = static_cast<uint16_t>(*n);
    if (colon == std::string_view::npos) return true;
    text.remove_prefix(colon + 1);
  }
}

std::optional<IpAddress> parse_v6(std::string_view text) {
  std::array<uint16_t, 8> head{}, tail{};
  size_t heads = 0, tails = 0;
  size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (!parse_groups(text, head, heads) || heads != 8) return std::nullopt;
  } else {
    if (!parse_groups(text.substr(0, gap), head, heads)) return std::nullopt;
    if (!parse_groups(text.substr(gap + 2), tail, tails)) return std::nullopt;
    if (heads + tails > 7) return std::nullopt;
    std::copy_n(tail.begin(), tails, head.begin() + static_cast<ptrdiff_t>(8 - tails));
  }
  IpAddress a;
  a.family = IpAddress::Family::v6;
  for (size_t i = 0; i < 8; ++i) {
    a.bytes[2 * i] = static_cast<uint8_t>(head[i] >> 8);
    a.bytes[2 * i + 1] = static_cast<uint8_t>(head[i] & 0xff);
  }
  return a;
}

bool matches(const IpAddress& a, std::string_view prefix) { return IpPrefix::parse(prefix)->contains(a); }

}  // namespace

IpAddress IpAddress::v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  const uint8_t q[4] = {a, b, c, d};
  return v4(ByteSpan{q});
}

IpAddress IpAddress::v4(ByteSpan b) {
  IpAddress r;
  r.family = Family::v4;
  std::copy_n(b.begin(), 4, r.bytes.begin());
  return r;
}

IpAddress IpAddress::v6(ByteSpan b) {
  IpAddress r;
  r.family = Family::v6;
  std::copy_n(b.begin(), 16, r.bytes.begin());
  return r;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  return text.find(':') == std::string_view::npos ? parse_v4(text) : parse_v6(text);
}

bool IpAddress::is_link_local() const {
  return is_v4() ? bytes[0] == 169 && bytes[1] == 254 : is_v6() && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes[0] == 127;
  return is_v6() && bytes[15] == 1 && std::all_of(bytes.begin(), bytes.begin() + 15, [](uint8_t b) { return b == 0; });
}

bool IpAddress::is_multicast() const {
  return is_v4() ? (bytes[0] & 0xf0) == 0xe0 : is_v6() && bytes[0] == 0xff;
}

bool IpAddress::is_private() const {
  if (is_link_local() || is_loopback()) return true;
  if (is_v4()) {
    return matches(*this, "10.0.0.0/8") || matches(*this, "172.16.0.0/12") || matches(*this, "192.168.0.0/16") ||
           matches(*this, "100.64.0.0/10");
  }
  return is_v6() && (bytes[0] & 0xfe) == 0xfc;
}

std::string IpAddress::to_string() const {
  char buf[48];
  if (is_v4()) {
    std::snprintf(buf, sizeof buf, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
    return buf;
  }
  if (!is_v6()) return "(none)";
  // RFC 5952: lower case, the longest run of two or more zero groups becomes "::", the first one on a tie.
  std::array<unsigned, 8> g{};
  for (size_t i = 0; i < 8; ++i) g[i] = static_cast<unsigned>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  size_t best = 8, best_len = 1;
  for (size_t i = 0; i < 8;) {
    size_t j = i;
    while (j < 8 && g[j] == 0) ++j;
    if (j - i > best_len) best = i, best_len = j - i;
    i = j == i ? i + 1 : j;
  }
  std::string out;
  for (size_t i = 0; i < 8; ++i) {
    if (i == best) {
      out += "::";
      i += best_len - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    std::snprintf(buf, sizeof buf, "%x", g[i]);
    out += buf;
  }
  return out;
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto port = parse_number(text.substr(colon + 1), 65535);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto ip = IpAddress::parse(host);
  if (!port || !ip || ip->is_v6() != bracketed) return std::nullopt;
  return SocketAddress{*ip, static_cast<uint16_t>(*port), 0};
}

std::string SocketAddress::to_string() const {
  std::string host = ip.is_v6() ? "[" + ip.to_string() + "]" : ip.to_string();
  return host + ":" + std::to_string(port);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text, bool strict) {
  size_t slash = text.find('/');
  auto ip = IpAddress::parse(text.substr(0, slash));
  if (!ip) return std::nullopt;
  const unsigned full = ip->is_v4() ? 32 : 128;
  unsigned length = full;
  if (slash != std::string_view::npos) {
    auto n = parse_number(text.substr(slash + 1), full);
    if (!n) return std::nullopt;
    length = *n;
  }
  IpPrefix p{*ip, static_cast<uint8_t>(length)};
  if (strict && p.masked() != p.address) return std::nullopt;
  return p;
}

std::string IpPrefix::to_string() const { return address.to_string() + "/" + std::to_string(length); }

IpAddress IpPrefix::masked() const {
  IpAddress a = address;
  for (size_t i = 0; i < 16; ++i) {
    const int keep = std::clamp(static_cast<int>(length) - static_cast<int>(8 * i), 0, 8);
    a.bytes[i] = static_cast<uint8_t>(a.bytes[i] & (0xff00 >> keep));
  }
  return a;
}

bool IpPrefix::contains(const IpAddress& a) const {
  return a.family == address.family && IpPrefix{a, length}.masked() == masked();
}

IpAddress IpPrefix::nth(uint64_t n) const {
  IpAddress a = masked();
  for (size_t i = a.octets().size(); i-- > 0 && n > 0;) {
    const uint64_t sum = a.bytes[i] + (n & 0xff);
    a.bytes[i] = static_cast<uint8_t>(sum);
    n = (n >> 8) + (sum >> 8);
  }
  return a;
}

}  // namespace hawser
