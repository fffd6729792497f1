// hawser-rawudp: the stranger of the end-to-end tests. Records a client's datagrams from an interface and sends datagrams
// of its own making to a server: noise, recorded ones again, cut short, with one bit flipped in each byte, or of another
// version. Prints what it sent and how many answers came; nothing on the server's side should ever answer.
//
//   hawser-rawudp record --interface link1 --port 443 --seconds 2 --out FILE
//   hawser-rawudp noise  --to 198.51.100.1 --port 443 --count 2000 --seed 7
//   hawser-rawudp hold --port 443                 takes the port, so that nobody else can
//   hawser-rawudp talk --path SOCKET               says its stdin to a unix socket and prints the answer
//   hawser-rawudp resend|flip|cut|version --to 198.51.100.1 --port 443 --in FILE [--type 1] [--limit N]
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace {

using Bytes = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// ---- recording: one datagram a line, in hex -------------------------------------------------------------------------

// The UDP payload of an outgoing frame to `port`, or nothing.
Bytes udp_payload_to(const uint8_t* packet, size_t size, uint16_t port) {
  size_t offset = 0;
  if (size >= sizeof(iphdr) && packet[0] >> 4 == 4) {
    if (packet[9] != IPPROTO_UDP) return {};
    offset = static_cast<size_t>(packet[0] & 15) * 4;
  } else if (size >= sizeof(ip6_hdr) && packet[0] >> 4 == 6) {
    if (packet[6] != IPPROTO_UDP) return {};
    offset = sizeof(ip6_hdr);
  } else {
    return {};
  }
  if (size < offset + 8) return {};
  const uint16_t to = static_cast<uint16_t>(packet[offset + 2] << 8 | packet[offset + 3]);
  const size_t length = static_cast<size_t>(packet[offset + 4] << 8 | packet[offset + 5]);
  if (to != port || length < 8 || size < offset + length) return {};
  return {packet + offset + 8, packet + offset + length};
}

int record(const std::string& interface, uint16_t port, double seconds, const std::string& out) {
  const int fd = socket(AF_PACKET, SOCK_DGRAM, htons(0x0003 /* every protocol */));
  if (fd < 0) die("AF_PACKET");
  sockaddr_ll where{};
  where.sll_family = AF_PACKET;
  where.sll_protocol = htons(0x0003);
  where.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (bind(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) die(interface.c_str());

  std::ofstream file(out);
  size_t count = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  std::vector<uint8_t> frame(65536);
  while (Clock::now() < end) {
    pollfd p{fd, POLLIN, 0};
    if (poll(&p, 1, 50) <= 0) continue;
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(fd, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got <= 0 || from.sll_pkttype != PACKET_OUTGOING) continue;
    const Bytes payload = udp_payload_to(frame.data(), static_cast<size_t>(got), port);
    if (payload.empty()) continue;
    ++count;
    for (uint8_t b : payload) {
      char hex[3];
      std::snprintf(hex, sizeof hex, "%02x", b);
      file << hex;
    }
    file << '\n';
  }
  close(fd);
  std::printf("recorded=%zu\n", count);
  return count > 0 ? 0 : 1;
}

// Datagrams of a file whose first byte is `type` (0: all), at most `limit` (0: all).
std::vector<Bytes> load(const std::string& in, unsigned type, size_t limit) {
  std::vector<Bytes> datagrams;
  std::ifstream file(in);
  for (std::string line; std::getline(file, line);) {
    Bytes bytes;
    for (size_t i = 0; i + 1 < line.size(); i += 2) bytes.push_back(static_cast<uint8_t>(std::stoul(line.substr(i, 2), nullptr, 16)));
    if (bytes.empty() || (type != 0 && bytes[0] != type)) continue;
    if (limit == 0 || datagrams.size() < limit) datagrams.push_back(std::move(bytes));
  }
  return datagrams;
}

int hold(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) != 0) die("bind");
  std::puts("holding");
  std::fflush(stdout);
  pause();
  return 0;
}

int talk(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof where.sun_path - 1);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) die("connect");
  char buffer[4096];
  for (ssize_t got; (got = read(0, buffer, sizeof buffer)) > 0;) {
    // The other end may well have had enough of it.
    if (::send(fd, buffer, static_cast<size_t>(got), MSG_NOSIGNAL) < 0) break;
  }
  shutdown(fd, SHUT_WR);
  for (pollfd p{fd, POLLIN, 0}; poll(&p, 1, 1000) > 0;) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got <= 0) break;
    std::fwrite(buffer, 1, static_cast<size_t>(got), stdout);
  }
  close(fd);
  return 0;
}

// ---- sending --------------------------------------------------------------------------------------------------------

