// Deficit round robin over flows, new ones first, with CoDel in each (RFC 8290, section 4; RFC 8289, section 5).
#include "common/queue/ingress_queue.h"

#include <algorithm>
#include <cmath>

namespace hawser {
namespace {

constexpr uint32_t kSlowFlowBytesPerSecond = 32'000;  // 256 kbit/s: a call, a game; above it a flow is a download
constexpr uint8_t kUdp = 17;
// Round trips until the sender surely knows what arrived: the word of it waits in queues, too, and a quarter may be missing (Taken).
constexpr double kUnheardOf = 1.6;

}  // namespace

Time IngressQueue::control_law(Time t, uint32_t count) const {
  return t + Duration{static_cast<int64_t>(static_cast<double>(interval_.ns) / std::sqrt(static_cast<double>(count)))};
}

void IngressQueue::push_back(FlowList& list, uint32_t flow, bool is_new) {
  Flow& f = flows_[flow - 1];
  f.next_flow = 0;
  f.listed = true;
  f.is_new = is_new;
  if (list.tail) {
    flows_[list.tail - 1].next_flow = flow;
  } else {
    list.head = flow;
  }
  list.tail = flow;
}

uint32_t IngressQueue::pop_front(FlowList& list) {
  const uint32_t flow = list.head;
  list.head = flows_[flow - 1].next_flow;
  if (!list.head) list.tail = 0;
  flows_[flow - 1].listed = false;
  return flow;
}

void IngressQueue::rotate(FlowList& list, FlowList& to) {
  const bool is_new = flows_[list.head - 1].is_new;
  push_back(to, pop_front(list), is_new);
}

IngressQueue::Flow& IngressQueue::flow_for(uint64_t hash) {
  if (!tables_) tables_ = std::make_unique<Tables>();
  const auto bucket = static_cast<uint16_t>(hash % kFlowQueues);
  uint16_t& slot = tables_->buckets[bucket];
  if (slot == 0) {
    if (free_flows_.empty()) {
      flows_.emplace_back();
      free_flows_.push_back(static_cast<uint32_t>(flows_.size()));
    }
    slot = static_cast<uint16_t>(free_flows_.back());
    free_flows_.pop_back();
    Flow& f = flows_[slot - 1u];
    f = Flow{};
    f.bucket = bucket;
    const Remembered& r = tables_->remembered[bucket % kRemembered];
    if (r.bucket == bucket) f.retransmissions = r.retransmissions;
    // One flow queue, one lane: order inside the queue is order inside the lane.
    f.lane = LaneId{static_cast<uint16_t>(hash % kLanes)};
  }
  return flows_[slot - 1u];
}

void IngressQueue::release_flow(uint32_t flow) {
  Flow& f = flows_[flow - 1];
  tables_->buckets[f.bucket] = 0;
  Remembered& r = tables_->remembered[f.bucket % kRemembered];
  if (f.retransmissions.has_seen_any() || r.bucket == f.bucket) r = {f.bucket, f.retransmissions};
  free_flows_.push_back(flow);
}

PacketClass IngressQueue::classify(Flow& f, const PacketHeaders& h, size_t bytes, Time now) {
  if (now - f.rate_since >= Duration::seconds(1)) {
    f.rate_last = now - f.rate_since < Duration::seconds(2) ? f.rate_bytes : 0;
    f.rate_bytes = 0;
    f.rate_since = now;
  }
  f.rate_bytes += static_cast<uint32_t>(bytes);
  const bool quic = h.source_port == 443 || h.destination_port == 443;
  const bool slow = f.rate_bytes <= kSlowFlowBytesPerSecond && f.rate_last <= kSlowFlowBytesPerSecond;
  if (h.protocol == kUdp && h.small && slow && !quic && h.marked.traffic == TrafficClass::bulk) {
    return {TrafficClass::interactive, true};
  }
  return h.marked;
}

// At the flow's end, or behind the others that go first.
void IngressQueue::insert(Flow& f, uint32_t node) {
  Node& n = nodes_[node - 1];
  uint32_t& before = n.tcp.first ? f.last_first : f.tail;
  uint32_t& link = before ? nodes_[before - 1].next : f.head;
  n.next = n.tcp.first ? link : 0;
  link = node;
  before = node;
  if (!n.next) f.tail = node;
}

void IngressQueue::enqueue(Packet packet, const PacketHeaders& headers, Time now, DropCounters& drops) {
  current_ = 0;
  const size_t size = packet.size();
  Flow& f = flow_for(headers.flow_hash);
  const auto flow = static_cast<uint32_t>(&f - flows_.data()) + 1;
  TcpRetransmissions::Mark tcp = TcpRetransmissions::mark_of(headers);
  if (f.retransmissions.place(tcp, headers, packet.bytes(), unheard_of_, now) == TcpRetransmissions::Place::none) {
    drops.count(DropReason::ingress_duplicate);
    return;
  }
  if (!free_node_) {
    nodes_.emplace_back();
    free_node_ = static_cast<uint32_t>(nodes_.size());
  }
  const uint32_t index = free_node_;
  Node& n = nodes_[index - 1];
  free_node_ = n.next;
  n.packet_class = classify(f, headers, size, now);
  n.tcp = tcp;
  n.packet = std::move(packet);
  n.enqueued = now;
  n.waited_before = f.waited;
  n.ecn = headers.ecn;
  n.copy_when_lossy = headers.small && (headers.syn || n.packet_class.traffic != TrafficClass::bulk);
  n.marked = false;
  insert(f, index);
  ++f.packets;
  f.bytes += size;
  ++packets_;
  bytes_ += size;
  if (!f.listed) {
    f.deficit = kQuantum;
    push_back(new_flows_, flow, true);
  }
  while (bytes_ > kIngressBytes || packets_ > kIngressPackets) drop_from_longest(drops, packets_ > kIngressPackets);
}

// The packet that follows that node; 0: the first.
Packet IngressQueue::take_after(Flow& f, uint32_t before) {
  uint32_t& link = before ? nodes_[before - 1].next : f.head;
  const uint32_t index = link;
  Node& n = nodes_[index - 1];
  Packet p = std::move(n.packet);
  link = n.next;
  if (f.tail == index) f.tail = before;
  if (f.last_first == index) f.last_first = before;
  n.next = free_node_;
  free_node_ = index;
  --f.packets;
  f.bytes -= p.size();
  --packets_;
  bytes_ -= p.size();
  return p;
}

void IngressQueue::drop_after(Flow& f, uint32_t before) {
  const uint32_t index = before ? nodes_[before - 1].next : f.head;
  f.retransmissions.on_dropped(nodes_[index - 1].tcp);
  take_after(f, before);
}

// By what is short: many flows of tiny packets must not cost a download its place.
void IngressQueue::drop_from_longest(DropCounters& drops, bool by_packets) {
  const auto length = [&](const Flow& f) { return by_packets ? size_t{f.packets} : f.bytes; };
  Flow* longest = nullptr;
  for (Flow& f : flows_) {
    if (f.packets && (!longest || length(f) > length(*longest))) longest = &f;
  }
  if (!longest) return;
  current_ = 0;
  drop_after(*longest, longest->last_first == longest->tail ? 0 : longest->last_first);
  drops.count(DropReason::ingress_full);
}

bool IngressQueue::over_target(Flow& f, Time now) {
  if (f.packets == 0) {
    f.first_above = Time{};
    return false;
  }
  const Duration sojourn = now - nodes_[f.head - 1].enqueued - (f.waited - nodes_[f.head - 1].waited_before);
  const Duration target = f.is_new ? kCoDelTargetSparse : target_;
  if (sojourn < target || f.bytes <= kQuantum) {
    f.first_above = Time{};
    return false;
  }
  if (!f.first_above.is_set()) {
    f.first_above = now + interval_;
    return false;
  }
  return now >= f.first_above;
}

// One step of RFC 8289's dequeue(): whether the head has to go (or be marked) now.
bool IngressQueue::codel_says_drop(Flow& f, Time now) {
  const bool over = over_target(f, now);
  if (f.dropping) {
    if (!over) {
      f.dropping = false;
      return false;
    }
    if (now < f.drop_next) return false;
    ++f.count;
    f.drop_next = control_law(f.drop_next, f.count);
    return true;
  }
  if (!over) return false;
  f.dropping = true;
  // Recently dropping: resume near the rate that was found then (RFC 8289, 5.4).
  const uint32_t delta = f.count - f.last_count;
  f.count = delta > 1 && now - f.drop_next < interval_ * 16 ? delta : 1;
  f.last_count = f.count;
  f.drop_next = control_law(now, f.count);
  return true;
}

// What TCP sent again stays, whether it has passed the queue or was left out: its sender knows already. CoDel's clock waits.
bool IngressQueue::codel_spares(Flow& f, const Node& n, Time now) {
  if (!n.tcp.first && !f.retransmissions.is_told(n.tcp)) return false;
  if (!n.tcp.first && !over_target(f, now)) f.dropping = false;  // what went first has not waited: it says nothing of the queue
  if (f.dropping) f.drop_next = std::max(f.drop_next, now);
  return true;
}

void IngressQueue::begin_round() {
  ++round_;
  current_ = 0;
}

bool IngressQueue::head(IngressHead& out, Time now, DropCounters& drops) {
  if (current_ && shown_at_ == now) {
    out = shown_;
    return true;
  }
  // Bounded: each pass either returns, removes a flow or a packet, grants a quantum, or rotates a skipped flow.
  for (size_t guard = 4 * flows_.size() + 64; guard-- > 0;) {
    FlowList& list = new_flows_.head ? new_flows_ : old_flows_;
    if (!list.head) return false;
    const uint32_t flow = list.head;
    Flow& f = flows_[flow - 1];
    if (f.packets == 0) {
      pop_front(list);
      if (&list == &new_flows_) {
        push_back(old_flows_, flow, false);  // RFC 8290, 4.2: so that it cannot return as new at once
      } else {
        release_flow(flow);
      }
      continue;
    }
    if (f.skipped_in_round == round_) {
      rotate(list, old_flows_);
      continue;
    }
    if (f.deficit <= 0) {
      f.deficit += static_cast<int64_t>(kQuantum);
      push_back(old_flows_, pop_front(list), false);
      continue;
    }
    if (f.waiting_since.is_set()) {
      // CoDel's clock stood still as well: the queue could not shrink.
      const Duration wait = now - f.waiting_since;
      f.waited += wait;
      if (f.first_above.is_set()) f.first_above = f.first_above + wait;
      if (f.drop_next.is_set()) f.drop_next = f.drop_next + wait;
      f.waiting_since = Time{};
    }
    Node& n = nodes_[f.head - 1];
    // What was marked stays, however often its turn comes before it may leave.
    if (!n.marked && !codel_spares(f, n, now) && codel_says_drop(f, now)) {
      if (n.ecn == 1 || n.ecn == 2) {
        set_ecn(n.packet.writable(), 3);  // RFC 8290, 4.2: an ECN-capable packet is marked instead
        n.ecn = 3;
        n.marked = true;
      } else {
        drops.count(DropReason::ingress_aqm);
        drop_after(f, 0);
        continue;
      }
    }
    const bool marked = n.packet_class.traffic != TrafficClass::bulk;
    out = shown_ = {f.lane, n.packet_class, f.is_new || marked, n.ecn, n.packet.size(), n.copy_when_lossy};
    shown_at_ = now;
    current_ = flow;
    return true;
  }
  return false;
}

Packet IngressQueue::pop(Time now) {
  Flow& f = flows_[current_ - 1];
  current_ = 0;
  const TcpRetransmissions::Mark tcp = nodes_[f.head - 1].tcp;
  const Time enqueued = nodes_[f.head - 1].enqueued;
  Packet p = take_head(f);
  f.retransmissions.on_taken(tcp, enqueued, unheard_of_, now, p.writable());
  f.deficit -= static_cast<int64_t>(p.size());
  return p;
}

void IngressQueue::skip(bool on_purpose, Time now) {
  Flow& f = flows_[current_ - 1];
  current_ = 0;
  f.skipped_in_round = round_;
  if (on_purpose) f.waiting_since = now;
}

size_t IngressQueue::memory_bytes() const {
  return packets_ * kPacketBuffer + nodes_.capacity() * sizeof(Node) + flows_.capacity() * sizeof(Flow) +
         (tables_ ? sizeof *tables_ : 0);
}

void IngressQueue::set_rtt(Duration tunnel_rtt, Duration target_rtt) {
  unheard_of_ = tunnel_rtt * kUnheardOf;
  target_ = std::clamp(target_rtt * kCoDelTargetOfRtt, kCoDelTargetSparse, kCoDelTargetMax);
  // RFC 8289, 4.2: an interval is at least the RTT, so that a sender has time to react before it is told again.
  interval_ = std::clamp(target_rtt + target_, kCoDelInterval, kCoDelInterval * 4);
}

}  // namespace hawser
