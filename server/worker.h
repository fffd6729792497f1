// One worker: an endpoint with the sessions of its users, its sockets and its queue of the TUN, in one thread with a loop of
// its own. The first worker's is the main thread and loop, where the registry and the control socket are too.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "common/session/endpoint.h"
#include "platform/loop.h"
#include "platform/tun.h"
#include "platform/udp.h"
#include "server/inbox.h"
#include "server/pump.h"

namespace hawser::server {

// A worker's numbers at one moment, taken in its thread.
struct WorkerSnapshot {
  EndpointInfo info;
  std::vector<SessionInfo> sessions;
  Pump::Counters counters;
  Door::Counters handed_on;
  uint64_t kernel_drops = 0;
  OffloadState offload;
};

class Worker {
 public:
  // What the engine has to tell, in the worker's thread. Runs before and after each flush.
  using Teller = std::function<void(Worker&, Event&)>;
  // What else is to be done in each turn, before the flush; true: again at once.
  using Chores = std::function<bool(Time)>;

  struct Parts {
    uint32_t id = 0;
    EventLoop* loop = nullptr;              // the first worker's; null: a loop of its own
    std::unique_ptr<Endpoint> endpoint;
    TunDevice* tun = nullptr;               // must outlive the worker
    std::vector<UdpSocket> sockets;
    Exchange* exchange = nullptr;           // null: it is the only worker
    std::function<void(uint32_t)> wake;     // another worker
    Teller tell;
    Chores chores;                          // may be empty
  };
  static Result<std::unique_ptr<Worker>> create(Parts parts);
  // Ends the thread, unless stop() has.
  ~Worker();

  uint32_t id() const { return id_; }
  Endpoint& endpoint() { return *endpoint_; }
  const Pump& pump() const { return *pump_; }

  // Starts the thread; not for the first worker. Error: the machine has none to give.
  Status start();
  // From the main thread: says goodbye to all users, in the worker's thread, and ends that.
  void stop(wire::CloseReason reason);

  // From any thread: work for this worker's thread, done in the order of posting. The only worker does it at once.
  void post(std::function<void(Worker&)> work);
  void ring_bell() { inbox_->ring_bell(); }

  // In the worker's thread.
  WorkerSnapshot snapshot(Time now) const;

 private:
  explicit Worker(uint32_t id) : id_(id) {}
  void turn();
  void tell_events();
  void say_goodbye(wire::CloseReason reason);

  const uint32_t id_;
  std::unique_ptr<EventLoop> own_loop_;
  EventLoop* loop_ = nullptr;
  std::unique_ptr<Endpoint> endpoint_;
  std::unique_ptr<Door> door_;
  std::unique_ptr<Pump> pump_;
  std::unique_ptr<Inbox> inbox_;
  Teller tell_;
  Chores chores_;
  EventLoop::Timer timer_;
  EventLoop::Hook hook_;
  std::thread thread_;
};

}  // namespace hawser::server
