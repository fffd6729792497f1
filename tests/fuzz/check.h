// What every fuzz target asserts with: a claim about our own answer, never about the input. It ends the run with a
// stack.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "common/types.h"

#define FUZZ_CHECK(claim)                                                             \
  do {                                                                                \
    if (!(claim)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #claim); \
      std::abort();                                                                   \
    }                                                                                 \
  } while (false)

namespace hawser::fuzz {

// Whether a view lies inside the bytes that it was parsed from.
inline bool inside(ByteSpan view, ByteSpan whole) {
  return view.empty() || (view.data() >= whole.data() && view.data() + view.size() <= whole.data() + whole.size());
}

}  // namespace hawser::fuzz
