// What kind of network an interface leads to, as far as the operating system tells.
#pragma once

#include <cstdint>

namespace hawser {

enum class InterfaceType : uint8_t { other = 0, ethernet = 1, wifi = 2, cellular = 3 };

}  // namespace hawser
