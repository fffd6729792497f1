// How people write amounts in a scenario: "20M", "10ms", "500kB", "0.5%". Anything else throws with what is allowed.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "common/types.h"

namespace hawser::sim {

struct ScenarioError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

BitRate parse_rate(std::string_view text);          // "300k", "20M", "1G": bits per second
Duration parse_duration(std::string_view text);     // "500us", "10ms", "2s"
uint64_t parse_bytes(std::string_view text);        // "500", "30kB", "20MB", "16MiB"
double parse_fraction(std::string_view text);       // "0.5%"

}  // namespace hawser::sim
