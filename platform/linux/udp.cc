// UDP sockets: binding, options, errors. The moving of datagrams is in udp_batch.cc.
#include "platform/udp.h"

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>

#include "platform/linux/oserror.h"
#include "platform/linux/sockaddr.h"

namespace hawser {
namespace {

// wireguard-go's value: 7 MiB hold about 50 ms of 1 Gbit/s of full datagrams with the kernel's bookkeeping.
constexpr int kBufferBytes = 7 << 20;

bool set_option(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// FORCE goes beyond rmem_max and needs CAP_NET_ADMIN; without it the kernel grants what it likes.
size_t grow_buffer(int fd, int force_name, int name) {
  if (!set_option(fd, SOL_SOCKET, force_name, kBufferBytes)) set_option(fd, SOL_SOCKET, name, kBufferBytes);
  int granted = 0;
  socklen_t length = sizeof granted;
  ::getsockopt(fd, SOL_SOCKET, name, &granted, &length);
  return granted > 0 ? static_cast<size_t>(granted) : 0;
}

// Don't fragment, and don't let the kernel's own path MTU guesses refuse a send: the engine probes the MTU itself.
// Each receive brings its ECN mark, the time, the count of drops, and (server) where it was sent to.
Status set_common_options(int fd, bool v6, bool packet_info) {
  bool ok = true;
  if (v6) {
    ok = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) && ok;
    ok = set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) && ok;
    ok = set_option(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1) && ok;
    ok = set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) && ok;
    if (packet_info) ok = set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) && ok;
  } else {
    ok = set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) && ok;
    ok = set_option(fd, IPPROTO_IP, IP_RECVTOS, 1) && ok;
    if (packet_info) ok = set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) && ok;
  }
  ok = set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1) && ok;
  if (!ok) return os_error(ExitCode::system_integration, "cannot set the options of a UDP socket", errno);
  set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);  // a counter only
  return Done{};
}

Error bind_error(const SocketAddress& address, const std::string& interface, int error) {
  const std::string where = address.to_string() + (interface.empty() ? "" : " on " + interface);
  switch (error) {
    case EADDRINUSE:
      return {ExitCode::system_integration, "UDP port " + std::to_string(address.port) + " (" + where +
                                                ") is taken by another program. See by whom: ss -ulpn 'sport = :" +
                                                std::to_string(address.port) + "'; or choose another port"};
    case EADDRNOTAVAIL:
      return {ExitCode::system_integration,
              "this machine has no address " + address.ip.to_string() + " to bind to. See: ip address"};
    case EACCES:
    case EPERM:
      if (address.port != 0 && address.port < 1024) {
        return {ExitCode::permission, "cannot bind " + where + ": " + os_text(error) +
                                          ". Ports below 1024 need root or CAP_NET_BIND_SERVICE: run it with sudo"};
      }
      break;
    default:
      break;
  }
  return os_error(ExitCode::system_integration, "cannot bind a UDP socket to " + where, error);
}

SocketAddress bound_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return from_sockaddr(storage);
}

Result<UniqueFd> open_socket(bool v6, bool packet_info) {
  UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP));
  if (!fd) {
    if (errno == EAFNOSUPPORT) {
      return Error{ExitCode::system_integration, "this kernel has no IPv6; leave the IPv6 addresses out"};
    }
    return os_error(ExitCode::system_integration, "cannot open a UDP socket", errno);
  }
  if (Status status = set_common_options(fd.get(), v6, packet_info); !status) return status.error();
  return fd;
}

}  // namespace

socklen_t to_sockaddr(const SocketAddress& address, sockaddr_storage& out) {
  if (address.ip.is_v4()) {
    auto& in = reinterpret_cast<sockaddr_in&>(out);
    in = {};
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    std::copy_n(address.ip.bytes.data(), 4, reinterpret_cast<uint8_t*>(&in.sin_addr));
    return sizeof in;
  }
  if (address.ip.is_v6()) {
    auto& in = reinterpret_cast<sockaddr_in6&>(out);
    in = {};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(address.port);
    std::copy_n(address.ip.bytes.data(), 16, reinterpret_cast<uint8_t*>(&in.sin6_addr));
    if (address.ip.is_link_local()) in.sin6_scope_id = address.scope;
    return sizeof in;
  }
  return 0;
}

