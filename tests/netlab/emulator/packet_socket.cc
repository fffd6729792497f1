// AF_PACKET with recvmmsg/sendmmsg. Every option that a kernel or a user namespace may refuse has a fallback.
#include "tests/netlab/emulator/packet_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

namespace hawser::netlab {
namespace {

constexpr int kReceiveBuffer = 64 << 20;

Time clock_now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return Time{now.tv_sec * 1'000'000'000 + now.tv_nsec};
}

Error system_error(const std::string& interface, const char* what) {
  return {ExitCode::system_integration, interface + ": " + what + ": " + strerror(errno)};
}

template <typename T>
bool set_option(int fd, int level, int name, T value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// One message's room for the kernel's arrival time and checksum state.
union AncillaryBuffer {
  char bytes[CMSG_SPACE(sizeof(timespec)) + CMSG_SPACE(sizeof(tpacket_auxdata))];
  cmsghdr align;
};

struct Ancillary {
  std::optional<Time> realtime;
  uint32_t status = 0;
  uint32_t bytes = 0;
};

Ancillary read_ancillary(msghdr& message) {
  Ancillary result;
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_TIMESTAMPNS) {
      timespec at{};
      memcpy(&at, CMSG_DATA(item), sizeof at);
      result.realtime = Time{at.tv_sec * 1'000'000'000 + at.tv_nsec};
    } else if (item->cmsg_level == SOL_PACKET && item->cmsg_type == PACKET_AUXDATA) {
      tpacket_auxdata aux{};
      memcpy(&aux, CMSG_DATA(item), sizeof aux);
      result.status = aux.tp_status;
      result.bytes = aux.tp_len;
    }
  }
  return result;
}

}  // namespace

Time monotonic_now() {
  return clock_now(CLOCK_MONOTONIC);
}

PacketSocket& PacketSocket::operator=(PacketSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(mtu_, other.mtu_);
  std::swap(granted_, other.granted_);
  return *this;
}

PacketSocket::~PacketSocket() {
  if (fd_ >= 0) close(fd_);
}

Result<PacketSocket> PacketSocket::open(const std::string& interface) {
  PacketSocket socket;
  // Protocol 0: nothing arrives before the socket is bound and set up.
  socket.fd_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket.fd_ < 0) return system_error(interface, "cannot open a packet socket (needs CAP_NET_RAW)");

  ifreq request{};
  if (interface.size() >= sizeof request.ifr_name) return Error{ExitCode::usage, interface + ": name too long"};
  memcpy(request.ifr_name, interface.c_str(), interface.size());
  if (ioctl(socket.fd_, SIOCGIFMTU, &request) < 0) return system_error(interface, "no such interface");
  socket.mtu_ = static_cast<uint32_t>(request.ifr_mtu);

  bool forced = set_option(socket.fd_, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer);
  if (!forced) set_option(socket.fd_, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  set_option(socket.fd_, SOL_SOCKET, SO_SNDBUF, 4 << 20);
  bool direct = set_option(socket.fd_, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  set_option(socket.fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);  // else receive() skips them
  set_option(socket.fd_, SOL_PACKET, PACKET_AUXDATA, 1);
  set_option(socket.fd_, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  int buffer = 0;
  socklen_t length = sizeof buffer;
  getsockopt(socket.fd_, SOL_SOCKET, SO_RCVBUF, &buffer, &length);
  socket.granted_ = "rcvbuf=" + std::to_string(buffer) + (direct ? " direct-xmit" : " qdisc-xmit");

  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (bind(socket.fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    return system_error(interface, "cannot bind a packet socket");
  }
  return socket;
}

void PacketSocket::receive(FramePool& pool, std::vector<ReceivedFrame>& frames, bool& full) {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> pieces{};
  std::array<AncillaryBuffer, kBatch> ancillary;
  std::array<sockaddr_ll, kBatch> senders{};
  std::array<FrameSlot, kBatch> slots{};
  unsigned room = 0;
  for (; room < kBatch; ++room) {
    auto slot = pool.acquire();
    if (!slot) break;
    slots[room] = *slot;
    pieces[room] = {pool.data(*slot), pool.slot_bytes()};
    msghdr& header = messages[room].msg_hdr;
    header.msg_name = &senders[room];
    header.msg_namelen = sizeof senders[room];
    header.msg_iov = &pieces[room];
    header.msg_iovlen = 1;
    header.msg_control = ancillary[room].bytes;
    header.msg_controllen = sizeof ancillary[room].bytes;
  }
  // ENETDOWN and the like tell of a carrier that went; the frames after it come with the next call.
  int count = room > 0 ? recvmmsg(fd_, messages.data(), room, MSG_DONTWAIT | MSG_TRUNC, nullptr) : 0;
  unsigned received = count > 0 ? static_cast<unsigned>(count) : 0;
  full = received > 0 && received == room;

  const Time now = monotonic_now();
  const Duration realtime_ahead = clock_now(CLOCK_REALTIME) - now;
  for (unsigned i = 0; i < room; ++i) {
    if (i >= received || senders[i].sll_pkttype == PACKET_OUTGOING) {
      pool.release(slots[i]);
      continue;
    }
    Ancillary facts = read_ancillary(messages[i].msg_hdr);
    ReceivedFrame frame{slots[i], std::max<uint32_t>(messages[i].msg_len, facts.bytes), now, false};
    // The wall clock may step between stamp and reading; such a stamp is not believed.
    if (facts.realtime) {
      Time arrival = *facts.realtime - realtime_ahead;
      if (arrival <= now && now - arrival < Duration::seconds(1)) frame.arrival = arrival;
    }
    frame.checksum_missing = (facts.status & TP_STATUS_CSUMNOTREADY) != 0;
    frames.push_back(frame);
  }
}

size_t PacketSocket::send(std::span<const OutgoingFrame> frames) {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> pieces{};
  for (size_t i = 0; i < frames.size(); ++i) {
    pieces[i] = {const_cast<uint8_t*>(frames[i].data), frames[i].bytes};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  size_t done = 0;
  size_t refused = 0;
  while (done < frames.size()) {
    int sent = sendmmsg(fd_, messages.data() + done, static_cast<unsigned>(frames.size() - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<size_t>(sent);
    } else if (errno != EINTR) {
      ++done;
      ++refused;
    }
  }
  return refused;
}

uint64_t PacketSocket::take_overruns() {
  tpacket_stats stats{};
  socklen_t length = sizeof stats;
  if (getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &stats, &length) < 0) return 0;
  return stats.tp_drops;
}

Status set_offloads(const std::string& interface, bool on) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error(interface, "cannot open a socket");
  Status status = Done{};
  // Checksums last when turning off and first when turning on: segmentation needs them.
  std::array<uint32_t, 4> commands{ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM};
  if (on) std::reverse(commands.begin(), commands.end());
  for (uint32_t command : commands) {
    ifreq request{};
    ethtool_value value{command, on ? 1u : 0u};
    memcpy(request.ifr_name, interface.c_str(), std::min(interface.size(), sizeof request.ifr_name - 1));
    request.ifr_data = reinterpret_cast<char*>(&value);
    // A device that does not know a feature has it off.
    if (ioctl(fd, SIOCETHTOOL, &request) < 0 && errno != EOPNOTSUPP) {
      status = system_error(interface, "cannot switch offloads");
      break;
    }
  }
  close(fd);
  return status;
}

}  // namespace hawser::netlab
