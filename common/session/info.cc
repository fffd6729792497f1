// The session as status shows it.
#include "common/session/session.h"

namespace hawser {
namespace {

PathInfo path_info(const SessionPath& p, Time now) {
  PathInfo i;
  i.id = p.id;
  i.link = p.address.tuple.link;
  i.interface = p.interface;
  i.type = p.type;
  i.metered = p.metered;
  i.priority = p.priority;
  i.state = p.machine.state();
  i.reason = p.machine.reason();
  i.local = p.address.tuple.local;
  i.remote = p.address.tuple.remote;
  i.observed = p.observed;
  if (p.rtt.has_sample()) {
    i.smoothed_rtt = p.rtt.smoothed();
    i.min_rtt = p.rtt.min();
  }
  i.loss = p.loss.ratio(now);
  i.congestion_window = p.controller->congestion_window();
  i.bytes_in_flight = p.sent.bytes_in_flight();
  i.pacing_rate = p.pacing_rate();
  i.capacity = p.controller->capacity();
  i.queue_delay = p.queued();
  i.mtu = p.mtu.datagram();
  i.received_bytes = p.received_bytes;
  i.sent_bytes = p.sent_bytes;
  i.received_packets = p.received_packets;
  i.sent_packets = p.sent.sent_packets();
  i.lost_packets = p.sent.lost_packets();
  i.reinjected_packets = p.reinjected_packets;
  i.copied_packets = p.copied_packets;
  i.copied_bytes = p.copied_bytes;
  i.receive_rate = p.receive_rate.rate(now);
  i.send_rate = p.send_rate.rate(now);
  return i;
}

}  // namespace

SessionInfo Session::info(Time now) const {
  SessionInfo s;
  s.user = identity_.user;
  s.name = identity_.name;
  s.connected = any_path_works();
  s.since = created_;
  s.inner_v4 = identity_.inner_v4;
  s.inner_v6 = identity_.inner_v6;
  if (keys_.current()) s.cipher = keys_.current()->keys.cipher;
  // What runs, not what was asked for.
  s.scheduler = scheduler_->kind();
  if (!paths_.empty()) s.congestion = paths_.front()->controller->kind();
  s.receive_rate = inner_receive_rate_.rate(now);
  s.send_rate = inner_send_rate_.rate(now);
  s.received_bytes = inner_received_bytes_;
  s.sent_bytes = inner_sent_bytes_;
  s.drops = drops_;
  s.memory_bytes = memory_bytes();
  s.repaired = segments_sent_ ? static_cast<double>(segments_repaired_) / static_cast<double>(segments_sent_) : 0;
  double total = 0, sent = 0, lost = 0;
  Duration fastest = Duration::infinite();
  for (const auto& p : paths_) {
    s.paths.push_back(path_info(*p, now));
    s.paths.back().bottleneck_group = coupling_.group(p->id);
    const PathInfo& i = s.paths.back();
    total += i.receive_rate.bps + i.send_rate.bps;
    sent += static_cast<double>(i.sent_packets);
    lost += static_cast<double>(i.lost_packets);
    if (p->carries_data() && p->rtt.has_sample()) fastest = std::min(fastest, i.smoothed_rtt);
  }
  for (PathInfo& i : s.paths) i.share = total > 0 ? (i.receive_rate.bps + i.send_rate.bps) / total : 0;
  if (fastest < Duration::infinite()) s.smoothed_rtt = fastest;
  s.loss = sent > 0 ? lost / sent : 0;
  return s;
}

}  // namespace hawser
