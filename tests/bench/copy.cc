// hawser-copy: a bare TUN-to-UDP copy with every offload of the kernel and no engine, with or without AES-256-GCM: what
// the machine allows a tunnel at best. No protocol: nothing is repeated, ordered or authenticated beyond the tag.
//
//   hawser-copy INTERFACE LOCAL-ADDRESS PORT REMOTE-ADDRESS PORT [aes]
//
// A super-packet, virtio header included, is cut into pieces of one size that leave in one GSO send: a byte that says
// "last", the piece, the tag. IPv4 only.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "common/crypto/cipher.h"

namespace {

constexpr size_t kVnet = 10, kPiece = 1440, kTag = 16, kSuper = 65536 + kVnet;
constexpr size_t kMaxSegments = 63, kMaxBytes = 65'000;
constexpr int kReadsPerTurn = 64;

[[noreturn]] void die(const char* what) {
  perror(what);
  exit(1);
}

// The tunnel's own AES-256-GCM. One key and nonce for ever: a benchmark has no secrets.
struct Cipher {
  std::unique_ptr<hawser::PacketCipher> sealing, opening;

  explicit Cipher(bool on) {
    if (!on) return;
    hawser::SecretKey key;
    sealing = hawser::make_cipher(hawser::wire::kCipherAes256Gcm, key);
    opening = hawser::make_cipher(hawser::wire::kCipherAes256Gcm, key);
    if (!sealing) die("no AES-256-GCM");
  }
  size_t tag() const { return sealing ? kTag : 0; }
  // In place: `size` bytes of text, room for the tag behind them.
  void seal(uint8_t* at, size_t size) {
    if (sealing && !sealing->seal({at, size + kTag}, {at, size}, {}, {})) die("seal");
  }
  bool open(uint8_t* at, size_t size) { return !opening || opening->open({at, size}, {}, {}); }
};

int open_tun(const char* name) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) die(name);
  constexpr unsigned kUso = 0x20 | 0x40;
  constexpr unsigned kTso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (ioctl(fd, TUNSETOFFLOAD, kTso | kUso) != 0 && ioctl(fd, TUNSETOFFLOAD, kTso) != 0) die("TUNSETOFFLOAD");
  return fd;
}

sockaddr_in address(const char* ip, const char* port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<uint16_t>(atoi(port)));
  if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) die(ip);
  return a;
}

int open_udp(const sockaddr_in& local, const sockaddr_in& remote) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  const int size = 8 << 20, one = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) die("bind");
  if (connect(fd, reinterpret_cast<const sockaddr*>(&remote), sizeof remote) != 0) die("connect");
  if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one) != 0) die("UDP_GRO");
  return fd;
}

// Equal-sized datagrams on their way to one send.
class Batch {
 public:
  explicit Batch(int fd) : fd_(fd) { bytes_.reserve(kMaxBytes + 2048); }
  uint8_t* add(size_t size) {
    const bool short_tail = count_ != 0 && bytes_.size() % segment_ != 0;
    if (count_ != 0 && (size > segment_ || short_tail || count_ == kMaxSegments || bytes_.size() + size > kMaxBytes))
      send();
    if (count_ == 0) segment_ = size;
    ++count_;
    bytes_.resize(bytes_.size() + size);
    return bytes_.data() + bytes_.size() - size;
  }
  void send() {
    if (count_ == 0) return;
    iovec vector{bytes_.data(), bytes_.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(uint16_t))> control{};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (count_ > 1) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_UDP;
      c->cmsg_type = UDP_SEGMENT;
      c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
      const auto segment = static_cast<uint16_t>(segment_);
      memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
    [[maybe_unused]] const ssize_t n = sendmsg(fd_, &message, 0);
    bytes_.clear();
    count_ = 0;
  }

 private:
  const int fd_;
  std::vector<uint8_t> bytes_;
  size_t segment_ = 0, count_ = 0;
};

void tun_to_udp(int tun, Batch& batch, Cipher& cipher, std::vector<uint8_t>& buffer) {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t n = read(tun, buffer.data(), buffer.size());
    if (n <= 0) break;
    for (size_t at = 0, size = static_cast<size_t>(n); at < size; at += kPiece) {
      const size_t length = std::min(kPiece, size - at);
      uint8_t* out = batch.add(1 + length + cipher.tag());
      out[0] = at + length == size;
      memcpy(out + 1, buffer.data() + at, length);
      cipher.seal(out, 1 + length);
    }
  }
  batch.send();
}

// Pieces of the packet that is not complete yet.
std::vector<uint8_t> assembly;

void take_piece(int tun, Cipher& cipher, uint8_t* at, size_t size) {
  if (size <= 1 + cipher.tag() || !cipher.open(at, size)) return;
  assembly.insert(assembly.end(), at + 1, at + size - cipher.tag());
  if (at[0] == 0) return;
  [[maybe_unused]] const ssize_t n = write(tun, assembly.data(), assembly.size());
  assembly.clear();
}

void udp_to_tun(int udp, int tun, Cipher& cipher, std::vector<uint8_t>& buffer) {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    iovec vector{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t n = recvmsg(udp, &message, 0);
    if (n <= 0) return;
    size_t size = static_cast<size_t>(n), segment = size;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      int value = 0;
      if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) memcpy(&value, CMSG_DATA(c), sizeof value);
      if (value > 0) segment = static_cast<size_t>(value);
    }
    for (size_t at = 0; at < size; at += segment)
      take_piece(tun, cipher, buffer.data() + at, std::min(segment, size - at));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    fprintf(stderr, "hawser-copy INTERFACE LOCAL-ADDRESS PORT REMOTE-ADDRESS PORT [aes]\n");
    return 2;
  }
  const int tun = open_tun(argv[1]);
  const int udp = open_udp(address(argv[2], argv[3]), address(argv[4], argv[5]));
  Cipher cipher(argc > 6);
  Batch batch(udp);
  std::vector<uint8_t> buffer(kSuper);
  assembly.reserve(kSuper);
  while (true) {
    std::array<pollfd, 2> wait{{{tun, POLLIN, 0}, {udp, POLLIN, 0}}};
    if (poll(wait.data(), wait.size(), -1) < 0) die("poll");
    if (wait[0].revents != 0) tun_to_udp(tun, batch, cipher, buffer);
    if (wait[1].revents != 0) udp_to_tun(udp, tun, cipher, buffer);
  }
}
