// The operating system's randomness, injected into the engine.
#pragma once

#include "common/rng.h"

namespace hawser {

class SystemRng final : public Rng {
 public:
  // getrandom(2); aborts the process if the kernel cannot give randomness, for no key may ever be made from anything
  // else.
  void fill(MutableByteSpan out) override;
};

}  // namespace hawser
