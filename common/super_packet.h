// Super-packets: one IP packet that stands for many of one TCP or UDP flow, as the kernel hands them over where a
// device offers segmentation offload. Cutting them into packets here, putting packets together in coalesce.h. No OS.
#pragma once

#include <array>

#include "common/types.h"

namespace hawser {

// What is still to be done to a packet: the words of a virtio-net header.
struct PacketOffload {
  enum class Kind : uint8_t { none, tcp4, tcp6, udp };
  Kind kind = Kind::none;
  bool partial_checksum = false;  // the transport checksum holds the pseudo-header's sum only
  uint16_t segment_size = 0;      // payload of each segment; the last may be shorter
  uint16_t checksum_start = 0;    // where the transport header begins, from the packet's start
  uint16_t checksum_offset = 0;   // of the checksum in it
  uint16_t header_size =
      0;  // written only: what is read is not to be trusted (Linux tells a forwarded packet's length)
};

// Cuts one super-packet into packets whose checksums are complete (RFC 9293 and RFC 768 for the segments' headers; ECN:
// CWR on the first only, RFC 3168, 6.1.2). A packet that is none passes with its checksum completed.
class Segmenter {
 public:
  // `packet` must stay until the last next(); it is written to. False when it is not what `offload` says: drop it.
  bool begin(MutableByteSpan packet, const PacketOffload& offload);
  bool done() const { return at_ >= end_; }
  // The size of the next segment.
  size_t next_size() const;
  // Writes it to `out`, which holds next_size() bytes.
  void next(MutableByteSpan out);

 private:
  bool begin_whole(const PacketOffload& offload);
  void patch_ip(MutableByteSpan out) const;

  MutableByteSpan packet_;
  PacketOffload::Kind kind_ = PacketOffload::Kind::none;
  bool v4_ = false;
  size_t transport_ = 0, header_ = 0, segment_ = 0;  // offsets of the transport header and of the payload; payload size
  size_t at_ = 0, end_ = 0;                          // the payload not cut yet
  uint16_t index_ = 0;
  uint16_t pseudo_ = 0;  // of addresses and protocol, without the length
};

}  // namespace hawser
