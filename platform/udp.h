// UDP sockets for paths: batches in and out, packet info, ECN, and errors as values.
// A client's socket is bound to a device and a source address; a server's to a listen address, and each answer says
// from which address and interface it leaves.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/net.h"
#include "common/offload.h"
#include "common/result.h"
#include "common/steering.h"
#include "platform/fd.h"

namespace hawser {

// Where a received datagram goes, and what is known about it.
struct ReceiveSlot {
  MutableByteSpan buffer;   // in: filled from the front
  size_t size = 0;          // out: bytes received
  size_t segment_size = 0;  // out: `size` bytes are datagrams of this size each, the last may be shorter; equal to
                            // `size` when it is one datagram
  SocketAddress remote;     // out: scope is set for link-local IPv6
  SocketAddress local;      // out: the address it was sent to; scope = the interface it came by
  uint8_t ecn = 0;          // out: the two ECN bits
  bool truncated = false;   // out: the buffer was too small; drop it
  Time at;                  // out: when the kernel got it (CLOCK_BOOTTIME)
};

// Calls f(bytes) for each datagram of a slot.
template <typename F>
void for_each_datagram(const ReceiveSlot& slot, F&& f) {
  const size_t step = slot.segment_size != 0 ? slot.segment_size : slot.size;
  size_t offset = 0;
  do {
    const size_t length = slot.size - offset < step ? slot.size - offset : step;
    f(MutableByteSpan(slot.buffer.data() + offset, length));
    offset += length;
  } while (offset < slot.size);
}

// One send: a datagram, or (segment_size set) several equal ones, the last may be shorter, to one destination.
struct SendItem {
  ByteSpan bytes;
  SocketAddress remote;
  SocketAddress local;      // server: leave from this address, by this interface (scope); unset: the kernel chooses
  uint8_t ecn = 0;          // the two ECN bits
  size_t segment_size = 0;  // 0: `bytes` is one datagram
};

enum class SendError : uint8_t {
  none,
  would_block,      // wait until the socket is writable and offer the rest again
  unreachable,      // no route, address or device gone, neighbour or port unreachable, forbidden by a firewall
  message_too_big,  // longer than the path MTU that the device allows (EMSGSIZE)
  other,
};
const char* to_string(SendError error);

struct SendResult {
  size_t items = 0;                   // how many whole items went
  size_t partial_bytes = 0;           // how many bytes of the next item went (segments of it); offer only the rest
  SendError error = SendError::none;  // why items[items] did not go; none when all went
  int os_error = 0;                   // errno, for logs
};

// What the kernel may do for several datagrams at once.
struct UdpOffload {
  bool send = true;      // UDP_SEGMENT: equal datagrams for one destination go down as one
  bool receive = false;  // UDP_GRO: several may come as one slot, which must then have room for 64 KiB
};

class UdpSocket {
 public:
  struct Counters {
    uint64_t sent_datagrams = 0, received_datagrams = 0;
    uint64_t sent_super = 0, received_super = 0;  // sends and slots of several datagrams at once
    uint64_t fallbacks = 0;                       // such sends that the kernel refused: sent one by one
    uint64_t kernel_drops = 0;  // datagrams the kernel dropped because our receive buffer was full (SO_RXQ_OVFL)
    uint64_t send_calls = 0, receive_calls = 0;
    uint64_t soft_errors = 0;  // errors that the network reported on the socket (ICMP), passed over
  };

  // Bound to `interface` and to `source` (its port 0: the kernel chooses). Errors: permission, system_integration.
  // `wanted` is tried; what is in use is in offload().
  static Result<UdpSocket> open_client(const std::string& interface, const SocketAddress& source, UdpOffload wanted = {});
  // Bound to `listen`, IPv6 only for an IPv6 address, with packet info. A taken port: system_integration, naming it.
  static Result<UdpSocket> open_server(const SocketAddress& listen, UdpOffload wanted = {});
  // Another socket of our own on this server socket's address, for another worker. The kernel spreads what arrives over all
  // of them, by addresses and ports unless steer() gives it the rule. The port stays closed to other programs.
  Result<UdpSocket> open_sharing(UdpOffload wanted = {});
  // The kernel hands each datagram to the socket that `s` says, this one being the first, the others in the order of their
  // opening. False when it cannot.
  bool steer(const Steering& s);

  // From now on rules for this mark apply (SO_MARK, 0: none). Needs CAP_NET_ADMIN.
  Status set_mark(uint32_t mark);

  int fd() const { return fd_.get(); }
  // The bound address with the port the kernel gave.
  const SocketAddress& local() const { return local_; }
  // Empty for a server's socket.
  const std::string& interface() const { return interface_; }
  // What the kernel granted, in bytes (SO_RCVBUF as reported, bookkeeping included).
  size_t receive_buffer() const { return receive_buffer_; }
  size_t send_buffer() const { return send_buffer_; }
  const Counters& counters() const { return counters_; }
  UdpOffload offload() const { return offload_; }
  void add_to(OffloadState& state) const;

  // Fills slots from the front without blocking and returns how many; 0 when nothing waits. Errors the network reported
  // on the socket are counted and passed over.
  size_t receive(std::span<ReceiveSlot> slots);
  // Sends in order without blocking; stops at the first item that does not go. The caller decides: would_block => keep
  // the rest; anything else => skip that item and go on.
  SendResult send(std::span<const SendItem> items);

 private:
  // Whether answers may be tied to the interface they were asked by; remembered for a few seconds.
  struct AnswerRoute {
    uint32_t interface = 0;
    IpAddress::Family family = IpAddress::Family::none;
    Time checked;
    bool usable = false;
  };

  UdpSocket(UniqueFd fd, SocketAddress local, std::string interface, UdpOffload wanted);
  static Result<UdpSocket> bind_server(const SocketAddress& listen, bool sharing, UdpOffload wanted);
  size_t fill_messages(std::span<const SendItem> items, const SendResult& done, size_t plain_item);
  uint32_t answer_interface(const SendItem& item);

  UniqueFd fd_;
  SocketAddress local_;
  std::string interface_;
  uint32_t interface_index_ = 0;
  size_t receive_buffer_ = 0, send_buffer_ = 0;
  uint32_t last_kernel_drops_ = 0;
  std::vector<AnswerRoute> answer_routes_;
  UdpOffload offload_;
  Counters counters_;
};

// Memory for what one receive() brings: slots with much room where datagrams come together, else small ones. As many are
// offered as bring some hundred datagrams: few of a fast sender's long trains, many of many senders' short ones.
class ReceiveBuffers {
 public:
  ReceiveBuffers();
  // Receives once; the slots are valid until the next call.
  std::span<const ReceiveSlot> receive(UdpSocket& socket);
  // The last call filled every slot: more may wait.
  bool was_full() const { return was_full_; }

 private:
  static constexpr size_t kSlots = 64;
  static constexpr size_t kSlotBytes = 9 * 1024;  // more than a jumbo frame carries
  static constexpr size_t kSuperBytes = 64 * 1024;
  static constexpr size_t kFewSlots = 8;
  static constexpr size_t kFewDatagrams = 128, kManyDatagrams = 512;

  size_t size_ = 0;                    // of a slot; 0: none yet
  std::unique_ptr<uint8_t[]> memory_;  // not cleared: what is never filled is never resident
  size_t offered_ = kFewSlots;         // slots of the next call, where datagrams come together
  std::vector<ReceiveSlot> slots_;
  bool was_full_ = false;
};

}  // namespace hawser
