// Draws loss and jitter.
#include "tests/sim/net/impairment.h"

namespace hawser::sim {

bool Impairment::lost(const DirectionSettings& s) {
  bool lost = random_.chance(s.loss);
  if (s.bursts) {
    if (random_.chance(burst_ ? s.bursts->bad_to_good : s.bursts->good_to_bad)) burst_ = !burst_;
    if (random_.chance(burst_ ? s.bursts->loss_bad : s.bursts->loss_good)) lost = true;
  }
  return lost;
}

Duration Impairment::jitter(const DirectionSettings& s, Time finish) {
  if (s.jitter.ns <= 0) return {};
  if (s.jitter_form == DirectionSettings::Jitter::normal) return std::max(s.jitter * random_.normal(), -s.delay);
  if (s.jitter_form == DirectionSettings::Jitter::reordering) return s.jitter * random_.uniform();
  // With this period the delay falls by at most as much as time passes: frames bunch up as after a radio's
  // retransmission, but never overtake.
  if (finish > to_time_ + s.jitter) {  // the first frame, or after silence
    from_time_ = finish;
    from_ = s.jitter * random_.uniform();
    to_time_ = finish + s.jitter;
    to_ = s.jitter * random_.uniform();
  } else if (finish > to_time_) {
    from_time_ = to_time_;
    from_ = to_;
    to_time_ += s.jitter;
    to_ = s.jitter * random_.uniform();
  }
  const double along = (finish - from_time_).to_seconds() / (to_time_ - from_time_).to_seconds();
  return from_ + (to_ - from_) * along;
}

}  // namespace hawser::sim