class Stranger {
 public:
  Stranger(const std::string& to, uint16_t port) {
    sockaddr_storage address{};
    socklen_t length = 0;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
    if (inet_pton(AF_INET, to.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      length = sizeof *v4;
    } else if (inet_pton(AF_INET6, to.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(port);
      length = sizeof *v6;
    } else {
      std::fprintf(stderr, "not an address: %s\n", to.c_str());
      std::exit(2);
    }
    fd_ = socket(address.ss_family, SOCK_DGRAM, 0);
    if (fd_ < 0 || connect(fd_, reinterpret_cast<sockaddr*>(&address), length) != 0) die("connect");
  }
  ~Stranger() { close(fd_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  void send(const Bytes& bytes) {
    // A closed port would answer by ICMP, which shows as an error here: that too would be an answer.
    if (::send(fd_, bytes.data(), bytes.size(), 0) < 0) ++errors_;
    else ++sent_;
    // Well below what the server's socket buffer holds, so that everything sent is also looked at.
    if (++pause_ % 20 == 0) usleep(2000);
    listen(0);
  }
  void listen(int milliseconds) {
    const auto end = Clock::now() + std::chrono::milliseconds(milliseconds);
    do {
      pollfd p{fd_, POLLIN, 0};
      if (poll(&p, 1, milliseconds > 0 ? 20 : 0) <= 0) continue;
      uint8_t buffer[65536];
      const ssize_t got = recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got >= 0) {
        ++answers_;
        longest_ = std::max(longest_, static_cast<size_t>(got));
      } else {
        ++errors_;
      }
    } while (Clock::now() < end);
  }
  int report() const {
    std::printf("sent=%zu answers=%zu longest=%zu errors=%zu\n", sent_, answers_, longest_, errors_);
    return 0;
  }

 private:
  int fd_ = -1;
  size_t sent_ = 0, answers_ = 0, longest_ = 0, errors_ = 0, pause_ = 0;
};

Bytes noise(std::mt19937_64& random) {
  Bytes bytes(random() % 1472);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
  // Most of it looks like ours at first sight, so that it gets further than the first byte.
  if (!bytes.empty() && random() % 4 != 0) bytes[0] = static_cast<uint8_t>(1 + random() % 4);
  if (bytes.size() > 4 && bytes[0] == 2 && random() % 2 == 0) {
    bytes.resize(1200);
    bytes[1] = 1;
    bytes[2] = bytes[3] = 0;
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  std::string interface, out, in, to;
  uint16_t port = 443;
  double seconds = 2;
  size_t count = 1000, limit = 0;
  uint64_t seed = 1;
  unsigned type = 0;

  CLI::App app{"Records datagrams and sends bad ones; for the end-to-end tests"};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--interface", interface);
  app.add_option("--out", out);
  app.add_option("--in", in);
  app.add_option("--to", to);
  app.add_option("--port", port);
  app.add_option("--seconds", seconds);
  app.add_option("--count", count);
  app.add_option("--limit", limit);
  app.add_option("--seed", seed);
  app.add_option("--type", type);
  const CLI::App* recording = app.add_subcommand("record");
  const CLI::App* making_noise = app.add_subcommand("noise");
  const CLI::App* resending = app.add_subcommand("resend");
  const CLI::App* flipping = app.add_subcommand("flip");
  const CLI::App* cutting = app.add_subcommand("cut");
  const CLI::App* other_version = app.add_subcommand("version");
  std::string path;
  app.add_option("--path", path);
  const CLI::App* talking = app.add_subcommand("talk");
  const CLI::App* holding = app.add_subcommand("hold");
  CLI11_PARSE(app, argc, argv);

  if (recording->parsed()) return record(interface, port, seconds, out);
  if (holding->parsed()) return hold(port);
  if (talking->parsed()) return talk(path);
  Stranger stranger(to, port);
  if (making_noise->parsed()) {
    std::mt19937_64 random(seed);
    for (size_t i = 0; i < count; ++i) stranger.send(noise(random));
  }
  const std::vector<Bytes> datagrams = making_noise->parsed() ? std::vector<Bytes>{} : load(in, type, limit);
  for (const Bytes& original : datagrams) {
    if (resending->parsed()) stranger.send(original);
    for (size_t i = 0; flipping->parsed() && i < original.size(); ++i) {
      Bytes bytes = original;
      bytes[i] = static_cast<uint8_t>(bytes[i] ^ (1 << (i % 8)));
      stranger.send(bytes);
    }
    // Every length up to 80, then fewer.
    for (size_t length = 0; cutting->parsed() && length < original.size(); length += length < 80 ? 1 : 61) {
      stranger.send(Bytes(original.begin(), original.begin() + static_cast<std::ptrdiff_t>(length)));
    }
    if (other_version->parsed() && original.size() > 1) {
      for (int version : {0, 2, 255}) {
        Bytes bytes = original;
        bytes[1] = static_cast<uint8_t>(version);
        stranger.send(bytes);
      }
    }
  }
  stranger.listen(500);
  return stranger.report();
}
