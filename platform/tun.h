// A TUN device: packets in and out, and its MTU, addresses and state by rtnetlink.
// The device exists as long as the object; the kernel removes it, its addresses and its routes with the descriptor.
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

// What the kernel may hand over and take as super-packets: TCP (v4 and v6), UDP. Neither: no virtio-net header at all.
struct TunOffload {
  bool tcp = true;
  bool udp = true;  // never without tcp
};

class TunDevice {
 public:
  // Counters since open. Super-packets count as the packets they stand for.
  struct Counters {
    uint64_t read_packets = 0, read_bytes = 0;
    uint64_t written_packets = 0, written_bytes = 0;
    uint64_t read_super = 0, written_super = 0;  // super-packets among them
    uint64_t read_malformed = 0;                 // super-packets that were not what their header said: dropped
    uint64_t fallbacks = 0;                      // super-packets the kernel refused: written again one by one
    uint64_t write_refused = 0;  // the kernel refused a packet (malformed, or the device is down)
    uint64_t write_full = 0;     // the kernel had no buffer for it
  };

  // `name` "auto" takes the first free hawserN; any other name must be free (1-15 characters).
  // Errors: permission (4), no /dev/net/tun (8), name taken (10).
  // `wanted` is tried; what the kernel grants is in offload(). `multi_queue`: so are several queues, for open_queue().
  static Result<TunDevice> open(const std::string& name, TunOffload wanted = {}, bool multi_queue = false);
  // Before open_queue(): the kernel shall put each packet into the queue that `s` says, this one being the first, the others
  // in the order of their opening. False when it cannot: it has one queue, or lets us load no program.
  bool steer(const Steering& s);
  // The same device for another worker: with a queue of its own when it is steered, else for writing only. Left to itself
  // the kernel would move a flow from queue to queue, and its packets would overtake each other.
  Result<TunDevice> open_queue() const;
  bool steered() const { return steered_; }
  bool multi_queue() const { return multi_queue_; }
  // False for one that is for writing only.
  bool readable() const { return readable_; }
  TunDevice(TunDevice&&) noexcept;
  TunDevice& operator=(TunDevice&&) noexcept;
  ~TunDevice();

  const std::string& name() const { return name_; }
  uint32_t index() const { return index_; }
  int fd() const { return fd_.get(); }
  const Counters& counters() const { return counters_; }
  // What is in use; writing may have been given up since open (Counters::fallbacks).
  TunOffload reads() const { return reads_; }
  TunOffload writes() const { return writes_; }
  void add_to(OffloadState& state) const;
  // The addresses that were set and are meant to be there.
  const std::vector<IpPrefix>& addresses() const { return addresses_; }
  // Somebody deleted the device: the descriptor is dead and stays readable for ever; stop watching it.
  bool gone() const { return gone_; }

  Status set_mtu(uint32_t mtu);
  // The address with its prefix length, e.g. 10.9.0.2/32 or 10.9.0.1/16; one already there is no error.
  Status add_address(const IpPrefix& address);
  Status remove_address(const IpPrefix& address);
  // Adds and removes what is needed so that exactly these addresses of ours are there. On a machine without IPv6 the
  // IPv6 ones are left out.
  Status set_addresses(const std::vector<IpPrefix>& addresses);
  Status set_up(bool up);

  // Reads up to buffers.size() packets without blocking; sizes[i] is the length of packet i in buffers[i].
  // A buffer must hold the MTU; a longer packet is dropped (without offloads: cut by the kernel). Super-packets come as the packets they stand for. Returns how
  // many; 0 when nothing waits.
  size_t read_batch(std::span<const MutableByteSpan> buffers, std::span<size_t> sizes);
  // A super-packet had more packets than the last read_batch had room for: read again, the descriptor does not tell. A
  // call while this is so reads the rest and nothing else.
  bool has_rest() const;
  // Writes packets without blocking and returns how many were dealt with: all of them, each either taken by the kernel
  // or counted as refused or full. A TUN never asks for a retry: a packet it cannot take is lost like on a wire. Packets of
  // one flow may leave as super-packets; none is held back for it, and their order stays.
  size_t write_batch(std::span<const ByteSpan> packets);

 private:
  struct Offloader;
  TunDevice(UniqueFd fd, std::string name, uint32_t index);
  void negotiate(TunOffload wanted);
  bool has_header() const { return offloader_ != nullptr; }
  void share_offloads(const TunDevice& of);
  ssize_t read_plain(MutableByteSpan buffer);
  size_t cut_rest(std::span<const MutableByteSpan> buffers, std::span<size_t> sizes);
  void write_plain(ByteSpan packet);
  void count_write(bool taken, int error, size_t packets, size_t bytes);

  UniqueFd fd_;
  std::string name_;
  uint32_t index_ = 0;
  std::vector<IpPrefix> addresses_;
  Counters counters_;
  TunOffload reads_{false, false}, writes_{false, false};
  std::unique_ptr<Offloader> offloader_;  // null without a virtio-net header
  bool gone_ = false;
  bool multi_queue_ = false, steered_ = false, readable_ = true;
};

}  // namespace hawser
