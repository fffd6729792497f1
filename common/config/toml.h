// Typed reading of TOML with positions, for this room only. toml.cc alone knows toml++: here is a plain tree.
// A reader collects what is wrong and reports the earliest place in the file: "FILE:LINE:COLUMN: what is wrong and the
// fix".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/names.h"
#include "common/result.h"

namespace hawser::toml_tree {

// From 1; columns count characters, as editors do.
struct Position {
  uint32_t line = 1, column = 1;
  auto operator<=>(const Position&) const = default;
};

struct Entry;

struct Value {
  enum class Kind : uint8_t { string, integer, real, boolean, array, table, date };
  Kind kind = Kind::table;
  std::string text;  // of a string
  int64_t integer = 0;
  double real = 0;
  bool boolean = false;
  std::vector<Value> items;    // of an array
  std::vector<Entry> entries;  // of a table, in file order
  Position begin, end;         // of the value; of a table: its header or "{"

  const Value* find(std::string_view key) const;
  // The value for an error message, shortened: `"bakcup"`, `17`, `a table`.
  std::string shown() const;
};

struct Entry {
  std::string key;
  Position key_at;
  Value value;
};

inline constexpr size_t kMaxText = size_t{1} << 20;

// Errors: ExitCode::configuration, with the place.
Result<Value> parse(std::string_view text, std::string_view file_name);

// `"text"` with everything escaped that TOML wants escaped; broken UTF-8 becomes U+FFFD, for a file must be UTF-8.
std::string quote(std::string_view text);

// A documented key. Sections are "", "server", "tunnel", ...; a key that is not built is refused by name.
struct Key {
  std::string_view section, name;
  bool built = true;
};

// A documented value of a key that takes one of a few words.
template <typename T>
struct Choice {
  std::string_view name;
  T value;
  bool built = true;
};

class Reader {
 public:
  Reader(std::string_view file_name, std::span<const Key> keys) : file_name_(file_name), keys_(keys) {}

  // Every key of `table` must be documented for `section` and built.
  void check_keys(const Value& table, std::string_view section);
  // The table of that name; nothing when it is missing or (recorded) no table.
  const Value* table(const Value& parent, std::string_view key);
  // The tables of [[key]]; empty when missing.
  std::vector<const Value*> tables(const Value& parent, std::string_view key);

  // Each leaves `out` alone when the key is missing, and records an error when the value is of another type.
  // Each returns the value read, for messages of the caller's own.
  const Value* read(const Value& table, std::string_view key, std::string& out);
  const Value* read(const Value& table, std::string_view key, bool& out);
  const Value* read(const Value& table, std::string_view key, int64_t min, int64_t max, int64_t& out);
  // A list of strings; each item is handed to `take`, which says what is wrong with it (empty: nothing).
  template <typename Take>
  const Value* each(const Value& table, std::string_view key, std::string_view expected, Take take) {
    const Value* list = strings(table, key, expected);
    if (list == nullptr) return nullptr;
    for (const Value& item : list->items) {
      if (const std::string wrong = take(item.text); !wrong.empty()) fail(item.begin, std::string(key) + ": " + wrong);
    }
    return list;
  }
  template <typename T>
  const Value* choose(const Value& table, std::string_view key, std::span<const Choice<T>> choices, T& out) {
    std::vector<std::pair<std::string_view, bool>> names;
    for (const auto& c : choices) names.emplace_back(c.name, c.built);
    const Value* value = table.find(key);
    if (const auto i = choose_index(table, key, names)) out = choices[*i].value;
    return value;
  }

  // `key = value is MESSAGE` at the value.
  void wrong(const Value& value, std::string_view key, std::string_view message);
  void fail(Position at, std::string message);
  void missing(const Value& table, std::string message) { fail(table.begin, std::move(message)); }

  bool failed() const { return failed_; }
  Error error() const;

 private:
  const Value* strings(const Value& table, std::string_view key, std::string_view expected);
  std::optional<size_t> choose_index(const Value& table, std::string_view key,
                                     std::span<const std::pair<std::string_view, bool>> names);

  std::string file_name_;
  std::span<const Key> keys_;
  bool failed_ = false;
  Position at_;
  std::string message_;
};

}  // namespace hawser::toml_tree
