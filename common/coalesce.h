// Puts packets of one batch together into super-packets for a device that cuts them again (TCP and UDP segmentation
// offload). Nothing is kept from one batch to the next, so nothing is delayed; packets of one flow keep their order;
// what was corrupt stays corrupt: only packets whose checksums are right are merged.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "common/super_packet.h"

namespace hawser {

class Coalescer {
 public:
  struct Kinds {
    bool tcp = false, udp = false;
  };
  // One write to the device: `header`, then the pieces; a single packet has an empty header and is its only piece.
  struct Output {
    PacketOffload offload;
    std::span<const uint8_t> header;
    std::span<const ByteSpan> pieces;
    std::span<const uint32_t> members;  // which packets of the batch
    size_t size = 0;                    // header and pieces, bytes
  };

  // The packets must stay until the outputs are written; outputs are valid until the next run.
  std::span<const Output> run(std::span<const ByteSpan> packets, Kinds kinds);

 private:
  static constexpr size_t kMaxHeader = 40 + 60;
  static constexpr size_t kOpenFlows = 64;

  struct Parsed;
  struct Group {
    uint32_t first = 0, last = 0;  // packets of the batch, chained by next_
    uint32_t count = 1;
    size_t header = 0;           // IP and transport headers; 0: it can take nothing
    size_t segment = 0;          // payload of the first
    size_t payload = 0;          // of all
    uint32_t next_sequence = 0;  // TCP
    bool open = false;
    bool checked = false;  // the first one's checksum was verified
    bool push = false;
    bool v4 = false, udp = false;
  };

  static Parsed parse(ByteSpan packet, Kinds kinds);
  static uint32_t flow_key(ByteSpan packet, const Parsed& parsed);
  Group* open_group(ByteSpan packet, const Parsed& parsed);
  bool join(Group& g, ByteSpan packet, const Parsed& parsed, uint32_t index);
  void start(const Parsed& parsed, uint32_t index);
  void finish();
  void write_header(const Group& g, std::array<uint8_t, kMaxHeader>& header, PacketOffload& offload) const;

  std::span<const ByteSpan> packets_;
  std::vector<Group> groups_;
  // The open group of a flow; `key` is a part of its addresses and ports, for a quick look.
  struct OpenFlow {
    uint32_t group = 0;  // index + 1
    uint32_t key = 0;
  };
  std::array<OpenFlow, kOpenFlows> open_{};  // newest use first
  std::vector<uint32_t> next_;               // packet index + 1 of the next in its group
  std::vector<std::array<uint8_t, kMaxHeader>> headers_;
  std::vector<ByteSpan> pieces_;
  std::vector<uint32_t> members_;
  std::vector<Output> outputs_;
};

}  // namespace hawser
