// A TUN device: packets in and out, and its MTU, addresses and state by rtnetlink.
// The device exists as long as the object; the kernel removes it, its addresses and its routes with the descriptor.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/net.h"
#include "common/result.h"
#include "platform/fd.h"

namespace hawser {

class TunDevice {
 public:
  // Counters since open.
  struct Counters {
    uint64_t read_packets = 0, read_bytes = 0;
    uint64_t written_packets = 0, written_bytes = 0;
    uint64_t write_refused = 0;  // the kernel refused a packet (malformed, or the device is down)
    uint64_t write_full = 0;     // the kernel had no buffer for it
  };

  // `name` "auto" takes the first free hawserN; any other name must be free (1-15 characters).
  // Errors: permission (4), no /dev/net/tun (8), name taken (10).
  static Result<TunDevice> open(const std::string& name);

  const std::string& name() const { return name_; }
  uint32_t index() const { return index_; }
  int fd() const { return fd_.get(); }
  const Counters& counters() const { return counters_; }
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
  // A buffer must hold the MTU; a longer packet is cut by the kernel. Returns how many; 0 when nothing waits.
  size_t read_batch(std::span<const MutableByteSpan> buffers, std::span<size_t> sizes);
  // Writes packets without blocking and returns how many were dealt with: all of them, each either taken by the kernel
  // or counted as refused or full. A TUN never asks for a retry: a packet it cannot take is lost like on a wire.
  size_t write_batch(std::span<const ByteSpan> packets);

 private:
  TunDevice(UniqueFd fd, std::string name, uint32_t index)
      : fd_(std::move(fd)), name_(std::move(name)), index_(index) {}

  UniqueFd fd_;
  std::string name_;
  uint32_t index_ = 0;
  std::vector<IpPrefix> addresses_;
  Counters counters_;
  bool gone_ = false;
};

}  // namespace hawser
