// The way of a packet, top to bottom: from a socket through the engine to the TUN, then from the TUN to a socket.
#include "server/pump.h"

#include <algorithm>

#include "platform/clock.h"

namespace hawser::server {

Pump::Pump(EventLoop& loop, Endpoint& endpoint, TunDevice& tun, std::vector<UdpSocket> sockets, Door* door)
    : endpoint_(endpoint), tun_(tun), door_(door), discard_(kDiscardRoom) {
  for (UdpSocket& udp : sockets) {
    const LinkId link{static_cast<uint32_t>(sockets_.size())};
    sockets_.push_back(std::make_unique<Socket>(Socket{std::move(udp), link, {}, {}}));
    Socket* socket = sockets_.back().get();
    socket->watch = loop.watch_fd(socket->udp.fd(), Interest::read,
                                  [this, socket](EventLoop::Ready ready) { on_socket(*socket, ready); });
  }
  if (tun_.readable()) tun_watch_ = loop.watch_fd(tun_.fd(), Interest::read, [this](EventLoop::Ready) { on_tun(); });
}

Pump::~Pump() = default;

// ---- from the sockets to the TUN ----------------------------------------------------------------------------------

void Pump::on_socket(Socket& socket, EventLoop::Ready ready) {
  if (ready.writable && !socket.held.empty()) resume(socket, now());
  if (ready.readable) receive(socket);
}

void Pump::receive(Socket& socket) {
  size_t taken = 0;
  do {
    datagrams_.clear();
    for (const ReceiveSlot& slot : receive_buffers_.receive(socket.udp)) {
      if (slot.truncated) {
        ++counters_.truncated;
        continue;
      }
      // `local` carries the address and, as its scope, the interface it came by: the engine answers from there.
      for_each_datagram(slot, [&](MutableByteSpan bytes) {
        take_in({bytes, {socket.link, slot.local, slot.remote}, slot.ecn, slot.at});
        ++taken;
      });
    }
    if (door_) door_->wake_others();
    if (!datagrams_.empty()) {
      const Time at = now();
      endpoint_.on_datagrams(datagrams_, at);
      flush(at);  // before the buffers are filled again: delivered packets may still lie in them
    }
  } while (receive_buffers_.was_full() && taken < kDatagramsPerTurn);
}

void Pump::take_in(ReceivedDatagram datagram) {
  if (door_ && door_->hand_on(datagram)) return;
  datagrams_.push_back(datagram);
}

void Pump::on_door() {
  for (int round = 0; round < kBatchesPerTurn; ++round) {
    datagrams_.clear();
    handed_packets_.clear();
    if (door_->take(datagrams_, handed_packets_, kBatch) == 0) return;
    const Time at = now();
    if (!datagrams_.empty()) endpoint_.on_datagrams(datagrams_, at);
    for (const ByteSpan bytes : handed_packets_) {
      Packet packet = endpoint_.pool().copy_of(bytes);
      if (packet) endpoint_.on_packets(std::span(&packet, 1), at);
      else ++counters_.no_buffer;
    }
    flush(at);  // before the rings' room is given back: delivered packets may still lie in it
    door_->release();
  }
  door_->wake_self();
}

void Pump::deliver() {
  while (endpoint_.poll_deliver(delivered_)) tun_.write_batch(delivered_.packets);
}

// ---- from the TUN to the sockets ----------------------------------------------------------------------------------

void Pump::on_tun() {
  // A super-packet is read to its end: the descriptor does not tell that packets of it are left.
  for (int round = 0; round < kBatchesPerTurn || tun_.has_rest(); ++round) {
    size_t room = 0;
    for (; room < kBatch; ++room) {
      Packet& packet = tun_packets_[room];
      if (!packet) packet = endpoint_.pool().allocate();
      if (!packet) break;
      tun_buffers_[room] = packet.writable();
    }
    if (room == 0) {
      if (discard_from_tun() < kBatch) return;
      continue;
    }
    const size_t filled = tun_.read_batch(std::span(tun_buffers_).first(room), tun_sizes_);
    if (filled == 0) return;
    for (size_t i = 0; i < filled; ++i) tun_packets_[i].resize(tun_sizes_[i]);
    const size_t own = door_ ? keep_own_packets(filled) : filled;
    const Time at = now();
    endpoint_.on_packets(std::span(tun_packets_).first(own), at);
    // What the engine did not take is let go; its view was narrowed and must not be filled again.
    for (size_t i = 0; i < filled; ++i) tun_packets_[i] = Packet{};
    flush(at);
    if (filled < room) return;
  }
}

// Hands on what is for other workers' users; how many are left, at the front.
size_t Pump::keep_own_packets(size_t filled) {
  size_t own = 0;
  for (size_t i = 0; i < filled; ++i) {
    if (door_->hand_on(tun_packets_[i].bytes())) continue;
    std::swap(tun_packets_[own++], tun_packets_[i]);
  }
  door_->wake_others();
  return own;
}

// With every buffer in use packets are read and dropped: unread they would keep the loop turning without end.
size_t Pump::discard_from_tun() {
  tun_buffers_.fill(discard_);
  const size_t dropped = tun_.read_batch(tun_buffers_, tun_sizes_);
  counters_.no_buffer += dropped;
  return dropped;
}

void Pump::flush(Time now) {
  deliver();
  transmit(now);
}

// Several bursts are gathered and go out in one system call per socket.
void Pump::transmit(Time now) {
  size_t count;
  do {
    for (count = 0; count < transmit_.size() && endpoint_.poll_transmit(transmit_[count], now);) ++count;
    for (size_t begin = 0, end; begin < count; begin = end) {
      const LinkId link = transmit_[begin].to.link;
      for (end = begin + 1; end < count && transmit_[end].to.link == link;) ++end;
      if (link.value < sockets_.size()) send(*sockets_[link.value], std::span(transmit_).subspan(begin, end - begin), now);
    }
  } while (count == transmit_.size());
}

void Pump::send(Socket& socket, std::span<const TransmitBatch> batches, Time now) {
  items_.clear();
  for (const TransmitBatch& b : batches) {
    items_.push_back({b.bytes(), b.to.remote, b.to.local, b.ecn, b.count > 1 ? b.segment_size : size_t{0}});
  }
  const std::span<SendItem> items(items_);
  bool full = !socket.held.empty();
  const size_t done = full ? 0 : offer(socket, items, full);
  if (!full) return;
  const bool news = socket.held.empty();
  hold(socket, items.subspan(done));
  if (news) {
    socket.watch.set_interest(Interest::read_write);
    endpoint_.on_writable(socket.link, false, now);
  }
}

// Returns how many items are dealt with; `full` when the socket would take the next one later. An item that the kernel
// refuses is lost like on a wire: the engine's loss detection sees it.
size_t Pump::offer(Socket& socket, std::span<SendItem> items, bool& full) {
  size_t done = 0;
  while (done < items.size()) {
    const SendResult result = socket.udp.send(items.subspan(done));
    done += result.items;
    if (done == items.size()) break;
    SendItem& next = items[done];
    next.bytes = next.bytes.subspan(result.partial_bytes);
    if (result.error == SendError::would_block) {
      full = true;
      break;
    }
    counters_.refused += next.segment_size != 0 ? (next.bytes.size() + next.segment_size - 1) / next.segment_size : 1;
    ++done;
  }
  return done;
}

void Pump::hold(Socket& socket, std::span<const SendItem> items) {
  for (const SendItem& item : items) {
    if (socket.held.size() == kMaxHeld) {
      ++counters_.refused;
      continue;
    }
    Held& held = socket.held.emplace_back();
    held.bytes.assign(item.bytes.begin(), item.bytes.end());
    held.item = item;
    held.item.bytes = held.bytes;
  }
}

void Pump::resume(Socket& socket, Time now) {
  items_.clear();
  for (const Held& held : socket.held) items_.push_back(held.item);
  bool full = false;
  const size_t done = offer(socket, items_, full);
  // The first that stays may have gone in part.
  if (done < items_.size()) socket.held[done].item.bytes = items_[done].bytes;
  socket.held.erase(socket.held.begin(), socket.held.begin() + static_cast<std::ptrdiff_t>(done));
  if (full) return;
  socket.watch.set_interest(Interest::read);
  endpoint_.on_writable(socket.link, true, now);
  flush(now);
}

uint64_t Pump::kernel_drops() const {
  uint64_t sum = 0;
  for (const auto& socket : sockets_) sum += socket->udp.counters().kernel_drops;
  return sum;
}

OffloadState Pump::offload() const {
  OffloadState state;
  tun_.add_to(state);
  for (const auto& socket : sockets_) socket->udp.add_to(state);
  return state;
}

std::vector<SocketAddress> Pump::listening() const {
  std::vector<SocketAddress> addresses;
  for (const auto& socket : sockets_) addresses.push_back(socket->udp.local());
  return addresses;
}

}  // namespace hawser::server
