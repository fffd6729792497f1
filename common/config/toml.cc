// toml++'s tree made ours, and the words in which mistakes are told: see toml.h.
#include "common/config/toml.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cstdio>
#include <exception>

namespace hawser::toml_tree {
namespace {

Position position(const toml::source_position& p) {
  return {std::max(p.line, 1u), std::max(p.column, 1u)};
}

std::string place(std::string_view file_name, Position at) {
  return printable(file_name) + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": ";
}

Value convert(const toml::node& node) {
  Value v;
  v.begin = position(node.source().begin);
  v.end = position(node.source().end);
  if (const auto* table = node.as_table()) {
    v.kind = Value::Kind::table;
    for (auto&& [key, child] : *table)
      v.entries.push_back({std::string(key.str()), position(key.source().begin), convert(child)});
    std::sort(v.entries.begin(), v.entries.end(), [](const Entry& a, const Entry& b) { return a.key_at < b.key_at; });
  } else if (const auto* array = node.as_array()) {
    v.kind = Value::Kind::array;
    for (const auto& child : *array) v.items.push_back(convert(child));
  } else if (const auto* string = node.as_string()) {
    v.kind = Value::Kind::string;
    v.text = string->get();
  } else if (const auto* integer = node.as_integer()) {
    v.kind = Value::Kind::integer;
    v.integer = integer->get();
  } else if (const auto* real = node.as_floating_point()) {
    v.kind = Value::Kind::real;
    v.real = real->get();
  } else if (const auto* boolean = node.as_boolean()) {
    v.kind = Value::Kind::boolean;
    v.boolean = boolean->get();
  } else {
    v.kind = Value::Kind::date;
  }
  return v;
}

std::string_view kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::string:
      return "a string";
    case Value::Kind::integer:
      return "a number";
    case Value::Kind::real:
      return "a number with a fraction";
    case Value::Kind::boolean:
      return "true or false";
    case Value::Kind::array:
      return "a list";
    case Value::Kind::table:
      return "a table";
    case Value::Kind::date:
      return "a date";
  }
  return "unknown";
}

std::string join(std::span<const std::string_view> words) {
  std::string out;
  for (std::string_view w : words) out += (out.empty() ? "" : ", ") + std::string(w);
  return out;
}

std::string in_section(std::string_view section) {
  return section.empty()                           ? " at the top of the file"
         : section == "path" || section == "class" ? " in [[" + std::string(section) + "]]"
                                                   : " in [" + std::string(section) + "]";
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  const auto it = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.key == key; });
  return it == entries.end() ? nullptr : &it->value;
}

std::string Value::shown() const {
  constexpr size_t kLongest = 60;
  switch (kind) {
    case Kind::string:
      return text.size() <= kLongest ? quote(text) : quote(std::string_view(text).substr(0, kLongest)) + "...";
    case Kind::integer:
      return std::to_string(integer);
    case Kind::boolean:
      return boolean ? "true" : "false";
    default:
      return std::string(kind_name(kind));
  }
}

Result<Value> parse(std::string_view text, std::string_view file_name) {
  if (text.size() > kMaxText) {
    return Error{ExitCode::configuration,
                 place(file_name, {}) + "the file is larger than 1 MiB; is it a configuration?"};
  }
  try {
    return convert(toml::parse(text));
  } catch (const toml::parse_error& e) {
    return Error{ExitCode::configuration, place(file_name, position(e.source().begin)) + std::string(e.description())};
  } catch (const std::exception& e) {
    return Error{ExitCode::configuration, place(file_name, {}) + "cannot be read as TOML: " + e.what()};
  }
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto byte = static_cast<uint8_t>(text[0]);
    size_t length = 1;
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[0];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04X", byte);
      out += escape;
    } else if (byte < 0x80) {
      out += text[0];
    } else {
      // printable() keeps a sequence exactly when it is well-formed.
      const size_t expected = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      const std::string_view sequence = text.substr(0, expected);
      if (byte == 0xc2 && sequence.size() == 2 && static_cast<uint8_t>(sequence[1]) >= 0x80 &&
          static_cast<uint8_t>(sequence[1]) < 0xa0) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04X", static_cast<unsigned>(static_cast<uint8_t>(sequence[1])));
        out += escape;
        length = 2;
      } else if (printable(sequence) == sequence) {
        out += sequence;
        length = sequence.size();
      } else {
        out += "\\uFFFD";
      }
    }
    text.remove_prefix(length);
  }
  return out + "\"";
}

