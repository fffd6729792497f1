// The pump of client/pump.cc, for many engines: sockets and a TUN on one side, the engines on the other.
#include "tests/bench/fleet/fleet.h"

#include <algorithm>

#include "common/crypto/cipher.h"
#include "platform/clock.h"

namespace hawser::bench {
namespace {

constexpr size_t kPacketsPerTurn = 64;
constexpr size_t kDatagramsPerTurn = 256;
constexpr uint16_t kTunnelMtu = 1400;

// The source address of an IPv4 packet; unset for anything else.
IpAddress source_of(ByteSpan packet) {
  if (packet.size() < 20 || packet[0] >> 4 != 4) return {};
  return IpAddress::v4(packet.subspan(12, 4));
}

}  // namespace

StaticKeyPair key_of_user(size_t i) {
  std::array<uint8_t, 32> secret{};
  for (size_t b = 0; b < secret.size(); ++b) secret[b] = static_cast<uint8_t>((i >> (8 * (b % 4))) + 37 * b + 1);
  return StaticKeyPair::from_secret(SecretKey(std::span<const uint8_t, 32>(secret)));
}

Fleet::Fleet(EventLoop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      from_tun_(kPacketBuffer, 256u << 20),
      packets_(kPacketsPerTurn),
      packet_buffers_(kPacketsPerTurn),
      packet_sizes_(kPacketsPerTurn) {
  timer_ = loop_.make_timer([this] { on_timer(); });
  hook_ = loop_.before_sleep(
      [this] { timer_.set_deadline(deadlines_.empty() ? Time::infinite() : deadlines_.begin()->first); });
}

Result<std::unique_ptr<Fleet>> Fleet::create(EventLoop& loop, Options options) {
  std::unique_ptr<Fleet> fleet(new Fleet(loop, std::move(options)));
  for (size_t i = 0; i < fleet->options_.users; ++i) {
    auto socket =
        UdpSocket::open_client(fleet->options_.interface, fleet->options_.local, {.send = true, .receive = true});
    if (!socket) return socket.error();
    auto user = std::make_unique<User>();
    User* u = user.get();
    u->index = i;
    u->keys = key_of_user(i);
    u->socket = std::make_unique<UdpSocket>(std::move(*socket));
    u->watch = loop.watch_fd(u->socket->fd(), Interest::read, [f = fleet.get(), u](EventLoop::Ready ready) {
      if (u->blocked && ready.writable) f->resume(*u, now());
      if (ready.readable) f->read_socket(*u);
    });
    fleet->users_.push_back(std::move(user));
  }
  return fleet;
}

// ---- handshakes
// ------------------------------------------------------------------------------------------------------------

void Fleet::start_handshakes(size_t in_flight, size_t most, std::function<void(Duration)> connected) {
  most_in_flight_ = in_flight;
  may_start_ = most;
  on_connected_ = std::move(connected);
  start_some();
}

void Fleet::start_some() {
  for (size_t tried = 0; may_start_ > 0 && in_flight_ < most_in_flight_ && tried < users_.size(); ++tried) {
    User& user = *users_[next_];
    next_ = (next_ + 1) % users_.size();
    if (user.connecting) continue;
    --may_start_;
    begin(user);
  }
}

void Fleet::begin(User& user) {
  if (user.connected) --connected_;
  user.connected = false;
  user.connecting = true;
  ++in_flight_;
  ClientConfig config;
  config.ciphers = supported_ciphers();
  config.cipher_factory = make_cipher;
  config.static_key = user.keys.clone();
  config.server_key = options_.server_key;
  user.began = now();
  user.engine = Endpoint::make_client(std::move(config), rng_);
  LinkUp up;
  up.link = LinkId{1};
  up.local = user.socket->local();
  up.remote = options_.server;
  up.interface = options_.interface;
  up.type = InterfaceType::ethernet;
  user.engine->on_path_event(up, user.began);
  flush(user);
}

void Fleet::on_event(User& user, const Event& event) {
  const auto* up = std::get_if<Connected>(&event);
  if (up == nullptr || !user.connecting) return;
  user.connecting = false;
  user.connected = true;
  ++connected_;
  --in_flight_;
  user.inner = up->accept.inner_v4;
  if (on_connected_) on_connected_(now() - user.began);
}

// ---- from the sockets to the TUN
// ---------------------------------------------------------------------------------------------

void Fleet::read_socket(User& user) {
  size_t taken = 0;
  do {
    datagrams_.clear();
    for (const ReceiveSlot& slot : receive_buffers_.receive(*user.socket)) {
      if (slot.truncated) continue;
      for_each_datagram(slot, [&](MutableByteSpan bytes) {
        datagrams_.push_back({bytes, {LinkId{1}, user.socket->local(), slot.remote}, slot.ecn, slot.at});
      });
    }
    if (!user.engine) return;
    if (!datagrams_.empty()) user.engine->on_datagrams(datagrams_, now());
    deliver(user);  // before the buffers are filled again
    taken += datagrams_.size();
  } while (receive_buffers_.was_full() && taken < kDatagramsPerTurn);
  settle(user);
}

void Fleet::deliver(User& user) {
  while (user.engine->poll_deliver(delivered_)) {
    if (tun_) tun_->write_batch(delivered_.packets);
  }
}

// ---- from the TUN to the sockets
// ---------------------------------------------------------------------------------------------

Result<std::vector<IpAddress>> Fleet::attach(size_t users) {
  auto tun = TunDevice::open("fleet0");
  if (!tun) return tun.error();
  tun_ = std::make_unique<TunDevice>(std::move(*tun));
  if (auto set = tun_->set_mtu(kTunnelMtu); !set) return set.error();
  std::vector<IpAddress> addresses;
  for (size_t i = 0; i < std::min(users, users_.size()); ++i) {
    User& user = *users_[i];
    if (!user.inner.is_set()) return Error{ExitCode::unexpected, "user " + std::to_string(i) + " has no inner address"};
    if (auto added = tun_->add_address({user.inner, 32}); !added) return added.error();
    by_inner_[user.inner] = &user;
    addresses.push_back(user.inner);
  }
  if (auto set = tun_->set_up(true); !set) return set.error();
  tun_watch_ = loop_.watch_fd(tun_->fd(), Interest::read, [this](EventLoop::Ready) { read_tun(); });
  return addresses;
}

void Fleet::read_tun() {
  do {
    size_t room = 0;
    for (; room < kPacketsPerTurn; ++room) {
      packets_[room] = from_tun_.allocate();
      if (!packets_[room]) break;
      packet_buffers_[room] = packets_[room].writable();
    }
    if (room == 0) return;  // 256 MB are in the engines' queues: never with what these hold at most
    const size_t count = tun_->read_batch(std::span(packet_buffers_).first(room), std::span(packet_sizes_).first(room));
    for (size_t i = 0; i < count; ++i) packets_[i].resize(packet_sizes_[i]);
    take_from_tun(count);
    for (size_t i = 0; i < room; ++i) packets_[i] = Packet{};
  } while (tun_->has_rest());
}

// Neighbours of one user go to his engine together.
void Fleet::take_from_tun(size_t count) {
  for (size_t begin = 0, end; begin < count; begin = end) {
    const IpAddress source = source_of(packets_[begin].bytes());
    for (end = begin + 1; end < count && source_of(packets_[end].bytes()) == source;) ++end;
    const auto it = by_inner_.find(source);
    if (it == by_inner_.end() || !it->second->engine) continue;
    it->second->engine->on_packets(std::span(packets_).subspan(begin, end - begin), now());
    settle(*it->second);
  }
}

void Fleet::transmit(User& user, Time at) {
  while (user.engine->poll_transmit(transmit_, at)) {
    if (user.blocked) continue;  // only what may not wait is offered: lost as in a full queue
    std::swap(user.unsent, transmit_);
    user.unsent_offset = 0;
    send(user, at);
  }
}

void Fleet::send(User& user, Time at) {
  const TransmitBatch& batch = user.unsent;
  const ByteSpan rest = batch.bytes().subspan(user.unsent_offset);
  if (rest.empty()) return;
  const size_t segment = rest.size() > batch.segment_size ? batch.segment_size : 0;
  const SendItem item{rest, batch.to.remote, {}, batch.ecn, segment};
  const SendResult result = user.socket->send({&item, 1});
  if (result.error != SendError::would_block) return;
  user.unsent_offset += result.partial_bytes;
  user.blocked = true;
  user.watch.set_interest(Interest::read_write);
  user.engine->on_writable(LinkId{1}, false, at);
}

void Fleet::resume(User& user, Time at) {
  user.blocked = false;
  send(user, at);
  if (user.blocked) return;
  user.watch.set_interest(Interest::read);
  user.engine->on_writable(LinkId{1}, true, at);
  settle(user);
}

// ---- time and what is due ------------------------------------------------------------------------------------------

void Fleet::on_timer() {
  const Time at = now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= at) {
    User& user = *users_[deadlines_.begin()->second];
    deadlines_.erase(deadlines_.begin());
    user.deadline = Time::infinite();
    user.engine->on_timer(at);
    settle(user);
  }
}

// At once and not at the end of the turn: nobody waits until others' curve operations are done, as in processes of
// their own.
void Fleet::settle(User& user) {
  flush(user);
  start_some();
}

void Fleet::flush(User& user) {
  transmit(user, now());
  for (Event event; user.engine->poll_event(event);) on_event(user, event);
  deliver(user);
  const Time deadline = user.engine->next_timeout();
  if (deadline == user.deadline) return;
  deadlines_.erase({user.deadline, user.index});
  user.deadline = deadline;
  if (deadline < Time::infinite()) deadlines_.insert({deadline, user.index});
}

}  // namespace hawser::bench
