// Positions are what toml++ counts: lines from one, columns in characters.
#include "common/config/text_edit.h"

#include <algorithm>

namespace hawser::toml_tree {

size_t offset_of(std::string_view text, Position at) {
  size_t offset = text.starts_with("\xef\xbb\xbf") && at.line == 1 ? 3 : 0;
  for (uint32_t line = 1; line < at.line; ++line) offset = std::min(text.find('\n', offset), text.size() - 1) + 1;
  for (uint32_t column = 1; column < at.column && offset < text.size(); ++column) {
    do ++offset;
    while (offset < text.size() && (static_cast<uint8_t>(text[offset]) & 0xc0) == 0x80);
  }
  return offset;
}

size_t next_line(std::string& text, size_t offset, std::string_view line_feed) {
  const size_t end = text.find('\n', offset);
  if (end != std::string::npos) return end + 1;
  text += line_feed;
  return text.size();
}

std::string_view line_feed_of(std::string_view text) {
  return text.find("\r\n") == std::string_view::npos ? "\n" : "\r\n";
}

}  // namespace hawser::toml_tree
