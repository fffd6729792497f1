// Transitions of a path.
#include "common/path/path_state.h"

namespace hawser {

const char* name(PathState s) {
  static constexpr const char* kNames[] = {"validating", "active", "standby", "suspect", "lost", "paused"};
  return kNames[static_cast<size_t>(s)];
}

const char* name(PathReason r) {
  static constexpr const char* kNames[] = {"none", "no-answer", "no-progress", "down", "closed", "priority", "peer", "flapping", "lossy", "slow", "spare"};
  return kNames[static_cast<size_t>(r)];
}

PathAction PathMachine::go(PathState to, PathReason reason, Time now) {
  PathAction a;
  reason_ = reason;
  if (to == state_) return a;
  a.changed = true;
  a.from = state_;
  a.to = to;
  a.reason = reason;
  const bool worked = state_ == PathState::active || state_ == PathState::standby || state_ == PathState::suspect;
  const bool works = to == PathState::active || to == PathState::standby;
  a.reinject = worked && !works;
  a.abandon = to == PathState::lost || to == PathState::paused;
  a.revalidate = to == PathState::validating;
  state_ = to;
  since_ = now;
  return a;
}

PathAction PathMachine::go_working(Time now) {
  const PathReason why = standby_ & kPriority   ? PathReason::priority
                         : standby_ & kSpare    ? PathReason::spare
                         : standby_ & kFlapping ? PathReason::flapping
                         : standby_ & kLossy    ? PathReason::lossy
                         : standby_ & kSlow     ? PathReason::slow
                                                : PathReason::none;
  return go(standby_ ? PathState::standby : PathState::active, why, now);
}

PathAction PathMachine::stand_by(Cause cause, bool on, Time now) {
  standby_ = on ? standby_ | cause : standby_ & ~unsigned{cause};
  return state_ == PathState::active || state_ == PathState::standby ? go_working(now) : PathAction{};
}

PathAction PathMachine::on_event(PathInput input, Time now) {
  switch (input) {
    case PathInput::validated:
      if (state_ == PathState::paused) return {};
      return go_working(now);
    case PathInput::progress:
      // A suspect path is back at once, and nothing learnt is lost. A lost one must answer a challenge first.
      if (state_ == PathState::suspect) return go_working(now);
      return {};
    case PathInput::no_progress:
      if (state_ == PathState::active || state_ == PathState::standby) return go(PathState::suspect, PathReason::no_progress, now);
      return {};
    case PathInput::probes_failed:
      if (state_ == PathState::suspect || state_ == PathState::validating) return go(PathState::lost, PathReason::no_answer, now);
      return {};
    case PathInput::link_down:
      return go(PathState::lost, PathReason::link_down, now);
    case PathInput::wants_standby: return stand_by(kPriority, true, now);
    case PathInput::wants_active: return stand_by(kPriority, false, now);
    case PathInput::flapping: return stand_by(kFlapping, true, now);
    case PathInput::settled: return stand_by(kFlapping, false, now);
    case PathInput::lossy: return stand_by(kLossy, true, now);
    case PathInput::clean: return stand_by(kLossy, false, now);
    case PathInput::slow: return stand_by(kSlow, true, now);
    case PathInput::prompt: return stand_by(kSlow, false, now);
    case PathInput::spare: return stand_by(kSpare, true, now);
    case PathInput::leads: return stand_by(kSpare, false, now);
    case PathInput::paused:
      return go(PathState::paused, PathReason::priority, now);
    case PathInput::resumed:
      if (state_ != PathState::paused) return {};
      return go(PathState::validating, PathReason::no_answer, now);
  }
  return {};
}

}  // namespace hawser
