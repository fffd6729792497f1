// Our nftables tables as text, and running nft.
#include "platform/nft.h"

#include <algorithm>

#include "platform/process.h"

namespace hawser {
namespace {

// Only what an interface's name may hold reaches the ruleset: a quote or a line break in a name must not become rules.
std::string plain(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const bool fine =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    text += fine ? c : '_';
  }
  return text;
}

// "hawser-srv" -> "hawser_srv"; "wan0" -> "hawser_wan0".
std::string table_name(const std::string& interface) {
  std::string name = plain(interface);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name.rfind("hawser", 0) == 0 ? name : "hawser_" + name;
}

// An empty table first, so that the deletion in the same transaction cannot fail; then the new content. All or nothing.
std::string transaction(const std::string& name, const std::string& body) {
  const std::string table = "table inet " + name;
  return table + " {}\ndelete " + table + "\n" + table + " {\n" + body + "}\n";
}

// Somebody on the local network could send packets to the tunnel's address past the tunnel (CVE-2019-14899).
std::string guard_addresses(const std::string& interface, const std::vector<IpAddress>& addresses) {
  std::string rules;
  for (const IpAddress& address : addresses) {
    rules += "    iifname != \"" + interface + "\" " + (address.is_v6() ? "ip6" : "ip") + " daddr " +
             address.to_string() + " fib saddr type != local drop\n";
  }
  return rules;
}

std::string port_set(const std::vector<uint16_t>& ports) {
  std::string text = "{ ";
  for (size_t i = 0; i < ports.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(ports[i]);
  return text + " }";
}

}  // namespace

NftTable server_table(const ServerFirewall& firewall) {
  const std::string tun = plain(firewall.interface);
  const std::string in = "iifname \"" + tun + "\" ";
  const std::string out = "oifname != \"" + tun + "\" ";
  const bool has4 = firewall.ipv4.address.is_set(), has6 = firewall.ipv6.address.is_set();

  std::string body = "  chain prerouting {\n    type filter hook prerouting priority raw; policy accept;\n";
  body += guard_addresses(tun, firewall.tunnel_addresses);
  if (has4) body += "    " + in + "ip saddr != " + firewall.ipv4.to_string() + " drop\n";
  if (has6) body += "    " + in + "ip6 saddr != " + firewall.ipv6.to_string() + " drop\n";
  if (!firewall.listen_ports.empty()) {
    // Not tracked, so that no translated flow of a user can take our own port over. Only what is meant for this
    // machine and does not come out of the tunnel: users' packets to port 443 elsewhere must be translated.
    body += "    iifname != \"" + tun + "\" udp dport " + port_set(firewall.listen_ports) +
            " fib daddr type local notrack\n";
    body += "  }\n  chain output {\n    type filter hook output priority raw; policy accept;\n";
    body += "    " + out + "udp sport " + port_set(firewall.listen_ports) + " notrack\n";
  }
  body += "  }\n  chain forward {\n    type filter hook forward priority filter; policy accept;\n";
  // The cloud's metadata service gives secrets to whoever asks from this machine.
  body += "    " + in + "ip daddr 169.254.0.0/16 drop\n    " + in + "ip6 daddr fe80::/10 drop\n";
  if (!firewall.client_to_client) body += "    " + in + "oifname \"" + tun + "\" drop\n";
  body += "  }\n";
  if (firewall.nat && (has4 || has6)) {
    body += "  chain postrouting {\n    type nat hook postrouting priority srcnat; policy accept;\n";
    if (has4) body += "    " + out + "ip saddr " + firewall.ipv4.to_string() + " masquerade\n";
    if (has6) body += "    " + out + "ip6 saddr " + firewall.ipv6.to_string() + " masquerade\n";
    body += "  }\n";
  }
  const std::string name = table_name(firewall.interface);
  return {"inet", name, transaction(name, body)};
}

NftTable client_table(const std::string& interface, const std::vector<IpAddress>& tunnel_addresses) {
  std::string body = "  chain prerouting {\n    type filter hook prerouting priority raw; policy accept;\n";
  body += guard_addresses(plain(interface), tunnel_addresses) + "  }\n";
  const std::string name = table_name(interface);
  return {"inet", name, transaction(name, body)};
}

Status run_nft(const std::string& ruleset) {
  const Result<ProgramResult> run = run_program({"nft", "-f", "-"}, ruleset);
  if (!run) {
    return Error{ExitCode::system_integration,
                 "there is no nft program, which the firewall needs. Install it with: "
                 "apt-get install -y --no-install-recommends nftables"};
  }
  if (run->exit_status == 0) return Done{};
  const bool permission = run->errors.find("Operation not permitted") != std::string::npos ||
                          run->errors.find("must be root") != std::string::npos;
  return Error{permission ? ExitCode::permission : ExitCode::system_integration,
               "nft refused our firewall table: " + run->errors.substr(0, 2000) +
                   (permission ? "This needs root (CAP_NET_ADMIN): run it with sudo" : "")};
}

Status delete_nft_table(const std::string& family, const std::string& name) {
  const std::string table = "table " + family + " " + name;
  return run_nft(table + " {}\ndelete " + table + "\n");
}

std::vector<std::string> forward_drop_chains() {
  std::vector<std::string> names;
  const Result<ProgramResult> run = run_program({"nft", "list", "chains"});
  if (!run || run->exit_status != 0) return names;
  std::string table, chain;
  for (size_t begin = 0; begin < run->output.size();) {
    const size_t end = std::min(run->output.find('\n', begin), run->output.size());
    const std::string line = run->output.substr(begin, end - begin);
    begin = end + 1;
    if (line.rfind("table ", 0) == 0) table = line.substr(6, line.find(" {") - 6);
    const size_t at = line.find("chain ");
    if (at != std::string::npos) chain = line.substr(at + 6, line.find(" {") - at - 6);
    if (line.find("hook forward") != std::string::npos && line.find("policy drop") != std::string::npos) {
      names.push_back(table + " " + chain);
    }
  }
  return names;
}

}  // namespace hawser
