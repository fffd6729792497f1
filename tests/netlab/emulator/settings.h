// What one direction of an emulated link does to frames, and how people write it: "rate=20M delay=10ms loss=0.5%".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/types.h"

namespace hawser::netlab {

// Two-state loss (Gilbert 1960, Elliott 1963): before each frame the state may change, then the state's loss applies.
struct GilbertElliott {
  double good_to_bad = 0;  // p
  double bad_to_good = 1;  // r
  double loss_bad = 1;
  double loss_good = 0;
};

// One direction of a link. Probabilities are 0..1. The default is a wire: no limit, no delay, no loss.
struct DirectionSettings {
  BitRate rate{0};                    // frames incl. 14-byte Ethernet header; 0 is unlimited
  Duration delay{};                   // one way, after serialisation
  Duration jitter{};                  // added to the delay: uniform in [0, jitter]
  Duration jitter_period{};           // how often a new jitter target is drawn; 0: equal to `jitter`
  bool reorder = false;               // jitter drawn per frame, order not kept (the form netem has)
  std::optional<size_t> queue_bytes;  // waiting frames, without the one on the wire; unset: see queue_limit()
  double loss = 0;                    // random, independent
  std::optional<GilbertElliott> bursts;
  double duplicate = 0;
  bool blackhole = false;  // nothing enters and nothing leaves, while the carrier stays up

  // Explicit limit, or 100 ms of the rate but at least ten full frames; unlimited when the rate is.
  size_t queue_limit() const;
  // The settings in the form that parse_setting reads, separated by spaces.
  std::string to_text() const;
};

// A link's two directions: up is from interface A (the client's side) to B, down is from B to A.
struct LinkSettings {
  DirectionSettings up;
  DirectionSettings down;
};

enum class Which { up, down, both };

// Applies one "key=value", or "up.key=value" / "down.key=value" which override `which`. Errors name the value and what
// is allowed.
Status parse_setting(LinkSettings& settings, Which which, std::string_view text);

}  // namespace hawser::netlab
