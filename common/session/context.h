// What all sessions of an endpoint share: pools, randomness, and where their output goes.
#pragma once

#include <deque>

#include "common/queue/packet.h"
#include "common/queue/resequencer.h"
#include "common/recovery/segment.h"
#include "common/rng.h"
#include "common/session/events.h"

namespace hawser {

enum class Role : uint8_t { client, server };

struct SessionContext {
  Role role = Role::client;
  PacketPool& pool;
  SegmentPool& segments;
  Rng& rng;
  Deliveries& deliveries;       // packets for the TUN
  std::deque<Event>& events;
  uint64_t hash_seed = 0;
};

}  // namespace hawser
