// The datagram path of UdpSocket: recvmmsg and sendmmsg, with ECN, packet info and time stamps as control messages.
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>

#include "platform/clock.h"
#include "platform/linux/oserror.h"
#include "platform/linux/sockaddr.h"
#include "platform/netlink.h"
#include "platform/udp.h"

namespace hawser {
namespace {

constexpr size_t kBatch = 64;  // messages per system call
// The kernel's bounds on one UDP_SEGMENT send: 64 datagrams, one less with small ones in some versions, and 64 KiB.
constexpr size_t kMaxSegments = 63, kMaxSuperBytes = 65'000;
// Room for packet info, ECN, segment size, time stamp and drop counter.
constexpr size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)) +
                                 CMSG_SPACE(sizeof(timespec)) + CMSG_SPACE(sizeof(uint32_t));

// What a batch needs beside the callers' buffers; one per thread, so that a call allocates nothing and clears little.
struct Scratch {
  std::array<mmsghdr, kBatch> messages;
  std::array<iovec, kBatch> vectors;
  std::array<sockaddr_storage, kBatch> addresses;
  struct alignas(cmsghdr) Control {
    std::array<char, kControlBytes> bytes;
  };
  std::array<Control, kBatch> controls;
};

Scratch& scratch() {
  static thread_local Scratch instance{};
  return instance;
}

template <typename T>
T read_control(const cmsghdr* control) {
  T value{};
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return value;
}

template <typename T>
void append_control(msghdr& message, int level, int type, const T& value) {
  // msg_controllen counts what is there so far; the buffer has room for all we ever append.
  auto* control = reinterpret_cast<cmsghdr*>(static_cast<char*>(message.msg_control) + message.msg_controllen);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(control), &value, sizeof value);
  message.msg_controllen += CMSG_SPACE(sizeof value);
}

// The kernel stamps with the wall clock. How long ago that was, taken from "now", gives our clock's time; a wall clock
// that was stepped meanwhile is told by a nonsensical age.
Time kernel_time(const timespec& stamp, const timespec& wall, Time at) {
  const int64_t age = (wall.tv_sec - stamp.tv_sec) * 1'000'000'000 + (wall.tv_nsec - stamp.tv_nsec);
  return age > 0 && age < 1'000'000'000 ? at - Duration::nanos(age) : at;
}

struct ReceiveTimes {
  Time boot = now();
  timespec wall{};
  ReceiveTimes() { ::clock_gettime(CLOCK_REALTIME, &wall); }
};

// Copies what the control messages say into the slot; returns the kernel's drop counter if it came.
void read_controls(msghdr& message, const ReceiveTimes& times, ReceiveSlot& slot, uint32_t& drops) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      const auto info = read_control<in_pktinfo>(control);
      slot.local.ip = IpAddress::v4(ByteSpan(reinterpret_cast<const uint8_t*>(&info.ipi_addr), 4));
      slot.local.scope = static_cast<uint32_t>(info.ipi_ifindex);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      const auto info = read_control<in6_pktinfo>(control);
      slot.local.ip = IpAddress::v6(ByteSpan(reinterpret_cast<const uint8_t*>(&info.ipi6_addr), 16));
      slot.local.scope = info.ipi6_ifindex;
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) {
      slot.ecn = static_cast<uint8_t>(*CMSG_DATA(control) & 3);  // one byte, unlike when sent
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) {
      slot.ecn = static_cast<uint8_t>(read_control<int>(control) & 3);
    } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPNS) {
      slot.at = kernel_time(read_control<timespec>(control), times.wall, times.boot);
    } else if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
      const int size = read_control<int>(control);
      if (size > 0) slot.segment_size = static_cast<size_t>(size);
    } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
      drops = read_control<uint32_t>(control);
    }
  }
}

SendError classify(int error) {
  switch (error) {
    case EAGAIN:
      return SendError::would_block;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENODEV:
    case ENXIO:
    case EADDRNOTAVAIL:
    case ECONNREFUSED:
    case EPERM:   // a firewall's reject
    case EACCES:  // an unreachable or prohibit route
    case EINVAL:  // the source address or interface of the packet info is gone
      return SendError::unreachable;
    case EMSGSIZE:
      return SendError::message_too_big;
    default:
      return SendError::other;
  }
}

