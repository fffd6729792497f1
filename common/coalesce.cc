// One pass over the batch: parse, find the open group of the flow, join it or start a new one; then one header per
// group. The rules of merging are those of the kernel's own receive offload (Linux, net/ipv4/tcp_offload.c), without
// its delays.
#include "common/coalesce.h"

#include <algorithm>
#include <cstring>

#include "common/big_endian.h"
#include "common/checksum.h"

namespace hawser {
namespace {

constexpr uint8_t kTcp = 6, kUdp = 17;
constexpr uint8_t kPush = 0x08, kAck = 0x10, kEce = 0x40;
constexpr size_t kMaxSuper = 65'535;
// The kernel's bound for UDP is 64, and in some versions one less (UDP_MAX_SEGMENTS).
constexpr uint32_t kMaxMembers = 63;

bool same_bytes(ByteSpan a, ByteSpan b, size_t at, size_t size) {
  return std::memcmp(a.data() + at, b.data() + at, size) == 0;
}

}  // namespace

// What of a packet decides about merging.
struct Coalescer::Parsed {
  bool known = false;      // TCP or UDP, not a fragment, no options or extension headers: its flow can be told
  bool mergeable = false;  // and it is of a kind that may be merged
  bool v4 = false, udp = false;
  size_t transport = 0, header = 0, payload = 0;
};

namespace {

// IPv4 without options, not a fragment, its header checksum right; IPv6 without extension headers. Lengths exact.
bool parse_ip(ByteSpan p, bool& v4, size_t& transport, uint8_t& protocol) {
  if (p.size() >= 20 && p[0] == 0x45) {
    v4 = true;
    transport = 20;
    protocol = p[9];
    return get16(p, 2) == p.size() && (get16(p, 6) & 0x3fff) == 0 && (p[6] & 0x80) == 0 &&
           ones_sum(p.first(20)) == 0xffff;
  }
  if (p.size() >= 40 && p[0] >> 4 == 6) {
    v4 = false;
    transport = 40;
    protocol = p[6];
    return size_t{get16(p, 4)} + 40 == p.size();
  }
  return false;
}

bool checksum_right(ByteSpan p, size_t transport, uint8_t protocol) {
  const ByteSpan rest = p.subspan(transport);
  return ones_add(pseudo_header_sum(p, protocol, rest.size()), ones_sum(rest)) == 0xffff;
}

// What two packets of one super-packet must share in their IP headers beside the addresses: TOS (ECN included), TTL,
// DF.
bool ip_alike(ByteSpan a, ByteSpan b, bool v4, size_t distance) {
  if (!v4) return same_bytes(a, b, 0, 4) && a[7] == b[7];
  const bool df = (a[6] & 0x40) != 0;
  // A device that cuts them numbers them consecutively; with DF the number has no meaning (RFC 6864).
  const bool numbered = df || static_cast<uint16_t>(get16(a, 4) + distance) == get16(b, 4);
  return a[1] == b[1] && a[8] == b[8] && same_bytes(a, b, 6, 2) && numbered;
}

}  // namespace

void Coalescer::start(const Parsed& parsed, uint32_t index) {
  Group g;
  g.first = g.last = index;
  if (parsed.mergeable) {
    g.header = parsed.header;
    g.segment = g.payload = parsed.payload;
    g.v4 = parsed.v4;
    g.udp = parsed.udp;
    const ByteSpan p = packets_[index];
    g.push = !g.udp && (p[parsed.transport + 13] & kPush) != 0;
    if (!g.udp) g.next_sequence = get32(p, parsed.transport + 4) + static_cast<uint32_t>(parsed.payload);
    g.open = !g.push;
  }
  groups_.push_back(g);
  if (!g.open) return;
  // The longest unused makes room: it is found no more, takes nothing more, and so its flow keeps its order.
  std::copy_backward(open_.begin(), open_.end() - 1, open_.end());
  open_.front() = {static_cast<uint32_t>(groups_.size()), flow_key(packets_[index], parsed)};
}

uint32_t Coalescer::flow_key(ByteSpan p, const Parsed& parsed) {
  // The low parts of both addresses, and both ports.
  return parsed.v4 ? get32(p, 12) ^ get32(p, 16) ^ get32(p, 20) : get32(p, 20) ^ get32(p, 36) ^ get32(p, 40);
}

// The open group of the packet's flow, moved to the front; nothing when there is none.
Coalescer::Group* Coalescer::open_group(ByteSpan packet, const Parsed& parsed) {
  const uint32_t key = flow_key(packet, parsed);
  for (size_t i = 0; i < kOpenFlows && open_[i].group; ++i) {
    if (open_[i].key != key) continue;
    Group& g = groups_[open_[i].group - 1];
    if (g.v4 != parsed.v4 || g.udp != parsed.udp) continue;
    const ByteSpan first = packets_[g.first];
    const bool same = g.v4 ? same_bytes(first, packet, 12, 12) : same_bytes(first, packet, 8, 36);
    if (!same) continue;
    std::rotate(open_.begin(), open_.begin() + static_cast<ptrdiff_t>(i),
                open_.begin() + static_cast<ptrdiff_t>(i) + 1);
    return &g;
  }
  return nullptr;
}

// Appends the packet to the group when nothing would be lost by it.
bool Coalescer::join(Group& g, ByteSpan packet, const Parsed& parsed, uint32_t index) {
  const ByteSpan first = packets_[g.first];
  const size_t t = parsed.transport;
  const bool fits = parsed.header == g.header && parsed.payload <= g.segment && g.count < kMaxMembers &&
                    g.header + g.payload + parsed.payload <= kMaxSuper;
  if (!fits || !ip_alike(first, packet, g.v4, g.count)) return false;
  bool push = false;
  if (!g.udp) {
    const uint8_t flags = packet[t + 13];
    // Acknowledgement number, header length, window, urgent pointer (set or not: no byte may change) and options are
    // equal; flags but for PSH, which ends the group.
    const bool alike = same_bytes(first, packet, t + 8, 5) && ((first[t + 13] ^ flags) & ~kPush) == 0 &&
                       same_bytes(first, packet, t + 14, 2) && same_bytes(first, packet, t + 18, g.header - t - 18);
    if (!alike || get32(packet, t + 4) != g.next_sequence) return false;
    push = (flags & kPush) != 0;
  }
  const uint8_t protocol = g.udp ? kUdp : kTcp;
  // The merged packet is passed on as checked, so each of them is: a corrupt one must not become a valid one.
  if (!g.checked && !checksum_right(first, t, protocol)) return false;
  g.checked = true;
  if (!checksum_right(packet, t, protocol)) return false;
  next_[g.last] = index + 1;
  g.last = index;
  ++g.count;
  g.payload += parsed.payload;
  g.next_sequence += static_cast<uint32_t>(parsed.payload);
  g.push = push;
  // A shorter one is the last; PSH wants to be delivered now.
  if (parsed.payload < g.segment || push) g.open = false;
  return true;
}

Coalescer::Parsed Coalescer::parse(ByteSpan p, Kinds kinds) {
  Parsed parsed;
  uint8_t protocol = 0;
  const bool ip = parse_ip(p, parsed.v4, parsed.transport, protocol);
  const size_t t = parsed.transport;
  if (ip && protocol == kTcp && p.size() >= t + 20) {
    const size_t size = static_cast<size_t>(p[t + 12] >> 4) * 4;
    parsed.header = t + size;
    parsed.known = size >= 20 && parsed.header <= p.size();
    // Data and an acknowledgement, nothing that begins, ends or interrupts.
    const auto flags = static_cast<uint8_t>(p[t + 13] & ~kPush);
    const bool plain = (flags == kAck || flags == (kAck | kEce)) && (p[t + 12] & 0x0f) == 0;
    parsed.mergeable = parsed.known && kinds.tcp && plain && parsed.header < p.size();
  } else if (ip && protocol == kUdp && p.size() >= t + 8) {
    parsed.udp = true;
    parsed.header = t + 8;
    parsed.known = get16(p, t + 4) == p.size() - t;
    parsed.mergeable = parsed.known && kinds.udp && get16(p, t + 6) != 0 && parsed.header < p.size();
  }
  if (parsed.known) parsed.payload = p.size() - parsed.header;
  return parsed;
}

std::span<const Coalescer::Output> Coalescer::run(std::span<const ByteSpan> packets, Kinds kinds) {
  packets_ = packets;
  groups_.clear();
  open_.fill({});
  next_.assign(packets.size(), 0);
  for (uint32_t i = 0; i < packets.size(); ++i) {
    const Parsed parsed = parse(packets[i], kinds);
    if (!parsed.known) {
      // It may belong to any flow (a fragment, say): nothing that comes later may go before it.
      open_.fill({});
      start(Parsed{}, i);
      continue;
    }
    Group* g = open_group(packets[i], parsed);
    if (g && g->open && parsed.mergeable && join(*g, packets[i], parsed, i)) continue;
    if (g) {
      g->open = false;
      std::copy(open_.begin() + 1, open_.end(), open_.begin());
      open_.back() = {};
    }
    start(parsed, i);
  }
  finish();
  return outputs_;
}

// The header of the first packet with the group's lengths, and the pseudo-header's sum instead of a checksum.
void Coalescer::write_header(const Group& g, std::array<uint8_t, kMaxHeader>& header, PacketOffload& offload) const {
  const ByteSpan first = packets_[g.first];
  std::copy_n(first.begin(), g.header, header.begin());
  const size_t t = g.v4 ? 20 : 40;
  const size_t total = g.header + g.payload;
  if (g.v4) {
    put16(header, 2, total);
    put16(header, 10, 0);
    put16(header, 10, static_cast<uint16_t>(~ones_sum(ByteSpan{header}.first(20))));
  } else {
    put16(header, 4, total - 40);
  }
  const size_t checksum_offset = g.udp ? 6 : 16;
  if (g.udp) {
    put16(header, t + 4, total - t);
  } else if (g.push) {
    header[t + 13] = static_cast<uint8_t>(header[t + 13] | kPush);
  }
  put16(header, t + checksum_offset, pseudo_header_sum(header, g.udp ? kUdp : kTcp, total - t));
  offload.kind = g.udp ? PacketOffload::Kind::udp : g.v4 ? PacketOffload::Kind::tcp4 : PacketOffload::Kind::tcp6;
  offload.partial_checksum = true;
  offload.segment_size = static_cast<uint16_t>(g.segment);
  offload.checksum_start = static_cast<uint16_t>(t);
  offload.checksum_offset = static_cast<uint16_t>(checksum_offset);
  offload.header_size = static_cast<uint16_t>(g.header);
}

void Coalescer::finish() {
  // Sized first: the outputs view into these.
  if (headers_.size() < groups_.size()) headers_.resize(groups_.size());
  pieces_.clear();
  pieces_.reserve(packets_.size());
  members_.clear();
  members_.reserve(packets_.size());
  outputs_.clear();
  for (size_t i = 0; i < groups_.size(); ++i) {
    const Group& g = groups_[i];
    Output out;
    const size_t begin = pieces_.size();
    const size_t skip = g.count > 1 ? g.header : 0;
    for (uint32_t m = g.first + 1; m != 0; m = next_[m - 1]) {
      pieces_.push_back(packets_[m - 1].subspan(skip));
      members_.push_back(m - 1);
      out.size += pieces_.back().size();
    }
    if (g.count > 1) {
      write_header(g, headers_[i], out.offload);
      out.header = ByteSpan{headers_[i]}.first(g.header);
      out.size += g.header;
    }
    out.pieces = std::span<const ByteSpan>(pieces_).subspan(begin);
    out.members = std::span<const uint32_t>(members_).subspan(begin);
    outputs_.push_back(out);
  }
}

}  // namespace hawser
