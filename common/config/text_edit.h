// Places in a file's text, for editing it without losing its form. For this room only.
#pragma once

#include <string>
#include <string_view>

#include "common/config/toml.h"

namespace hawser::toml_tree {

// The byte where a position is; columns count characters.
size_t offset_of(std::string_view text, Position at);
// Where the line after the one of `offset` begins; adds a line feed to a last line without one.
size_t next_line(std::string& text, size_t offset, std::string_view line_feed);
// What this file ends its lines with.
std::string_view line_feed_of(std::string_view text);

}  // namespace hawser::toml_tree