SocketAddress from_sockaddr(const sockaddr_storage& address) {
  SocketAddress result;
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    result.ip = IpAddress::v4(ByteSpan(reinterpret_cast<const uint8_t*>(&in.sin_addr), 4));
    result.port = ntohs(in.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    result.ip = IpAddress::v6(ByteSpan(reinterpret_cast<const uint8_t*>(&in.sin6_addr), 16));
    result.port = ntohs(in.sin6_port);
    if (result.ip.is_link_local()) result.scope = in.sin6_scope_id;
  }
  return result;
}

UdpSocket::UdpSocket(UniqueFd fd, SocketAddress local, std::string interface, UdpOffload wanted)
    : fd_(std::move(fd)), local_(local), interface_(std::move(interface)) {
  // Zero is what a socket has anyway: a kernel that knows the option takes it.
  offload_.send = wanted.send && set_option(fd_.get(), SOL_UDP, UDP_SEGMENT, 0);
  offload_.receive = wanted.receive && set_option(fd_.get(), SOL_UDP, UDP_GRO, 1);
  receive_buffer_ = grow_buffer(fd_.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  send_buffer_ = grow_buffer(fd_.get(), SO_SNDBUFFORCE, SO_SNDBUF);
}

Result<UdpSocket> UdpSocket::open_client(const std::string& interface, const SocketAddress& source, UdpOffload wanted) {
  Result<UniqueFd> fd = open_socket(source.ip.is_v6(), false);
  if (!fd) return fd.error();
  // Before the address, for the kernel then checks that the address belongs to the device. Needs no privilege since
  // Linux 5.7.
  if (::setsockopt(fd->get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                   static_cast<socklen_t>(interface.size())) != 0) {
    return os_error(ExitCode::system_integration, "cannot bind a UDP socket to the interface " + interface, errno);
  }
  sockaddr_storage storage{};
  const socklen_t length = to_sockaddr(source, storage);
  if (::bind(fd->get(), reinterpret_cast<sockaddr*>(&storage), length) != 0)
    return bind_error(source, interface, errno);
  const SocketAddress local = bound_address(fd->get());
  UdpSocket socket(std::move(*fd), local, interface, wanted);
  socket.interface_index_ = ::if_nametoindex(interface.c_str());
  socket.local_.scope = socket.interface_index_;
  return socket;
}

Status UdpSocket::set_mark(uint32_t mark) {
  if (::setsockopt(fd_.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) return Done{};
  return os_error(ExitCode::permission, "cannot mark the datagrams of " + local_.to_string(), errno);
}

Result<UdpSocket> UdpSocket::open_server(const SocketAddress& listen, UdpOffload wanted) {
  return bind_server(listen, false, wanted);
}

Result<UdpSocket> UdpSocket::open_sharing(UdpOffload wanted) {
  // Bound alone and shared from now on: a second server of the same user finds the port taken, as it should.
  if (!set_option(fd_.get(), SOL_SOCKET, SO_REUSEPORT, 1)) {
    return os_error(ExitCode::system_integration, "cannot share " + local_.to_string() + " between workers", errno);
  }
  return bind_server(local_, true, wanted);
}

Result<UdpSocket> UdpSocket::bind_server(const SocketAddress& listen, bool sharing, UdpOffload wanted) {
  Result<UniqueFd> fd = open_socket(listen.ip.is_v6(), true);
  if (!fd) return fd.error();
  if (sharing) set_option(fd->get(), SOL_SOCKET, SO_REUSEPORT, 1);
  sockaddr_storage storage{};
  const socklen_t length = to_sockaddr(listen, storage);
  if (length == 0) return Error{ExitCode::configuration, "cannot listen on an address that is not set"};
  if (::bind(fd->get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) return bind_error(listen, "", errno);
  const SocketAddress local = bound_address(fd->get());
  return UdpSocket(std::move(*fd), local, "", wanted);
}

const char* to_string(SendError error) {
  switch (error) {
    case SendError::none:
      return "none";
    case SendError::would_block:
      return "would block";
    case SendError::unreachable:
      return "unreachable";
    case SendError::message_too_big:
      return "message too big";
    case SendError::other:
      break;
  }
  return "other";
}

}  // namespace hawser
