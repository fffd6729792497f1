// The numbers of ways and lines.
#include "client/lines.h"

#include <algorithm>

namespace hawser::client {

void Lines::follow(const std::vector<Way>& ways) {
  std::erase_if(ways_, [&](const auto& known) { return std::find(ways.begin(), ways.end(), known.first) == ways.end(); });
  for (const Way& way : ways) {
    if (ways_.contains(way)) continue;
    // The line of a way of the other family that has none of this family yet.
    const auto complete = [&](uint32_t line) {
      return std::any_of(ways_.begin(), ways_.end(),
                         [&](const auto& k) { return k.second.line == line && k.first.family == way.family; });
    };
    uint32_t line = 0;
    for (const auto& [other, numbers] : ways_) {
      const bool fits = other.interface_index == way.interface_index && !complete(numbers.line);
      if (fits && (line == 0 || numbers.line < line)) line = numbers.line;
    }
    const uint32_t group = next_++;
    ways_[way] = {group, line != 0 ? line : next_++};
  }
}

uint32_t Lines::group(const Way& way) const {
  const auto it = ways_.find(way);
  return it == ways_.end() ? 0 : it->second.group;
}

uint32_t Lines::line(const Way& way) const {
  const auto it = ways_.find(way);
  return it == ways_.end() ? 0 : it->second.line;
}

}  // namespace hawser::client
