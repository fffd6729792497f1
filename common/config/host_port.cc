// Endpoints as text: see host_port.h.
#include "common/config/host_port.h"

#include <algorithm>
#include <charconv>

#include "common/config/names.h"

namespace hawser {
namespace {

Error bad(std::string message) {
  return Error{ExitCode::configuration, std::move(message)};
}

std::optional<uint16_t> parse_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535)
    return std::nullopt;
  return static_cast<uint16_t>(port);
}

bool looks_like_v4(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

}  // namespace

bool is_host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > 253 || looks_like_v4(text)) return false;
  while (true) {
    const size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        })) {
      return false;
    }
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

Result<HostPort> HostPort::parse(std::string_view text, uint16_t default_port) {
  const std::string shown = "\"" + printable(text.substr(0, 80)) + "\"";
  std::string_view host = text, port_text;
  bool has_port = false, bracketed = false;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return bad(shown + " has no \"]\"");
    host = text.substr(1, close - 1);
    bracketed = true;
    std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return bad(shown + " has something other than \":PORT\" after \"]\"");
    has_port = !rest.empty();
    port_text = has_port ? rest.substr(1) : rest;
  } else if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    if (text.find(':', colon + 1) != std::string_view::npos) {
      // Without brackets nobody can tell where the address ends; only a bare address is clear.
      if (!IpAddress::parse(text))
        return bad(shown + " is ambiguous: put an IPv6 address in brackets, like [2001:db8::1]:443");
    } else {
      host = text.substr(0, colon);
      port_text = text.substr(colon + 1);
      has_port = true;
    }
  }
  HostPort result{std::string(host), default_port};
  const auto literal = IpAddress::parse(host);
  if (bracketed && !(literal && literal->is_v6())) return bad(shown + " has no IPv6 address in its brackets");
  if (literal) {
    result.host = literal->to_string();  // one spelling for one address
  } else if (!is_host_name(host)) {
    return bad(shown + " is neither an IP address nor a host name");
  }
  if (has_port) {
    const auto port = parse_port(port_text);
    if (!port) return bad(shown + " has no valid port (1 to 65535)");
    result.port = *port;
  } else if (default_port == 0) {
    return bad(shown + " has no port; write HOST:PORT");
  }
  return result;
}

std::string HostPort::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<SocketAddress> HostPort::literal() const {
  const auto ip = IpAddress::parse(host);
  return ip ? std::optional{SocketAddress{*ip, port, 0}} : std::nullopt;
}

}  // namespace hawser
