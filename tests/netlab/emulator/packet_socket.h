// Raw frames from and to one interface: AF_PACKET, in batches, stamped by the kernel when they arrived.
#pragma once

#include <net/if.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/types.h"
#include "tests/netlab/emulator/frame_pool.h"

namespace hawser::netlab {

// CLOCK_MONOTONIC.
Time monotonic_now();

struct ReceivedFrame {
  FrameSlot slot = 0;
  uint32_t bytes = 0;  // on the wire; more than a slot holds when the frame is oversize
  Time arrival;        // when the sender's kernel handed it over, CLOCK_MONOTONIC
  bool checksum_missing = false;
};

struct OutgoingFrame {
  const uint8_t* data = nullptr;
  uint32_t bytes = 0;
};

class PacketSocket {
 public:
  static constexpr size_t kBatch = 32;

  PacketSocket() = default;
  PacketSocket(PacketSocket&& other) noexcept { *this = std::move(other); }
  PacketSocket& operator=(PacketSocket&& other) noexcept;
  ~PacketSocket();

  static Result<PacketSocket> open(const std::string& interface);

  // Up to kBatch frames into slots of `pool`; the caller owns them. `full` says that more may wait.
  void receive(FramePool& pool, std::vector<ReceivedFrame>& frames, bool& full);
  // Sends at most kBatch frames in order; how many of them the kernel refused (interface down).
  size_t send(std::span<const OutgoingFrame> frames);
  // Frames lost in the socket's own buffer since the last call.
  uint64_t take_overruns();

  int fd() const { return fd_; }
  uint32_t mtu() const { return mtu_; }
  // Large buffer, direct transmit: what the kernel granted, for the statistics.
  const std::string& granted() const { return granted_; }

 private:
  int fd_ = -1;
  uint32_t mtu_ = 0;
  std::string granted_;
};

// Everything that makes frames larger or leaves checksums open, on or off. Needs CAP_NET_ADMIN over the interface.
Status set_offloads(const std::string& interface, bool on);

}  // namespace hawser::netlab
