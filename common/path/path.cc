// What a path computes from its parts.
#include "common/path/path.h"

#include <algorithm>

namespace hawser {

Path::Path(PathId path_id, const UdpTuple& tuple, uint16_t max_datagram, wire::CongestionKind congestion, uint64_t seed, Time now)
    : id(path_id), machine(now), controller(make_controller(congestion, max_datagram, seed)), mtu(max_datagram) {
  address.tuple = tuple;
  last_received = last_progress = last_own_ack = last_sent = now;
  challenge.next_at = now;
}

uint64_t Path::window_room() const {
  const uint64_t window = controller->congestion_window();
  const uint64_t used = sent.bytes_in_flight();
  return window > used ? window - used : 0;
}

Duration Path::queued() const {
  const BitRate capacity = controller->capacity();
  if (capacity.bps <= 0) return {};
  const double excess = static_cast<double>(sent.bytes_in_flight()) - capacity.bytes_in(rtt.min());
  return excess > 0 ? capacity.time_for(excess) : Duration{};
}

Duration Path::queue_met() const {
  const BitRate capacity = controller->capacity();
  if (capacity.bps <= 0 || !one_way_delay.has_sample() || !rtt.has_sample()) return queued();
  const Duration usual = one_way_delay.smoothed() - one_way_delay.min();
  // More in flight than a round trip explains has come since.
  return usual + std::max(Duration{}, capacity.time_for(static_cast<double>(sent.bytes_in_flight())) - rtt.smoothed());
}

BitRate Path::pacing_rate() const {
  const BitRate rate = controller->pacing_rate();
  return rate_cap.bps > 0 ? std::min(rate, rate_cap) : rate;
}

}  // namespace hawser
