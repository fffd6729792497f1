// The state machine of a path. State changes happen in PathMachine::on_event and nowhere else.
#pragma once

#include "common/constants.h"
#include "common/types.h"

namespace hawser {

enum class PathState : uint8_t { validating, active, standby, suspect, lost, paused };
const char* name(PathState state);

enum class PathReason : uint8_t { none, no_answer, no_progress, link_down, closed, priority, peer, flapping, lossy, slow, spare };
const char* name(PathReason reason);

enum class PathInput : uint8_t {
  validated,      // the peer answered our challenge (or the handshake did so)
  progress,       // an authentic datagram or an ack came that only a working path can cause
  no_progress,    // data unanswered for the suspect timeout
  probes_failed,  // probe timeouts after that
  link_down,      // the operating system says so
  wants_standby,  // by priority it should carry nothing at present
  wants_active,
  flapping,         // it was lost too often of late: standby until `settled`
  settled,
  lossy,            // most of what it should carry is lost: standby until `clean`
  clean,
  slow,             // it arrives so late that nothing gains by it: standby until `prompt`
  prompt,
  spare,            // another path of its interface carries: standby until it `leads`
  leads,
  paused,
  resumed,
};

// What a change of state asks of the session.
struct PathAction {
  bool changed = false;
  PathState from = PathState::validating, to = PathState::validating;
  PathReason reason = PathReason::none;
  bool reinject = false;    // send what is unacknowledged here again elsewhere, at once
  bool abandon = false;     // what is in flight here no longer counts
  bool revalidate = false;  // challenge again before use
};

class PathMachine {
 public:
  explicit PathMachine(Time now) : since_(now) {}
  PathState state() const { return state_; }
  PathReason reason() const { return reason_; }
  Time since() const { return since_; }
  // Standby in both directions: the client's wish. What an end finds out about its own direction is its own affair.
  bool wants_standby() const { return standby_ & (kPriority | kFlapping | kSpare); }
  // This end carries nothing here because of what it measures.
  bool ejected() const { return standby_ & (kLossy | kSlow); }
  bool is_lossy() const { return standby_ & kLossy; }
  bool is_slow() const { return standby_ & kSlow; }
  bool is_flapping() const { return standby_ & kFlapping; }
  bool is_spare() const { return standby_ & kSpare; }

  PathAction on_event(PathInput input, Time now);

 private:
  enum Cause : unsigned { kPriority = 1, kFlapping = 2, kLossy = 4, kSlow = 8, kSpare = 16 };
  PathAction go(PathState to, PathReason reason, Time now);
  PathAction go_working(Time now);
  PathAction stand_by(Cause cause, bool on, Time now);

  PathState state_ = PathState::validating;
  PathReason reason_ = PathReason::no_answer;
  Time since_;
  unsigned standby_ = 0;  // causes; with any of them it is, when it works, standby and not active
};

}  // namespace hawser
