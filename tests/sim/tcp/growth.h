// How a congestion window grows when no loss is seen, and what remains of it when one is. In segments.
#pragma once

#include <memory>

#include "common/types.h"

namespace hawser::sim {

enum class CongestionControl : uint8_t { cubic, reno };

class Growth {
 public:
  virtual ~Growth() = default;
  // Congestion avoidance: by how much the window grows for `acked` segments.
  virtual double increase(double window, double acked, Duration min_rtt, Time now) = 0;
  // The window after a loss.
  virtual double after_loss(double window) = 0;
  // Nothing was sent for a while, or a loss turned out to be none: growth begins anew from here.
  virtual void restart() = 0;
};

std::unique_ptr<Growth> make_growth(CongestionControl kind);

}  // namespace hawser::sim
