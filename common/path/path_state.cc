// Transitions of a path.
#include "common/path/path_state.h"

namespace hawser {

const char* name(PathState s) {
  static constexpr const char* kNames[] = {"validating", "active", "standby", "suspect", "lost", "paused"};
  return kNames[static_cast<size_t>(s)];
}

const char* name(PathReason r) {
  static constexpr const char* kNames[] = {"none", "no-answer", "no-progress", "down", "closed", "priority", "peer"};
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

PathAction PathMachine::on_event(PathInput input, Time now) {
  const PathState working = standby_ ? PathState::standby : PathState::active;
  switch (input) {
    case PathInput::validated:
      if (state_ == PathState::paused) return {};
      return go(working, PathReason::none, now);
    case PathInput::progress:
      // A suspect path is back at once, and nothing learnt is lost. A lost one must answer a challenge first.
      if (state_ == PathState::suspect) return go(working, PathReason::none, now);
      return {};
    case PathInput::no_progress:
      if (state_ == PathState::active || state_ == PathState::standby) return go(PathState::suspect, PathReason::no_progress, now);
      return {};
    case PathInput::probes_failed:
      if (state_ == PathState::suspect || state_ == PathState::validating) return go(PathState::lost, PathReason::no_answer, now);
      return {};
    case PathInput::link_down:
      return go(PathState::lost, PathReason::link_down, now);
    case PathInput::wants_standby:
      standby_ = true;
      if (state_ == PathState::active) return go(PathState::standby, PathReason::priority, now);
      return {};
    case PathInput::wants_active:
      standby_ = false;
      if (state_ == PathState::standby) return go(PathState::active, PathReason::none, now);
      return {};
    case PathInput::paused:
      return go(PathState::paused, PathReason::priority, now);
    case PathInput::resumed:
      if (state_ != PathState::paused) return {};
      return go(PathState::validating, PathReason::no_answer, now);
  }
  return {};
}

}  // namespace hawser
