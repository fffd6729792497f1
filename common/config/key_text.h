// Keys as text: base64 with padding, 44 characters for 32 bytes, as WireGuard writes them.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "common/types.h"

namespace hawser {

using KeyBytes = std::array<uint8_t, 32>;

std::string format_key(const KeyBytes& key);
// Surrounding white space is allowed; nothing unless it is exactly 32 bytes of canonical base64.
std::optional<KeyBytes> parse_key(std::string_view text);

}  // namespace hawser