void Reader::check_keys(const Value& table, std::string_view section) {
  for (const Entry& entry : table.entries) {
    const auto known = std::find_if(keys_.begin(), keys_.end(),
                                    [&](const Key& k) { return k.section == section && k.name == entry.key; });
    if (known != keys_.end()) {
      if (!known->built) fail(entry.key_at, entry.key + in_section(section) + " is not in this version; remove it");
      continue;
    }
    std::string message = "unknown key " + quote(entry.key) + in_section(section);
    std::vector<std::string_view> here;
    const Key* elsewhere = nullptr;
    for (const Key& k : keys_) {
      if (k.section == section && k.built) here.push_back(k.name);
      if (k.name == entry.key && elsewhere == nullptr) elsewhere = &k;
    }
    const std::string guess = did_you_mean(entry.key, here);
    if (elsewhere != nullptr) {
      message += " (it belongs" + in_section(elsewhere->section) + ")";
    } else if (!guess.empty()) {
      message += guess;
    } else {
      message += "; known are: " + join(here);
    }
    fail(entry.key_at, message);
  }
}

const Value* Reader::table(const Value& parent, std::string_view key) {
  const Value* v = parent.find(key);
  if (v == nullptr || v->kind == Value::Kind::table) return v;
  const std::string name(key);
  fail(v->begin, name + " is " + std::string(kind_name(v->kind)) + ", but must be a table: [" + name + "]");
  return nullptr;
}

std::vector<const Value*> Reader::tables(const Value& parent, std::string_view key) {
  std::vector<const Value*> out;
  const Value* v = parent.find(key);
  if (v == nullptr) return out;
  const std::string name(key);
  if (v->kind != Value::Kind::array) {
    fail(v->begin,
         name + " is " + std::string(kind_name(v->kind)) + ", but must be a list of tables: [[" + name + "]]");
    return out;
  }
  for (const Value& item : v->items) {
    if (item.kind == Value::Kind::table) {
      out.push_back(&item);
    } else {
      fail(item.begin, name + " holds " + item.shown() + ", but must be a list of tables: [[" + name + "]]");
    }
  }
  return out;
}

const Value* Reader::read(const Value& table, std::string_view key, std::string& out) {
  const Value* v = table.find(key);
  if (v == nullptr) return nullptr;
  if (v->kind != Value::Kind::string) {
    wrong(*v, key, "not a string; write it in quotes");
    return nullptr;
  }
  out = v->text;
  return v;
}

const Value* Reader::read(const Value& table, std::string_view key, bool& out) {
  const Value* v = table.find(key);
  if (v == nullptr) return nullptr;
  if (v->kind != Value::Kind::boolean) {
    wrong(*v, key, "not one of true, false (without quotes)");
    return nullptr;
  }
  out = v->boolean;
  return v;
}

const Value* Reader::read(const Value& table, std::string_view key, int64_t min, int64_t max, int64_t& out) {
  const Value* v = table.find(key);
  if (v == nullptr) return nullptr;
  if (v->kind != Value::Kind::integer || v->integer < min || v->integer > max) {
    wrong(*v, key, "not a number from " + std::to_string(min) + " to " + std::to_string(max));
    return nullptr;
  }
  out = v->integer;
  return v;
}

const Value* Reader::strings(const Value& table, std::string_view key, std::string_view expected) {
  const Value* v = table.find(key);
  if (v == nullptr) return nullptr;
  if (v->kind != Value::Kind::array) {
    wrong(*v, key, "not " + std::string(expected));
    return nullptr;
  }
  for (const Value& item : v->items) {
    if (item.kind == Value::Kind::string) continue;
    fail(item.begin, std::string(key) + " holds " + item.shown() + ", but must be " + std::string(expected));
    return nullptr;
  }
  return v;
}

std::optional<size_t> Reader::choose_index(const Value& table, std::string_view key,
                                           std::span<const std::pair<std::string_view, bool>> names) {
  const Value* v = table.find(key);
  if (v == nullptr) return std::nullopt;
  std::vector<std::string_view> built;
  for (const auto& [name, is_built] : names) {
    if (is_built) built.push_back(name);
  }
  if (v->kind == Value::Kind::string) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i].first != v->text) continue;
      if (names[i].second) return i;
      wrong(*v, key,
            "not in this version; " + (built.size() == 1 ? "use " + quote(built[0]) : "choose from " + join(built)));
      return std::nullopt;
    }
  }
  const std::string guess = v->kind == Value::Kind::string ? did_you_mean(v->text, built) : "";
  wrong(*v, key,
        built.size() == 1 ? "not " + quote(built[0]) + ", the only value of this version"
                          : "not one of " + join(built) + guess);
  return std::nullopt;
}

void Reader::wrong(const Value& value, std::string_view key, std::string_view message) {
  fail(value.begin, std::string(key) + " = " + value.shown() + " is " + std::string(message));
}

void Reader::fail(Position at, std::string message) {
  if (failed_ && at_ <= at) return;
  failed_ = true;
  at_ = at;
  message_ = std::move(message);
}

Error Reader::error() const {
  return Error{ExitCode::configuration, place(file_name_, at_) + message_};
}

}  // namespace hawser::toml_tree
