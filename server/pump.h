// The way of a packet through the server: UDP sockets <-> Endpoint <-> TUN. Everything here is moving bytes in batches;
// every decision is the engine's. The functions in pump.cc stand in the order in which a packet meets them.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "common/session/endpoint.h"
#include "platform/loop.h"
#include "platform/tun.h"
#include "platform/udp.h"
#include "server/exchange.h"

namespace hawser::server {

class Pump {
 public:
  struct Counters {
    uint64_t truncated = 0;  // received datagrams longer than any of ours
    uint64_t refused = 0;    // datagrams the kernel would not send (unreachable, too big)
    uint64_t no_buffer = 0;  // packets from the TUN dropped because the engine's pool was at its bound
  };

  // The LinkId of a socket is its index in `sockets`, the same with every worker. `door` leads to the other workers; null
  // when there are none. All references must outlive the pump.
  Pump(EventLoop& loop, Endpoint& endpoint, TunDevice& tun, std::vector<UdpSocket> sockets, Door* door = nullptr);
  ~Pump();

  // Takes what other workers have handed to this one.
  void on_door();
  // Takes what the engine has now to TUN and sockets. Call after every call into the engine.
  void flush(Time now);

  const Counters& counters() const { return counters_; }
  // Datagrams that the kernel dropped because we were too slow, all sockets together.
  uint64_t kernel_drops() const;
  std::vector<SocketAddress> listening() const;
  // Of the TUN and all sockets.
  OffloadState offload() const;

 private:
  // Several datagrams for one destination that a full socket did not take.
  struct Held {
    std::vector<uint8_t> bytes;
    SendItem item;  // its bytes view the vector above
  };
  struct Socket {
    UdpSocket udp;
    LinkId link;
    EventLoop::FdWatch watch;
    std::deque<Held> held;  // not empty: the socket is full, the engine knows
  };

  static constexpr size_t kBatch = 64;
  static constexpr int kBatchesPerTurn = 4;          // then the other descriptors have their turn
  static constexpr size_t kDatagramsPerTurn = 256;   // of one socket
  static constexpr size_t kDiscardRoom = 9 * 1024;   // more than any TUN's MTU
  static constexpr size_t kTransmitBatches = 16;
  static constexpr size_t kMaxHeld = 64;

  void on_socket(Socket& socket, EventLoop::Ready ready);
  void receive(Socket& socket);
  void take_in(ReceivedDatagram datagram);
  void deliver();
  void on_tun();
  size_t keep_own_packets(size_t filled);
  size_t discard_from_tun();
  void transmit(Time now);
  void send(Socket& socket, std::span<const TransmitBatch> batches, Time now);
  size_t offer(Socket& socket, std::span<SendItem> items, bool& full);
  void hold(Socket& socket, std::span<const SendItem> items);
  void resume(Socket& socket, Time now);

  Endpoint& endpoint_;
  TunDevice& tun_;
  Door* const door_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  EventLoop::FdWatch tun_watch_;
  Counters counters_;

  // Reused for every batch, so that nothing is allocated per packet.
  ReceiveBuffers receive_buffers_;
  std::vector<ReceivedDatagram> datagrams_;
  std::vector<ByteSpan> handed_packets_;
  DeliverBatch delivered_;
  std::array<Packet, kBatch> tun_packets_;
  std::array<MutableByteSpan, kBatch> tun_buffers_;
  std::array<size_t, kBatch> tun_sizes_{};
  std::vector<uint8_t> discard_;
  std::array<TransmitBatch, kTransmitBatches> transmit_;
  std::vector<SendItem> items_;
};

}  // namespace hawser::server
