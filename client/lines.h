// Which ways out of the machine are alternatives of each other, and which share a line. A way is an interface, a family and a
// gateway. Links of one way differ by source and server address: one of them becomes the path. The first IPv4 and the first
// IPv6 gateway of an interface are taken for one line, the second ones for another, and so on.
#pragma once

#include <map>
#include <vector>

#include "common/net.h"

namespace hawser::client {

struct Way {
  uint32_t interface_index = 0;
  IpAddress::Family family = IpAddress::Family::none;
  IpAddress gateway;  // unset: a device without one, or only neighbours
  auto operator<=>(const Way&) const = default;
};

class Lines {
 public:
  // The ways that there are now, best first. Those that stay keep their numbers.
  void follow(const std::vector<Way>& ways);

  // LinkUp::group and LinkUp::twins; 0 for a way that is not there.
  uint32_t group(const Way& way) const;
  uint32_t line(const Way& way) const;

 private:
  struct Numbers {
    uint32_t group = 0, line = 0;
  };
  std::map<Way, Numbers> ways_;
  uint32_t next_ = 1;
};

}  // namespace hawser::client