// Fills message `i` with a datagram, or with several of the item's segment size; `interface` is the one the answer is
// tied to, 0 for none.
void fill_message(Scratch& s, size_t i, const SendItem& item, ByteSpan bytes, bool packet_info, uint32_t interface) {
  s.vectors[i] = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr& header = s.messages[i].msg_hdr;
  header = {};
  header.msg_name = &s.addresses[i];
  header.msg_namelen = to_sockaddr(item.remote, s.addresses[i]);
  header.msg_iov = &s.vectors[i];
  header.msg_iovlen = 1;
  header.msg_control = s.controls[i].bytes.data();
  const bool v6 = item.remote.ip.is_v6();
  if (packet_info && item.local.ip.is_set() && item.local.ip.family == item.remote.ip.family) {
    if (v6) {
      in6_pktinfo info{};
      std::copy_n(item.local.ip.bytes.data(), 16, reinterpret_cast<uint8_t*>(&info.ipi6_addr));
      info.ipi6_ifindex = interface;
      append_control(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
    } else {
      in_pktinfo info{};
      std::copy_n(item.local.ip.bytes.data(), 4, reinterpret_cast<uint8_t*>(&info.ipi_spec_dst));
      info.ipi_ifindex = static_cast<int>(interface);
      append_control(header, IPPROTO_IP, IP_PKTINFO, info);
    }
  }
  if ((item.ecn & 3) != 0) {
    append_control(header, v6 ? static_cast<int>(IPPROTO_IPV6) : static_cast<int>(IPPROTO_IP),
                   v6 ? IPV6_TCLASS : IP_TOS, static_cast<int>(item.ecn & 3));
  }
  if (item.segment_size != 0 && bytes.size() > item.segment_size) {
    append_control(header, SOL_UDP, UDP_SEGMENT, static_cast<uint16_t>(item.segment_size));
  }
  if (header.msg_controllen == 0) header.msg_control = nullptr;
}

size_t segments_of(const SendItem& item, size_t bytes) {
  return item.segment_size == 0 ? 1 : (bytes + item.segment_size - 1) / item.segment_size;
}

}  // namespace

size_t UdpSocket::receive(std::span<ReceiveSlot> slots) {
  Scratch& s = scratch();
  size_t done = 0;
  while (done < slots.size()) {
    const size_t room = std::min(slots.size() - done, kBatch);
    for (size_t i = 0; i < room; ++i) {
      const MutableByteSpan buffer = slots[done + i].buffer;
      s.vectors[i] = {buffer.data(), buffer.size()};
      msghdr& header = s.messages[i].msg_hdr;
      header = {};
      header.msg_name = &s.addresses[i];
      header.msg_namelen = sizeof s.addresses[i];
      header.msg_iov = &s.vectors[i];
      header.msg_iovlen = 1;
      header.msg_control = s.controls[i].bytes.data();
      header.msg_controllen = kControlBytes;
    }
    ++counters_.receive_calls;
    const int count = ::recvmmsg(fd_.get(), s.messages.data(), static_cast<unsigned>(room), MSG_DONTWAIT, nullptr);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      // What the network reported about an earlier send; reading it clears it. Bounded, lest a device that is gone for
      // good keep us here.
      if (++counters_.soft_errors % kBatch == 0) break;
      continue;
    }
    const ReceiveTimes times;
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      ReceiveSlot& slot = slots[done + i];
      msghdr& header = s.messages[i].msg_hdr;
      slot.size = s.messages[i].msg_len;
      slot.segment_size = 0;
      slot.truncated = (header.msg_flags & MSG_TRUNC) != 0;
      slot.remote = from_sockaddr(s.addresses[i]);
      slot.local = local_;
      slot.ecn = 0;
      slot.at = times.boot;
      uint32_t drops = last_kernel_drops_;
      read_controls(header, times, slot, drops);
      counters_.kernel_drops +=
          drops - last_kernel_drops_;  // the kernel's counter wraps at 32 bits, the difference not
      last_kernel_drops_ = drops;
      if (slot.segment_size == 0) slot.segment_size = slot.size;
      const size_t datagrams =
          slot.size > slot.segment_size ? (slot.size + slot.segment_size - 1) / slot.segment_size : 1;
      counters_.received_datagrams += datagrams;
      counters_.received_super += datagrams > 1 ? 1 : 0;
    }
    done += static_cast<size_t>(count);
    if (static_cast<size_t>(count) < room) break;
  }
  return done;
}

uint32_t UdpSocket::answer_interface(const SendItem& item) {
  const uint32_t wanted = item.local.scope;
  if (wanted == 0 || item.local.ip.is_link_local()) return wanted;
  // Told to leave by an interface without a route there, IPv4 would look for the peer among the neighbours and find
  // nobody, silently. So the interface is asked for only where a route by it exists; else routing alone decides. One
  // look per interface and address every few seconds.
  constexpr Duration kRecheck = Duration::seconds(5);
  constexpr size_t kRemembered = 64;
  const Time at = now();
  auto found = std::find_if(answer_routes_.begin(), answer_routes_.end(), [&](const AnswerRoute& r) {
    return r.interface == wanted && r.family == item.local.ip.family;
  });
  if (found == answer_routes_.end()) {
    if (answer_routes_.size() >= kRemembered) answer_routes_.clear();
    found = answer_routes_.insert(answer_routes_.end(), {wanted, item.local.ip.family, Time{}, false});
  }
  if (!found->checked.is_set() || at - found->checked > kRecheck) {
    const Result<bool> usable = has_route_by(item.remote.ip, item.local.ip, wanted);
    found->usable = !usable || *usable;  // when the kernel cannot say: as asked
    found->checked = at;
  }
  return found->usable ? wanted : 0;
}

