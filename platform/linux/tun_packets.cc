// Packets out of and into a TUN device, with super-packets where the kernel knows them: every packet then has a
// virtio-net header in front. Debian 12's headers do not know UDP segmentation yet, and C++ does not read
// <linux/virtio_net.h>.
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "common/coalesce.h"
#include "platform/tun.h"

namespace hawser {
namespace {

// struct virtio_net_hdr, legacy form, as IFF_VNET_HDR has it: the machine's byte order.
struct VirtioHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t header_size = 0;
  uint16_t segment_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
};
static_assert(sizeof(VirtioHeader) == 10);
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoUdp = 5, kGsoEcn = 0x80;

constexpr unsigned kTcpBits = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
constexpr unsigned kUdpBits = 0x20 | 0x40;  // TUN_F_USO4, TUN_F_USO6 (Linux 6.2)

constexpr size_t kMaxPacket = 65'535;
constexpr size_t kBufferMax = 9216;  // of read_batch's buffers, what of one is used

// False when the kernel's word is none that we asked for.
bool from_virtio(const VirtioHeader& h, PacketOffload& out) {
  switch (h.gso_type & ~kGsoEcn) {
    case 0:
      out.kind = PacketOffload::Kind::none;
      break;
    case kGsoTcp4:
      out.kind = PacketOffload::Kind::tcp4;
      break;
    case kGsoTcp6:
      out.kind = PacketOffload::Kind::tcp6;
      break;
    case kGsoUdp:
      out.kind = PacketOffload::Kind::udp;
      break;
    default:
      return false;
  }
  out.partial_checksum = (h.flags & kNeedsChecksum) != 0;
  out.segment_size = h.segment_size;
  out.checksum_start = h.checksum_start;
  out.checksum_offset = h.checksum_offset;
  // A super-packet's checksum is always partial; one that is not would be cut with made-up checksums.
  return out.kind == PacketOffload::Kind::none || out.partial_checksum;
}

VirtioHeader to_virtio(const PacketOffload& o) {
  VirtioHeader h;
  if (o.kind == PacketOffload::Kind::none) return h;
  h.flags = kNeedsChecksum;
  h.gso_type = o.kind == PacketOffload::Kind::udp ? kGsoUdp : o.kind == PacketOffload::Kind::tcp4 ? kGsoTcp4 : kGsoTcp6;
  h.header_size = o.header_size;
  h.segment_size = o.segment_size;
  h.checksum_start = o.checksum_start;
  h.checksum_offset = o.checksum_offset;
  return h;
}

}  // namespace

struct TunDevice::Offloader {
  Segmenter segmenter;
  Coalescer coalescer;
  std::vector<uint8_t> memory = std::vector<uint8_t>(kMaxPacket + 1);  // of the super-packet being cut
  std::vector<iovec> vectors;
};

TunDevice::TunDevice(UniqueFd fd, std::string name, uint32_t index)
    : fd_(std::move(fd)), name_(std::move(name)), index_(index) {}
TunDevice::TunDevice(TunDevice&&) noexcept = default;
TunDevice& TunDevice::operator=(TunDevice&&) noexcept = default;
TunDevice::~TunDevice() = default;

void TunDevice::negotiate(TunOffload wanted) {
  offloader_ = std::make_unique<Offloader>();
  // Without any of these the header is there all the same, and always empty.
  if (::ioctl(fd_.get(), TUNSETOFFLOAD, kTcpBits) != 0) return;
  reads_.tcp = writes_.tcp = true;
  if (wanted.udp && ::ioctl(fd_.get(), TUNSETOFFLOAD, kTcpBits | kUdpBits) == 0) reads_.udp = writes_.udp = true;
}

// Offloads are the device's; what is put together and cut is each descriptor's own.
void TunDevice::share_offloads(const TunDevice& of) {
  if (of.has_header()) offloader_ = std::make_unique<Offloader>();
  reads_ = of.reads_;
  writes_ = of.writes_;
}

void TunDevice::add_to(OffloadState& s) const {
  s.tun_tso = s.tun_tso || (reads_.tcp && writes_.tcp);
  s.tun_uso = s.tun_uso || (reads_.udp && writes_.udp);
  s.tun_read += counters_.read_super;
  s.tun_written += counters_.written_super;
  s.fallbacks += counters_.fallbacks;
}

// ---- out of the device --------------------------------------------------------------------------------------------

bool TunDevice::has_rest() const {
  return offloader_ != nullptr && !offloader_->segmenter.done();
}

