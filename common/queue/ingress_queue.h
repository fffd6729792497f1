// The queue in front of path choice: FQ-CoDel (RFC 8290). Here the standing queue of the whole tunnel lives, where
// flows are kept apart and an inner sender that overfills it is told so (drop or ECN mark). Packets are ordered within
// a flow, but for what TCP sends again: it goes before the rest of its flow, which its receiver can only store until it has it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/constants.h"
#include "common/drop.h"
#include "common/queue/classify.h"
#include "common/queue/packet.h"
#include "common/queue/tcp_retransmissions.h"

namespace hawser {

// The head of a flow, as the scheduler needs to know it.
struct IngressHead {
  LaneId lane;
  PacketClass packet_class;
  bool sparse = false;  // in the new-flows list, or marked urgent: it takes the lowest delay
  uint8_t ecn = 0;
  size_t bytes = 0;
  bool copy_when_lossy = false;  // small, and urgent or the beginning of a connection
};

class IngressQueue {
 public:
  IngressQueue() = default;
  IngressQueue(const IngressQueue&) = delete;
  IngressQueue& operator=(const IngressQueue&) = delete;

  // Takes the packet. At the bound the longest flow loses from its front (counted in `drops`).
  void enqueue(Packet packet, const PacketHeaders& headers, Time now, DropCounters& drops);

  // The flow with the most packets loses one from its front (counted in `drops`).
  void make_room(DropCounters& drops) { drop_from_longest(drops, true); }

  // The flow whose turn it is, after CoDel had its say; false when nothing (more) may be sent. `skip`ped flows are
  // passed over until the next begin_round(). Asked again at the same time, with nothing changed, it is the same one.
  bool head(IngressHead& out, Time now, DropCounters& drops);
  // Takes the packet that head() showed. Only right after head() returned true.
  Packet pop(Time now);
  // That flow has to wait: look at the next one. `on_purpose`: for a better path, though another has room; until the
  // flow is looked at again the time is not held against its packets.
  void skip(bool on_purpose, Time now);
  void begin_round();

  bool empty() const { return packets_ == 0; }
  size_t bytes() const { return bytes_; }
  size_t packets() const { return packets_; }
  size_t memory_bytes() const;
  // The round trip after which it is known what has arrived, and the one by which the sojourn goes that is tolerated in
  // backlogged flows: kCoDelTargetOfRtt of it, within bounds. A CUBIC that is cut to 0.7 then still fills the links.
  void set_rtt(Duration tunnel_rtt, Duration target_rtt);

 private:
  struct Node {
    Packet packet;
    Time enqueued;
    Duration waited_before;  // the flow's `waited` when it came
    PacketClass packet_class;
    uint8_t ecn = 0;
    bool marked = false;  // by CoDel: it has had its say
    bool copy_when_lossy = false;
    TcpRetransmissions::Mark tcp;
    uint32_t next = 0;  // index + 1 into nodes_; 0 ends a list
  };
  struct Flow {
    uint32_t head = 0, tail = 0;  // node index + 1
    uint32_t last_first = 0;      // of those that TCP sent again and that go first
    uint32_t packets = 0;
    size_t bytes = 0;
    int64_t deficit = 0;
    uint16_t bucket = 0;
    LaneId lane;
    bool listed = false;     // stands in one of the two lists
    bool is_new = false;     // in the list of new flows
    uint32_t next_flow = 0;  // index + 1 of the next in the list
    uint64_t skipped_in_round = 0;
    Time waiting_since;  // the scheduler makes it wait on purpose
    Duration waited;     // on purpose, since the flow began
    // CoDel (RFC 8289).
    Time first_above;
    Time drop_next;
    uint32_t count = 0, last_count = 0;
    bool dropping = false;
    // Rate of the flow, for "small and slow" UDP.
    Time rate_since;
    uint32_t rate_bytes = 0;
    uint32_t rate_last = 0;  // bytes in the last full second
    TcpRetransmissions retransmissions;
  };

  // Of flows without a packet, by bucket: what they have sent is under way, and may come again.
  struct Remembered {
    uint16_t bucket = 0;
    TcpRetransmissions retransmissions;
  };
  static constexpr size_t kRemembered = 16;

  struct FlowList {
    uint32_t head = 0, tail = 0;  // flow index + 1
  };

  void push_back(FlowList& list, uint32_t flow, bool is_new);
  uint32_t pop_front(FlowList& list);
  void rotate(FlowList& list, FlowList& to);
  Flow& flow_for(uint64_t hash);
  void insert(Flow& f, uint32_t node);
  PacketClass classify(Flow& f, const PacketHeaders& h, size_t bytes, Time now);
  void drop_from_longest(DropCounters& drops, bool by_packets);
  Packet take_head(Flow& f) { return take_after(f, 0); }
  Packet take_after(Flow& f, uint32_t before);
  void drop_after(Flow& f, uint32_t before);
  Time control_law(Time t, uint32_t count) const;
  bool codel_says_drop(Flow& f, Time now);
  bool codel_spares(Flow& f, const Node& n, Time now);
  bool over_target(Flow& f, Time now);
  void release_flow(uint32_t flow);

  std::vector<Node> nodes_;
  uint32_t free_node_ = 0;
  std::vector<Flow> flows_;
  std::vector<uint32_t> free_flows_;
  struct Tables {
    std::array<uint16_t, kFlowQueues> buckets{};  // flow index + 1
    std::array<Remembered, kRemembered> remembered;
  };
  std::unique_ptr<Tables> tables_;
  FlowList new_flows_, old_flows_;                              // front is the next turn
  size_t packets_ = 0, bytes_ = 0;
  uint64_t round_ = 1;
  uint32_t current_ = 0;  // flow index + 1 that head() showed; 0: the queue has changed since
  IngressHead shown_;     // what it showed
  Time shown_at_;
  Duration target_ = kCoDelTargetSparse;
  Duration interval_ = kCoDelInterval;
  Duration unheard_of_{};  // for so long the sender of what was taken may not know
};

}  // namespace hawser
