// Cutting: validate once, then for each segment copy the header, patch what differs, copy the payload, sum.
#include "common/super_packet.h"

#include <algorithm>
#include <cstring>

#include "common/big_endian.h"
#include "common/checksum.h"

namespace hawser {
namespace {

constexpr uint8_t kTcp = 6, kUdp = 17;
constexpr uint8_t kFin = 0x01, kPush = 0x08, kCwr = 0x80;
constexpr size_t kUdpHeader = 8, kMinTcpHeader = 20;

uint16_t complement(uint16_t sum) {
  return static_cast<uint16_t>(~sum);
}

}  // namespace

bool Segmenter::begin_whole(const PacketOffload& offload) {
  header_ = packet_.size();
  at_ = 0;
  end_ = packet_.size();
  if (!offload.partial_checksum) return true;
  const size_t field = size_t{offload.checksum_start} + offload.checksum_offset;
  if (offload.checksum_start > packet_.size() || field + 2 > packet_.size()) return false;
  // The field holds the pseudo-header's sum: it is part of what is summed.
  const uint16_t sum = complement(ones_sum(packet_.subspan(offload.checksum_start)));
  const bool udp = offload.checksum_offset == 6;
  put16(packet_, field, udp && sum == 0 ? 0xffff : sum);  // RFC 768: zero would mean "no checksum"
  return true;
}

bool Segmenter::begin(MutableByteSpan packet, const PacketOffload& offload) {
  packet_ = packet;
  kind_ = offload.kind;
  index_ = 0;
  at_ = end_ = 0;
  if (kind_ == PacketOffload::Kind::none) return begin_whole(offload);

  if (packet.size() < 20) return false;
  v4_ = packet[0] >> 4 == 4;
  const bool udp = kind_ == PacketOffload::Kind::udp;
  const bool family_fits =
      v4_ ? kind_ != PacketOffload::Kind::tcp6 : packet[0] >> 4 == 6 && kind_ != PacketOffload::Kind::tcp4;
  transport_ = offload.checksum_start;
  segment_ = offload.segment_size;
  const size_t ip_header = v4_ ? size_t{packet[0] & 0xfu} * 4 : 40;
  // IPv6 extension headers may lie between; IPv4 has its options inside ip_header.
  const bool placed = v4_ ? transport_ == ip_header && ip_header >= 20 : transport_ >= ip_header;
  if (!family_fits || !placed || segment_ == 0) return false;
  if (transport_ + (udp ? kUdpHeader : kMinTcpHeader) > packet.size()) return false;
  const size_t transport_size = udp ? kUdpHeader : static_cast<size_t>(packet[transport_ + 12] >> 4) * 4;
  header_ = transport_ + transport_size;
  if (transport_size < (udp ? kUdpHeader : kMinTcpHeader) || header_ >= packet.size()) return false;
  pseudo_ = pseudo_header_sum(packet, udp ? kUdp : kTcp, 0);
  at_ = header_;
  end_ = packet.size();
  return true;
}

size_t Segmenter::next_size() const {
  if (kind_ == PacketOffload::Kind::none) return packet_.size();
  return header_ + std::min(segment_, end_ - at_);
}

void Segmenter::patch_ip(MutableByteSpan out) const {
  if (!v4_) {
    put16(out, 4, out.size() - 40);
    return;
  }
  put16(out, 2, out.size());
  put16(out, 4, static_cast<uint16_t>(get16(packet_, 4) + index_));
  put16(out, 10, 0);
  put16(out, 10, complement(ones_sum(out.first(transport_))));
}

void Segmenter::next(MutableByteSpan out) {
  if (kind_ == PacketOffload::Kind::none) {
    std::memcpy(out.data(), packet_.data(), packet_.size());
    at_ = end_;
    return;
  }
  out = out.first(next_size());
  const size_t payload = out.size() - header_;
  std::memcpy(out.data(), packet_.data(), header_);
  std::memcpy(out.data() + header_, packet_.data() + at_, payload);
  const bool last = at_ + payload == end_;
  patch_ip(out);
  const MutableByteSpan transport = out.subspan(transport_);
  size_t checksum_at = 6;
  if (kind_ == PacketOffload::Kind::udp) {
    put16(transport, 4, transport.size());
  } else {
    checksum_at = 16;
    put32(transport, 4, get32(transport, 4) + static_cast<uint32_t>(at_ - header_));
    if (!last) transport[13] = static_cast<uint8_t>(transport[13] & ~(kFin | kPush));
    if (index_ > 0) transport[13] = static_cast<uint8_t>(transport[13] & ~kCwr);
  }
  put16(transport, checksum_at, 0);
  const uint16_t length = static_cast<uint16_t>(transport.size());
  const uint16_t sum = complement(ones_add(ones_add(pseudo_, length), ones_sum(transport)));
  put16(transport, checksum_at, kind_ == PacketOffload::Kind::udp && sum == 0 ? 0xffff : sum);
  at_ += payload;
  ++index_;
}

}  // namespace hawser