// One packet into `buffer`; with a header in use, what does not fit goes on in the offloader's memory. Returns its
// size, 0 when nothing waits (or what came was dropped: see `malformed`).
ssize_t TunDevice::read_plain(MutableByteSpan buffer) {
  ssize_t n = 0;
  do {
    n = ::read(fd_.get(), buffer.data(), buffer.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EBADFD) gone_ = true;
  return n;
}

// Cuts what is left of the super-packet into the buffers. A segment that does not fit its buffer is dropped, as a
// packet above the MTU would be.
size_t TunDevice::cut_rest(std::span<const MutableByteSpan> buffers, std::span<size_t> sizes) {
  Segmenter& s = offloader_->segmenter;
  size_t count = 0;
  while (count < buffers.size() && !s.done()) {
    const size_t size = s.next_size();
    if (size > buffers[count].size()) {
      ++counters_.read_malformed;
      s = Segmenter{};
      break;
    }
    s.next(buffers[count]);
    sizes[count++] = size;
    counters_.read_bytes += size;
  }
  return count;
}

size_t TunDevice::read_batch(std::span<const MutableByteSpan> buffers, std::span<size_t> sizes) {
  const size_t room = std::min(buffers.size(), sizes.size());
  size_t count = 0;
  if (has_rest()) {
    count = cut_rest(buffers.first(room), sizes);
    counters_.read_packets += count;
    return count;
  }
  while (count < room && !has_rest()) {
    if (!offloader_) {
      const ssize_t n = read_plain(buffers[count]);
      if (n <= 0) break;
      sizes[count++] = static_cast<size_t>(n);
      counters_.read_bytes += static_cast<uint64_t>(n);
      continue;
    }
    // Straight into the caller's buffer; only a super-packet needs more room, and is put together in our memory.
    VirtioHeader header;
    const MutableByteSpan buffer = buffers[count].first(std::min(buffers[count].size(), kBufferMax));
    uint8_t* const rest = offloader_->memory.data() + buffer.size();
    const std::array<iovec, 3> vectors{
        {{&header, sizeof header}, {buffer.data(), buffer.size()}, {rest, kMaxPacket - buffer.size()}}};
    ssize_t n = 0;
    do {
      n = ::readv(fd_.get(), vectors.data(), static_cast<int>(vectors.size()));
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EBADFD) gone_ = true;
    if (n < static_cast<ssize_t>(sizeof header)) break;
    const size_t size = static_cast<size_t>(n) - sizeof header;
    PacketOffload offload;
    const bool understood = from_virtio(header, offload);
    const bool super = offload.kind != PacketOffload::Kind::none;
    if (understood && !super && !offload.partial_checksum && size <= buffer.size()) {
      sizes[count++] = size;
      counters_.read_bytes += size;
      continue;
    }
    std::memcpy(offloader_->memory.data(), buffer.data(), std::min(size, buffer.size()));
    if (!understood || !offloader_->segmenter.begin(MutableByteSpan(offloader_->memory).first(size), offload)) {
      ++counters_.read_malformed;
      offloader_->segmenter = Segmenter{};
      continue;
    }
    counters_.read_super += super ? 1 : 0;
    count += cut_rest(buffers.subspan(count, room - count), sizes.subspan(count));
  }
  counters_.read_packets += count;
  return count;
}

// ---- into the device ----------------------------------------------------------------------------------------------

void TunDevice::count_write(bool taken, int error, size_t packets, size_t bytes) {
  if (taken) {
    counters_.written_packets += packets;
    counters_.written_bytes += bytes;
  } else if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
    counters_.write_full += packets;
  } else {
    if (error == EBADFD) gone_ = true;
    counters_.write_refused += packets;
  }
}

void TunDevice::write_plain(ByteSpan packet) {
  VirtioHeader header;
  std::array<iovec, 2> vectors{{{&header, sizeof header}, {const_cast<uint8_t*>(packet.data()), packet.size()}}};
  const size_t skip = offloader_ ? 0 : 1;
  ssize_t n = 0;
  do {
    n = ::writev(fd_.get(), vectors.data() + skip, static_cast<int>(vectors.size() - skip));
  } while (n < 0 && errno == EINTR);
  count_write(n >= 0, errno, 1, packet.size());
}

size_t TunDevice::write_batch(std::span<const ByteSpan> packets) {
  if (!offloader_ || packets.size() == 1) {
    for (const ByteSpan packet : packets) write_plain(packet);
    return packets.size();
  }
  std::vector<iovec>& vectors = offloader_->vectors;
  for (const Coalescer::Output& out : offloader_->coalescer.run(packets, {writes_.tcp, writes_.udp})) {
    const bool udp = out.offload.kind == PacketOffload::Kind::udp;
    if (out.header.empty() || !(udp ? writes_.udp : writes_.tcp)) {
      for (const uint32_t m : out.members) write_plain(packets[m]);
      continue;
    }
    VirtioHeader header = to_virtio(out.offload);
    vectors.clear();
    vectors.push_back({&header, sizeof header});
    vectors.push_back({const_cast<uint8_t*>(out.header.data()), out.header.size()});
    for (const ByteSpan piece : out.pieces) vectors.push_back({const_cast<uint8_t*>(piece.data()), piece.size()});
    ssize_t n = 0;
    do {
      n = ::writev(fd_.get(), vectors.data(), static_cast<int>(vectors.size()));
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EINVAL) {
      // A kernel that takes the option but not the packet (Linux 6.6.44 and 6.10.3 did): without it from now on.
      ++counters_.fallbacks;
      (udp ? writes_.udp : writes_.tcp) = false;
      for (const uint32_t m : out.members) write_plain(packets[m]);
      continue;
    }
    counters_.written_super += n >= 0 ? 1 : 0;
    count_write(n >= 0, errno, out.members.size(), out.size);
  }
  return packets.size();
}

}  // namespace hawser
