// Members come and go rarely, samples come with every ack: those only touch the path's own entry.
#include "common/congestion/coupling.h"

#include <algorithm>

namespace hawser {

size_t Coupling::find(PathId id) const {
  size_t i = 0;
  while (i < members_.size() && members_[i].id != id) ++i;
  return i;
}

void Coupling::join(PathId id, uint64_t hint) {
  leave(id);
  if (members_.size() >= kMaxPaths) return;
  const size_t place = members_.size();
  Member m;
  m.id = id;
  m.hint = hint;
  for (size_t i = 0; i < place; ++i) {
    const bool shared = hint != 0 && members_[i].hint == hint;
    m.shared[i] = members_[i].shared[place] = shared;
    members_[i].votes[place] = 0;
  }
  members_.push_back(std::move(m));
  siblings_.emplace_back();
  renumber();
}

void Coupling::leave(PathId id) {
  const size_t place = find(id);
  if (place == members_.size()) return;
  members_.erase(members_.begin() + static_cast<ptrdiff_t>(place));
  siblings_.erase(siblings_.begin() + static_cast<ptrdiff_t>(place));
  for (Member& m : members_) {
    std::move(m.shared.begin() + static_cast<ptrdiff_t>(place) + 1, m.shared.end(),
              m.shared.begin() + static_cast<ptrdiff_t>(place));
    std::move(m.votes.begin() + static_cast<ptrdiff_t>(place) + 1, m.votes.end(),
              m.votes.begin() + static_cast<ptrdiff_t>(place));
  }
  renumber();
}

void Coupling::set_live(PathId id, bool live) {
  if (const size_t i = find(id); i < members_.size()) siblings_[i].live = live;
}

void Coupling::on_controller_changed(PathId id, const Controller& controller) {
  const size_t i = find(id);
  if (i == members_.size()) return;
  siblings_[i].window = controller.congestion_window();
  siblings_[i].pacing_rate = controller.pacing_rate();
  siblings_[i].capacity = controller.capacity();
  siblings_[i].bytes_between_losses = controller.bytes_between_losses();
}

void Coupling::on_sample(PathId id, Controller& controller, CongestionSample sample) {
  const size_t i = find(id);
  if (i == members_.size()) {
    controller.on_sample(sample);
    return;
  }
  const AckResult& r = sample.ack;
  Sibling& own = siblings_[i];
  own.has_rtt = sample.rtt.has_sample();
  own.smoothed_rtt = sample.rtt.smoothed();
  own.min_rtt = sample.rtt.min();
  own.bytes_in_flight = sample.bytes_in_flight;
  own.delivered = sample.delivered;
  // Told when it happens: what another lost before it came to this bottleneck, or while it was dead, is not of this queue.
  if (r.lost_bytes > 0 && own.counts()) {
    for (Sibling& other : siblings_) {
      if (&other != &own && other.group == own.group) other.others_lost_at = std::max(other.others_lost_at, r.newest_lost_sent_at);
    }
  }
  // A lone path has nobody to share with: its statistics would only cost memory.
  if (members_.size() > 1) {
    BottleneckStatistics& s = members_[i].statistics;
    s.on_packets(r.acked_packets, r.lost_packets);
    if (r.largest_newly_acked) s.on_delay(r.largest_received_at - r.largest_sent_at);
    if (sample.now >= interval_ends_) {
      if (interval_ends_.is_set()) judge();
      interval_ends_ = sample.now + BottleneckStatistics::kInterval;
    }
  }
  sample.coupling = {siblings_, i};
  controller.on_sample(sample);
  on_controller_changed(id, controller);
}

// Each interval votes on each pair, because one interval's grouping is noisy (RFC 8382, 4.1).
void Coupling::judge() {
  std::array<BottleneckSummary, kMaxPaths> summaries;
  ++interval_;
  for (size_t i = 0; i < members_.size(); ++i) {
    members_[i].statistics.close_interval(interval_);
    summaries[i] = members_[i].statistics.summary();
    // Without fresh samples there is nothing to compare.
    summaries[i].ready = summaries[i].ready && members_[i].statistics.fresh();
  }
  const auto groups = group_bottlenecks({summaries.data(), members_.size()});
  bool changed = false;
  for (size_t i = 0; i < members_.size(); ++i) {
    for (size_t k = i + 1; k < members_.size(); ++k) {
      if (!summaries[i].ready || !summaries[k].ready) continue;
      if (!summaries[i].congested && !summaries[k].congested) continue;  // no queue anywhere: no evidence either way
      // Two equal links look alike to the RFC's statistics, jitter without a queue does too; one queue moves both at
      // once.
      const bool together =
          groups[i] >= 0 && groups[i] == groups[k] &&
          BottleneckStatistics::correlation(members_[i].statistics, members_[k].statistics) > kMoveTogether;
      int8_t& votes = members_[i].votes[k];
      votes = static_cast<int8_t>(std::clamp(votes + (together ? 1 : -1), -kMaxVotes, kMaxVotes));
      bool shared = members_[i].shared[k];
      if (votes >= kVotesToDecide) shared = true;
      if (votes <= -kVotesToDecide) shared = false;
      changed = changed || shared != members_[i].shared[k];
      members_[i].shared[k] = members_[k].shared[i] = shared;
    }
  }
  if (changed) renumber();
}

// Sharing is transitive: groups are the connected parts, numbered by their first member.
void Coupling::renumber() {
  int next = 0;
  std::array<int, kMaxPaths> group;
  group.fill(-1);
  for (size_t i = 0; i < members_.size(); ++i) {
    if (group[i] >= 0) continue;
    group[i] = next++;
    for (bool grown = true; grown;) {
      grown = false;
      for (size_t a = 0; a < members_.size(); ++a) {
        for (size_t b = 0; group[a] == group[i] && b < members_.size(); ++b) {
          if (group[b] >= 0 || a == b || !members_[a].shared[b]) continue;
          group[b] = group[i];
          grown = true;
        }
      }
    }
  }
  for (size_t i = 0; i < members_.size(); ++i) siblings_[i].group = group[i];
}

CouplingView Coupling::view(PathId id) const {
  const size_t i = find(id);
  return i < members_.size() ? CouplingView{siblings_, i} : CouplingView{};
}

int Coupling::group(PathId id) const {
  const size_t i = find(id);
  return i < members_.size() ? siblings_[i].group : -1;
}

const BottleneckSummary* Coupling::summary(PathId id) const {
  const size_t i = find(id);
  return i < members_.size() ? &members_[i].statistics.summary() : nullptr;
}

}  // namespace hawser
