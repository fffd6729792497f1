// What a worker got that belongs to another: rings between each two, for datagrams and packets that the kernel could not or
// would not steer. The packet path takes no lock; what finds a ring full is dropped and counted, as on a wire.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/session/events.h"
#include "common/steering.h"
#include "server/ring.h"

namespace hawser::server {

// The rings of all workers. Each is used by one thread at either end only, by its worker's Door.
class Exchange {
 public:
  static constexpr size_t kRingBytes = 2 << 20;  // some 1300 full datagrams: more than a turn of the loop brings

  explicit Exchange(Steering steering, size_t ring_bytes = kRingBytes);

  const Steering& steering() const { return steering_; }
  Ring& ring(uint32_t from, uint32_t to) { return *rings_[from * steering_.workers + to]; }

 private:
  const Steering steering_;
  std::vector<std::unique_ptr<Ring>> rings_;
};

// One worker's door to the others; used by its thread only.
class Door {
 public:
  // Outwards; a Door's counters, like all of a worker's, are read in its own thread.
  struct Counters {
    uint64_t datagrams = 0, packets = 0;  // handed on
    uint64_t dropped = 0;                 // the ring was full
  };

  // `wake` tells another worker, from any thread, that its rings hold something.
  Door(Exchange& exchange, uint32_t self, std::function<void(uint32_t worker)> wake);

  // To whom it belongs: false when to this worker, else it was handed on (or dropped) and is done with.
  bool hand_on(const ReceivedDatagram& datagram);
  bool hand_on(ByteSpan packet);
  // After a batch of the above: wakes those that got something.
  void wake_others();

  // What the others handed to this worker, up to `limit` records, added to the two lists; they lie in the rings until
  // release(). Returns how many.
  size_t take(std::vector<ReceivedDatagram>& datagrams, std::vector<ByteSpan>& packets, size_t limit);
  void release();
  // take() was at its limit: there may be more.
  void wake_self() { wake_(self_); }

  const Counters& counters() const { return counters_; }

 private:
  // Before the bytes of each record.
  struct Header {
    bool is_packet = false;
    uint8_t ecn = 0;
    UdpTuple from;
    Time received_at;
  };

  bool put(uint32_t worker, const Header& header, ByteSpan bytes);

  Exchange& exchange_;
  const uint32_t self_;
  const std::function<void(uint32_t)> wake_;
  std::vector<uint8_t> got_something_;  // by worker: since wake_others()
  uint32_t next_ring_ = 0;              // the rings take turns
  Counters counters_;
};

}  // namespace hawser::server
