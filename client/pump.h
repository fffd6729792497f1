// The way of the bytes: TUN and sockets on one side, the engine on the other, driven by the event loop.
// Read pump.cc from the top to follow a packet from the TUN to a socket, and a datagram from a socket to the TUN.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/session/endpoint.h"
#include "platform/loop.h"
#include "platform/tun.h"
#include "platform/udp.h"

namespace hawser::client {

class Pump {
 public:
  // True when the packet is not for the TUN (the reply of a first round trip).
  using PacketFilter = std::function<bool(ByteSpan)>;

  // Everything must outlive the pump.
  Pump(EventLoop& loop, Endpoint& engine);
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  // Without a TUN (vpn-join) delivered packets end here.
  void attach_tun(TunDevice& tun);
  // Called for what the engine reports, outside any reading from sockets: it may add and remove links.
  void on_event(std::function<void(const Event&)> handler) { event_handler_ = std::move(handler); }
  void filter_delivered(PacketFilter filter) { filter_ = std::move(filter); }

  // A link is a socket; its LinkId is the caller's, used once.
  void add_link(LinkId link, UdpSocket socket);
  void remove_link(LinkId link);
  // See UdpSocket::set_mark().
  Status mark_link(LinkId link, uint32_t mark);
  const UdpSocket::Counters* counters(LinkId link) const;
  // Datagrams that were sent on a link; 0 for an unknown one.
  uint64_t sent(LinkId link) const;
  // Of the TUN and all links.
  OffloadState offload() const;

  // Puts a packet of our own into the tunnel.
  void inject(ByteSpan packet);
  // Sends what is due and works off events, now: before the process ends.
  void flush();

  // Packets from the TUN that found no buffer.
  uint64_t unbuffered_packets() const { return unbuffered_packets_; }
  // Datagrams a socket refused for good.
  uint64_t refused_datagrams() const { return refused_datagrams_; }

 private:
  struct Link {
    LinkId id;
    UdpSocket socket;
    EventLoop::FdWatch watch;
    TransmitBatch unsent;  // what a full socket did not take, from `unsent_offset` on
    size_t unsent_offset = 0;
    bool blocked = false;
  };

  void read_tun();
  void read_tun_batch();
  void read_socket(Link& link);
  void deliver();
  void before_sleep();
  void transmit(Time now);
  // Sends link.unsent from unsent_offset on; what a full socket does not take stays there.
  void send(Link& link, Time now);
  void resume(Link& link, Time now);

  EventLoop& loop_;
  Endpoint& engine_;
  TunDevice* tun_ = nullptr;
  EventLoop::FdWatch tun_watch_;
  EventLoop::Timer timer_;
  EventLoop::Hook hook_;
  std::function<void(const Event&)> event_handler_;
  PacketFilter filter_;
  std::map<uint32_t, std::unique_ptr<Link>> links_;

  // Reused for every batch: the steady state allocates nothing.
  std::vector<Packet> packets_;
  std::vector<MutableByteSpan> packet_buffers_;
  std::vector<size_t> packet_sizes_;
  ReceiveBuffers receive_buffers_;
  std::vector<ReceivedDatagram> datagrams_;
  DeliverBatch delivered_;
  std::vector<ByteSpan> for_tun_;
  TransmitBatch transmit_;
  uint64_t unbuffered_packets_ = 0, refused_datagrams_ = 0;
};

}  // namespace hawser::client