// Expands items into messages from where the last call ended; returns how many. The item `plain_item` goes one datagram
// at a time.
size_t UdpSocket::fill_messages(std::span<const SendItem> items, const SendResult& done, size_t plain_item) {
  Scratch& s = scratch();
  const bool server = interface_.empty();
  size_t count = 0;
  size_t offset = done.partial_bytes;
  for (size_t item = done.items; item < items.size() && count < kBatch; ++item, offset = 0) {
    const SendItem& it = items[item];
    size_t step = it.segment_size != 0 ? it.segment_size : it.bytes.size();
    if (it.segment_size != 0 && offload_.send && item != plain_item) {
      step *= std::clamp<size_t>(kMaxSuperBytes / it.segment_size, 1, kMaxSegments);
    }
    const uint32_t interface = server ? answer_interface(it) : 0;
    do {
      const size_t length = std::min(step, it.bytes.size() - offset);
      fill_message(s, count++, it, it.bytes.subspan(offset, length), server, interface);
      offset += length;
    } while (offset < it.bytes.size() && count < kBatch);
    if (offset < it.bytes.size()) break;
  }
  return count;
}

SendResult UdpSocket::send(std::span<const SendItem> items) {
  Scratch& s = scratch();
  SendResult result;
  size_t plain_item = items.size();  // none
  while (result.items < items.size()) {
    const size_t count = fill_messages(items, result, plain_item);
    ++counters_.send_calls;
    const int sent =
        ::sendmmsg(fd_.get(), s.messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      const int error = sent < 0 ? errno : EAGAIN;
      const bool several = segments_of(items[result.items], s.vectors[0].iov_len) > 1;
      if (several && (error == EIO || error == EINVAL)) {
        // EIO: the device cannot do checksums (or so). EINVAL may have another cause, a smaller MTU for one: whether it
        // is the offload shows when the datagrams go one by one.
        ++counters_.fallbacks;
        if (error == EIO) offload_.send = false;
        plain_item = result.items;
        continue;
      }
      result.os_error = error;
      result.error = classify(error);
      return result;
    }
    if (plain_item == result.items) offload_.send = false;
    for (size_t i = 0; i < static_cast<size_t>(sent); ++i) {
      const SendItem& item = items[result.items];
      const size_t segments = segments_of(item, s.vectors[i].iov_len);
      counters_.sent_datagrams += segments;
      counters_.sent_super += segments > 1 ? 1 : 0;
      result.partial_bytes += s.vectors[i].iov_len;
      if (result.partial_bytes >= item.bytes.size()) {
        ++result.items;
        result.partial_bytes = 0;
      }
    }
  }
  return result;
}

void UdpSocket::add_to(OffloadState& s) const {
  s.udp_gso = s.udp_gso || offload_.send;
  s.udp_gro = s.udp_gro || offload_.receive;
  s.udp_sent += counters_.sent_super;
  s.udp_received += counters_.received_super;
  s.fallbacks += counters_.fallbacks;
}

ReceiveBuffers::ReceiveBuffers() : slots_(kSlots) {}

std::span<const ReceiveSlot> ReceiveBuffers::receive(UdpSocket& socket) {
  const size_t size = socket.offload().receive ? kSuperBytes : kSlotBytes;
  if (size > size_) {
    memory_.reset(new uint8_t[kSlots * size]);
    size_ = size;
  }
  const bool together = socket.offload().receive;
  const std::span<ReceiveSlot> slots = std::span(slots_).first(together ? offered_ : kSlots);
  for (size_t i = 0; i < slots.size(); ++i) slots[i].buffer = MutableByteSpan(memory_.get() + i * size, size);
  const size_t count = socket.receive(slots);
  was_full_ = count == slots.size();
  if (!together || !was_full_) return slots.first(count);
  size_t datagrams = 0;
  for (const ReceiveSlot& s : slots) datagrams += s.segment_size != 0 ? (s.size + s.segment_size - 1) / s.segment_size : 1;
  if (datagrams < kFewDatagrams) offered_ = std::min(offered_ * 2, kSlots);
  if (datagrams > kManyDatagrams) offered_ = std::max(offered_ / 2, kFewSlots);
  return slots.first(count);
}

}  // namespace hawser
