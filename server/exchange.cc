// Rings between workers: records of a header and the bytes of a datagram or packet.
#include "server/exchange.h"

#include <cstring>
#include <type_traits>

namespace hawser::server {

Exchange::Exchange(Steering steering, size_t ring_bytes) : steering_(steering), rings_(size_t{steering.workers} * steering.workers) {
  for (uint32_t from = 0; from < steering.workers; ++from) {
    for (uint32_t to = 0; to < steering.workers; ++to) {
      if (from != to) rings_[from * steering.workers + to] = std::make_unique<Ring>(ring_bytes);
    }
  }
}

Door::Door(Exchange& exchange, uint32_t self, std::function<void(uint32_t)> wake)
    : exchange_(exchange), self_(self), wake_(std::move(wake)), got_something_(exchange.steering().workers) {}

bool Door::put(uint32_t worker, const Header& header, ByteSpan bytes) {
  static_assert(std::is_trivially_copyable_v<Header>);
  Ring& ring = exchange_.ring(self_, worker);
  const MutableByteSpan record = ring.reserve(sizeof header + bytes.size());
  if (record.empty()) {
    ++counters_.dropped;
    return false;
  }
  std::memcpy(record.data(), &header, sizeof header);
  std::memcpy(record.data() + sizeof header, bytes.data(), bytes.size());
  ring.publish();
  got_something_[worker] = 1;
  return true;
}

bool Door::hand_on(const ReceivedDatagram& d) {
  const uint32_t owner = exchange_.steering().of_datagram(d.bytes);
  if (owner == self_) return false;
  if (put(owner, {false, d.ecn, d.from, d.received_at}, d.bytes)) ++counters_.datagrams;
  return true;
}

bool Door::hand_on(ByteSpan packet) {
  const uint32_t owner = exchange_.steering().of_packet(packet);
  if (owner == self_) return false;
  if (put(owner, {true, 0, {}, {}}, packet)) ++counters_.packets;
  return true;
}

void Door::wake_others() {
  for (uint32_t worker = 0; worker < got_something_.size(); ++worker) {
    if (got_something_[worker] == 0) continue;
    got_something_[worker] = 0;
    wake_(worker);
  }
}

size_t Door::take(std::vector<ReceivedDatagram>& datagrams, std::vector<ByteSpan>& packets, size_t limit) {
  const uint32_t workers = exchange_.steering().workers;
  size_t taken = 0;
  for (uint32_t i = 0; i < workers; ++i) {
    const uint32_t from = (next_ring_ + i) % workers;
    if (from == self_) continue;
    Ring& ring = exchange_.ring(from, self_);
    for (; taken < limit; ++taken) {
      const MutableByteSpan record = ring.next();
      if (record.empty()) break;
      Header header;
      std::memcpy(&header, record.data(), sizeof header);
      const MutableByteSpan bytes = record.subspan(sizeof header);
      if (header.is_packet) packets.push_back(bytes);
      else datagrams.push_back({bytes, header.from, header.ecn, header.received_at});
    }
  }
  next_ring_ = (next_ring_ + 1) % workers;
  return taken;
}

void Door::release() {
  for (uint32_t from = 0; from < exchange_.steering().workers; ++from) {
    if (from != self_) exchange_.ring(from, self_).release();
  }
}

}  // namespace hawser::server
