// The pump, in the order in which a packet meets it: out of the TUN, through the engine, into a socket; then back.
#include "client/pump.h"

#include <algorithm>

#include "platform/clock.h"

namespace hawser::client {
namespace {

constexpr size_t kPacketsPerTurn = 64;     // from the TUN, before the sockets get their turn
constexpr size_t kDatagramsPerTurn = 256;  // of one socket, before the TUN and other sockets get their turn
constexpr size_t kScrapBuffer = 2048;      // above the tunnel's MTU
constexpr int kEventsPerTurn = 1024;

}  // namespace

Pump::Pump(EventLoop& loop, Endpoint& engine)
    : loop_(loop),
      engine_(engine),
      timer_(loop.make_timer([this] {
        engine_.on_timer(now());
        deliver();
      })),
      hook_(loop.before_sleep([this] { before_sleep(); })),
      packets_(kPacketsPerTurn),
      packet_buffers_(kPacketsPerTurn),
      packet_sizes_(kPacketsPerTurn) {}

void Pump::attach_tun(TunDevice& tun) {
  tun_ = &tun;
  tun_watch_ = loop_.watch_fd(tun.fd(), Interest::read, [this](EventLoop::Ready) { read_tun(); });
}

void Pump::add_link(LinkId id, UdpSocket socket) {
  auto link = std::make_unique<Link>(Link{.id = id, .socket = std::move(socket), .watch = {}, .unsent = {}});
  Link* l = link.get();
  l->watch = loop_.watch_fd(l->socket.fd(), Interest::read, [this, l](EventLoop::Ready ready) {
    if (ready.writable && l->blocked) resume(*l, now());
    if (ready.readable) read_socket(*l);
  });
  links_[id.value] = std::move(link);
}

void Pump::remove_link(LinkId id) {
  links_.erase(id.value);
}

Status Pump::mark_link(LinkId id, uint32_t mark) {
  const auto it = links_.find(id.value);
  return it == links_.end() ? Done{} : it->second->socket.set_mark(mark);
}

const UdpSocket::Counters* Pump::counters(LinkId id) const {
  const auto it = links_.find(id.value);
  return it == links_.end() ? nullptr : &it->second->socket.counters();
}

uint64_t Pump::sent(LinkId id) const {
  const auto* c = counters(id);
  return c == nullptr ? 0 : c->sent_datagrams;
}

OffloadState Pump::offload() const {
  OffloadState state;
  if (tun_ != nullptr) tun_->add_to(state);
  for (const auto& [id, link] : links_) link->socket.add_to(state);
  return state;
}

// ---- from the TUN to the sockets ----------------------------------------------------------------------------------

void Pump::read_tun() {
  // A super-packet is read to its end: the descriptor does not tell that packets of it are left.
  do {
    read_tun_batch();
  } while (tun_ != nullptr && tun_->has_rest());
}

void Pump::read_tun_batch() {
  size_t room = 0;
  for (; room < kPacketsPerTurn; ++room) {
    Packet& p = packets_[room];
    p = engine_.pool().allocate();
    if (!p) break;
    packet_buffers_[room] = p.writable();
  }
  if (room == 0) {
    // The pool is at its bound. The packet is read and dropped, as a full queue would: left in the TUN it would wake
    // us for ever.
    uint8_t scratch[kScrapBuffer];
    const MutableByteSpan buffer(scratch);
    size_t size = 0;
    unbuffered_packets_ += tun_->read_batch({&buffer, 1}, {&size, 1});
    return;
  }
  const size_t count = tun_->read_batch(std::span(packet_buffers_).first(room), std::span(packet_sizes_).first(room));
  for (size_t i = 0; i < count; ++i) packets_[i].resize(packet_sizes_[i]);
  if (count > 0) engine_.on_packets(std::span(packets_).first(count), now());
  for (size_t i = 0; i < room; ++i) packets_[i] = Packet{};
}

void Pump::inject(ByteSpan bytes) {
  Packet p = engine_.pool().copy_of(bytes);
  if (p) engine_.on_packets({&p, 1}, now());
}

void Pump::transmit(Time at) {
  while (engine_.poll_transmit(transmit_, at)) {
    const auto it = links_.find(transmit_.to.link.value);
    if (it == links_.end()) continue;  // the link went a moment ago; the engine learns it by its LinkDown
    Link& link = *it->second;
    if (link.blocked) {
      // Only what may not wait is offered to a blocked link: it is lost here like in a full queue.
      refused_datagrams_ += transmit_.count;
      continue;
    }
    std::swap(link.unsent, transmit_);
    link.unsent_offset = 0;
    send(link, at);
  }
}

void Pump::send(Link& link, Time at) {
  const TransmitBatch& batch = link.unsent;
  const ByteSpan rest = batch.bytes().subspan(link.unsent_offset);
  if (rest.empty()) return;
  const bool several = rest.size() > batch.segment_size;
  const SendItem item{.bytes = rest,
                      .remote = batch.to.remote,
                      .local = {},
                      .ecn = batch.ecn,
                      .segment_size = several ? batch.segment_size : size_t{0}};
  const SendResult result = link.socket.send({&item, 1});
  switch (result.error) {
    case SendError::none:
      return;
    case SendError::would_block:
      link.unsent_offset += result.partial_bytes;
      link.blocked = true;
      link.watch.set_interest(Interest::read_write);
      engine_.on_writable(link.id, false, at);
      return;
    case SendError::message_too_big:
      // Lost, as on any path whose MTU is smaller than believed: path MTU discovery finds out.
      ++refused_datagrams_;
      return;
    case SendError::unreachable:
    case SendError::other:
      ++refused_datagrams_;
      engine_.on_path_event(LinkTrouble{link.id}, at);
      return;
  }
}

void Pump::resume(Link& link, Time at) {
  link.blocked = false;
  send(link, at);
  if (link.blocked) return;
  link.watch.set_interest(Interest::read);
  engine_.on_writable(link.id, true, at);
}

// ---- from a socket to the TUN -------------------------------------------------------------------------------------

void Pump::read_socket(Link& link) {
  size_t taken = 0;
  do {
    datagrams_.clear();
    for (const ReceiveSlot& slot : receive_buffers_.receive(link.socket)) {
      if (slot.truncated) continue;
      for_each_datagram(slot, [&](MutableByteSpan bytes) {
        datagrams_.push_back({.bytes = bytes,
                              .from = {.link = link.id, .local = link.socket.local(), .remote = slot.remote},
                              .ecn = slot.ecn,
                              .received_at = slot.at});
      });
    }
    if (!datagrams_.empty()) engine_.on_datagrams(datagrams_, now());
    deliver();
    taken += datagrams_.size();
  } while (receive_buffers_.was_full() && taken < kDatagramsPerTurn);
}

void Pump::deliver() {
  while (engine_.poll_deliver(delivered_)) {
    for_tun_.clear();
    for (const ByteSpan packet : delivered_.packets) {
      if (filter_ && filter_(packet)) continue;
      for_tun_.push_back(packet);
    }
    if (tun_ != nullptr && !for_tun_.empty()) tun_->write_batch(for_tun_);
  }
}

// ---- once per turn ------------------------------------------------------------------------------------------------

void Pump::before_sleep() {
  flush();
  timer_.set_deadline(engine_.next_timeout());
}

void Pump::flush() {
  transmit(now());
  Event event;
  // The handler may give the engine new links, which then have something to send.
  for (int i = 0; i < kEventsPerTurn && engine_.poll_event(event); ++i) {
    if (event_handler_) event_handler_(event);
    transmit(now());
  }
  deliver();
}

}  // namespace hawser::client
