// A link: its two directions under one name. Up is from the client to the server.
#pragma once

#include "tests/sim/net/direction.h"

namespace hawser::sim {

struct Link {
  Link(EventLoop& loop, const std::string& link_name, const DirectionSettings& up_settings, const DirectionSettings& down_settings,
       uint64_t seed)
      : name(link_name),
        up(loop, link_name + " up", up_settings, Random(seed, link_name + " up")),
        down(loop, link_name + " down", down_settings, Random(seed, link_name + " down")) {}

  std::string name;
  Direction up, down;
};

}  // namespace hawser::sim
