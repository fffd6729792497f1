// Joins sender, receiver and handshake. Stream offset 0 is sequence number 1; both sides start at 0.
#include "tests/sim/tcp/connection.h"

#include <algorithm>

namespace hawser::sim {
namespace {

constexpr uint32_t kFirst = 1;  // the SYN has sequence number 0

uint32_t to_wire(uint64_t offset) { return static_cast<uint32_t>(offset + kFirst); }
// The stream offset nearest to `around` that has this sequence number.
uint64_t from_wire(uint32_t seq, uint64_t around) {
  const auto difference = static_cast<int32_t>(seq - to_wire(around));
  const int64_t offset = static_cast<int64_t>(around) + difference;
  return offset < 0 ? 0 : static_cast<uint64_t>(offset);
}

}  // namespace

const TcpSenderStats TcpConnection::kNoStats;

TcpConnection::TcpConnection(EventLoop& loop, Host& host, uint16_t local_port, IpAddress peer, uint16_t peer_port,
                             const TcpSettings& settings, std::function<void(uint64_t)> on_bytes)
    : loop_(loop),
      host_(host),
      port_(local_port),
      peer_port_(peer_port),
      peer_(peer),
      settings_(settings),
      syn_timer_(loop, [this] { send_syn(); }),
      receiver_(loop, settings.window, [this] { send_segment(sender_ ? sender_->next_offset() : 0, 0); }, std::move(on_bytes)) {
  host.listen(local_port, peer_port, *this);
}

void TcpConnection::connect() {
  state_ = State::syn_sent;
  send_syn();
}

void TcpConnection::send_syn() {
  Segment s;
  s.syn = true;
  s.has_ack = state_ == State::syn_received;
  s.ack = kFirst;
  s.window = 65'535;
  s.mss = static_cast<uint16_t>(host_.mtu() - 40);
  s.echo = last_timestamp_;
  send(s);
  syn_sent_ = loop_.now();
  syn_timer_.set(loop_.now() + Duration::seconds(int64_t{1} << std::min(syn_tries_++, 5)));
}

void TcpConnection::write(uint64_t bytes) {
  if (sender_) {
    sender_->write(bytes);
  } else {
    written_early_ += bytes;
  }
}

void TcpConnection::stop() {
  written_early_ = 0;
  if (sender_) sender_->stop();
}

void TcpConnection::on_packet(ByteSpan packet) {
  const auto s = decode(packet);
  if (!s) return;
  if (s->syn) {
    last_timestamp_ = s->timestamp;
    if (state_ == State::syn_sent && s->has_ack) {
      establish(*s);
    } else if (state_ == State::listening || state_ == State::syn_received) {
      state_ = State::syn_received;
      if (!sender_) {
        const uint32_t mss = std::min<uint32_t>(s->mss, static_cast<uint32_t>(host_.mtu() - 40)) - 12;
        sender_ = std::make_unique<TcpSender>(loop_, settings_.congestion, mss,
                                              [this](uint64_t offset, uint32_t length) { send_segment(offset, length); });
        sender_->write(written_early_);
      }
      send_syn();
    } else {
      send_segment(sender_->next_offset(), 0);  // our answer to the SYN was lost
    }
    return;
  }
  if (state_ == State::syn_received && s->has_ack) {
    state_ = State::established;
    syn_timer_.cancel();
    sender_stats_ = true;
    measure_handshake();
    sender_->start(s->window);
    if (established_action_) established_action_();
  }
  if (state_ == State::established) on_data(*s);
}

// The first round trip, unless it is not known which SYN was answered.
void TcpConnection::measure_handshake() {
  if (syn_tries_ == 1) sender_->on_handshake(loop_.now() - syn_sent_);
}

void TcpConnection::establish(const Segment& s) {
  state_ = State::established;
  syn_timer_.cancel();
  const uint32_t mss = std::min<uint32_t>(s.mss, static_cast<uint32_t>(host_.mtu() - 40)) - 12;
  sender_ = std::make_unique<TcpSender>(loop_, settings_.congestion, mss,
                                        [this](uint64_t offset, uint32_t length) { send_segment(offset, length); });
  sender_stats_ = true;
  measure_handshake();
  send_segment(0, 0);
  sender_->write(written_early_);
  sender_->start(settings_.window);
  if (established_action_) established_action_();
}

void TcpConnection::on_data(const Segment& s) {
  const uint64_t ack = from_wire(s.ack, sender_->acknowledged());
  const uint64_t offset = from_wire(s.seq, receiver_.next());
  if (outdated(s, offset, ack)) {
    if (s.payload) receiver_.reject(offset, s.payload);
    return;
  }
  receiver_.on_timestamp(offset, s.timestamp);
  std::vector<std::pair<uint64_t, uint64_t>> sack;
  for (size_t i = 0; i < s.sack_count; ++i) sack.emplace_back(from_wire(s.sack[i].begin, ack), from_wire(s.sack[i].end, ack));
  sender_->on_ack(ack, sack, s.window, s.echo ? time_of(s.echo) : Time{});
  if (s.payload == 0) return;
  if (s.payload >= 8 && s.stream_offset != offset) ++mixed_up_;
  receiver_.on_segment(offset, s.payload);
}

// PAWS, with Linux' exception (tcp_disordered_ack): a duplicate ack that changes nothing may be a retransmission timeout old,
// for its SACK blocks are news. A pure ack that is rejected is not answered here; Linux answers two of them a second.
bool TcpConnection::outdated(const Segment& s, uint64_t offset, uint64_t ack) const {
  const int32_t behind = receiver_.behind(s.timestamp);
  if (behind <= TcpReceiver::kPawsWindow) return false;
  const bool pure = s.payload == 0 && offset == receiver_.next();
  const bool repeats = pure && ack == sender_->acknowledged() && s.window <= sender_->peer_window();
  return !repeats || Duration::millis(behind) > sender_->rtt().timeout();
}

void TcpConnection::send_segment(uint64_t offset, uint32_t length) {
  const TcpReceiver::Report report = receiver_.report();
  Segment s;
  s.has_ack = true;
  s.seq = to_wire(offset);
  s.ack = to_wire(report.next);
  s.window = static_cast<uint32_t>(std::min<uint64_t>(report.window, 1u << 30));
  s.echo = report.echo;
  s.payload = length;
  s.stream_offset = offset;
  // Data segments carry no SACK, so that they keep their size; a receiver that misses something also sends pure acks.
  for (const auto& [begin, end] : report.blocks) {
    if (length == 0 && s.sack_count < s.sack.size()) s.sack[s.sack_count++] = {to_wire(begin), to_wire(end)};
  }
  send(s);
}

void TcpConnection::send(Segment& s) {
  s.source = host_.address();
  s.destination = peer_;
  s.source_port = port_;
  s.destination_port = peer_port_;
  s.timestamp = timestamp();
  encode(s, buffer_);
  host_.send(buffer_);
}

Time TcpConnection::time_of(uint32_t stamp) const {
  const uint32_t age = timestamp() - stamp;
  return Time{(loop_.now().ns / kTick.ns - age) * kTick.ns};
}

}  // namespace hawser::sim
