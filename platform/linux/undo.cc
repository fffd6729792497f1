// The write-ahead log. One JSON object per line: a head with the boot id, then added changes and dropped ids; a torn
// last line (power cut) is a change that was never made. Adding syncs, dropping need not: undoing twice is harmless.
#include "platform/undo.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "platform/fd.h"
#include "platform/files.h"
#include "platform/linux/changes.h"
#include "platform/linux/oserror.h"

namespace hawser {
namespace {

using Json = nlohmann::json;

constexpr size_t kRewriteBytes = 64 << 10;  // a log that grew by flapping paths is written anew
constexpr size_t kMaxLogBytes = 64 << 20;

struct Entry {
  uint64_t id = 0;
  SystemChange change;
  Before before;
};

// Files may hold any bytes and JSON may not: hexadecimal.
std::string to_hex(const std::string& text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(text.size() * 2);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string from_hex(const std::string& hex) {
  const auto digit = [](char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; };
  std::string text;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) text += static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return text;
}

std::string text_of(const std::optional<IpPrefix>& prefix) {
  return prefix ? prefix->to_string() : "";
}
std::string text_of(const IpAddress& address) {
  return address.is_set() ? address.to_string() : "";
}

std::optional<IpPrefix> prefix_of(const Json& json, const char* key) {
  return IpPrefix::parse(json.value(key, std::string()));
}

Json to_json(const Entry& entry) {
  Json json = {{"id", entry.id}};
  if (const auto* rule = std::get_if<Rule>(&entry.change)) {
    json.update({{"kind", "rule"},
                 {"family", rule->family == IpAddress::Family::v6 ? 6 : 4},
                 {"preference", rule->preference},
                 {"from", text_of(rule->from)},
                 {"to", text_of(rule->to)},
                 {"oif", rule->oif},
                 {"mark", rule->mark},
                 {"table", rule->table}});
    if (rule->suppress_prefix) json["suppress_prefix"] = *rule->suppress_prefix;
  } else if (const auto* route = std::get_if<Route>(&entry.change)) {
    const bool has_destination = route->destination.address.is_set() && route->destination.length > 0;
    json.update({{"kind", "route"},
                 {"family", route->family == IpAddress::Family::v6 ? 6 : 4},
                 {"type", static_cast<int>(route->type)},
                 {"destination", has_destination ? route->destination.to_string() : ""},
                 {"interface", route->interface},
                 {"gateway", text_of(route->gateway)},
                 {"source", text_of(route->source)},
                 {"table", route->table},
                 {"metric", route->metric}});
  } else if (const auto* table = std::get_if<NftTable>(&entry.change)) {
    json.update({{"kind", "nft"}, {"family", table->family}, {"name", table->name}});
  } else if (const auto* file = std::get_if<FileChange>(&entry.change)) {
    json.update({{"kind", "file"}, {"path", file->path}, {"ours", to_hex(file->content)}, {"mode", entry.before.mode}});
    if (entry.before.text) json["before"] = to_hex(*entry.before.text);
  } else if (const auto* sysctl = std::get_if<SysctlChange>(&entry.change)) {
    json.update({{"kind", "sysctl"}, {"key", sysctl->key}, {"ours", sysctl->value}});
    if (entry.before.text) json["before"] = *entry.before.text;
  } else if (const auto* tun = std::get_if<TunChange>(&entry.change)) {
    json.update({{"kind", "tun"}, {"name", tun->name}, {"index", tun->index}});
  }
  return json;
}

// Throws nlohmann's exceptions for a log of another make; read_log() turns them into errors.
Entry from_json(const Json& json) {
  Entry entry;
  entry.id = json.at("id").get<uint64_t>();
  const std::string kind = json.at("kind");
  const auto family = [&] { return json.at("family") == 6 ? IpAddress::Family::v6 : IpAddress::Family::v4; };
  if (kind == "rule") {
    Rule rule;
    rule.family = family();
    rule.preference = json.at("preference");
    rule.from = prefix_of(json, "from");
    rule.to = prefix_of(json, "to");
    rule.oif = json.at("oif");
    rule.mark = json.value("mark", 0u);
    rule.table = json.at("table");
    if (json.contains("suppress_prefix")) rule.suppress_prefix = json.at("suppress_prefix").get<uint32_t>();
    entry.change = rule;
  } else if (kind == "route") {
    Route route;
    route.family = family();
    route.type = static_cast<Route::Type>(std::clamp(json.at("type").get<int>(), 0, 2));
    route.destination = prefix_of(json, "destination").value_or(IpPrefix{});
    route.interface = json.at("interface");
    route.gateway = IpAddress::parse(json.value("gateway", std::string())).value_or(IpAddress{});
    route.source = IpAddress::parse(json.value("source", std::string())).value_or(IpAddress{});
    route.table = json.at("table");
    route.metric = json.at("metric");
    entry.change = route;
  } else if (kind == "nft") {
    entry.change = NftTable{json.at("family"), json.at("name"), ""};
  } else if (kind == "file") {
    entry.change = FileChange{json.at("path"), from_hex(json.at("ours")), json.at("mode").get<uint32_t>()};
    entry.before.mode = json.at("mode");
    if (json.contains("before")) entry.before.text = from_hex(json.at("before"));
  } else if (kind == "sysctl") {
    entry.change = SysctlChange{json.at("key"), json.at("ours")};
    if (json.contains("before")) entry.before.text = json.at("before").get<std::string>();
  } else {
    entry.change = TunChange{json.at("name"), json.at("index")};
  }
  return entry;
}

Json head() {
  return {{"hawser_undo", 1}, {"boot_id", boot_id()}};
}

struct ReadLog {
  std::string boot_id;
  std::vector<Entry> entries;
};

Result<ReadLog> read_log(const std::string& path) {
  const Result<std::string> text = read_file(path, kMaxLogBytes);
  if (!text) return text.error();
  ReadLog log;
  std::istringstream lines(*text);
  std::string line;
  bool first = true;
  while (std::getline(lines, line)) {
    const Json json = Json::parse(line, nullptr, false);
    const bool torn = json.is_discarded() && lines.peek() == std::istringstream::traits_type::eof();
    if (torn) break;
    try {
      if (first) {
        if (json.at("hawser_undo") != 1) throw std::runtime_error("another version");
        log.boot_id = json.at("boot_id").get<std::string>();
      } else if (json.contains("drop")) {
        const uint64_t id = json.at("drop");
        std::erase_if(log.entries, [&](const Entry& entry) { return entry.id == id; });
      } else {
        log.entries.push_back(from_json(json));
      }
    } catch (const std::exception& problem) {
      return Error{ExitCode::unexpected, "cannot understand the undo log " + path + " (" + problem.what() +
                                             "). Look at it, undo by hand what it lists, and remove it"};
    }
    first = false;
  }
  return log;
}

class Applied final : public UndoLog {
 public:
  Applied(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Mode mode() const override { return Mode::apply; }

  Result<ChangeId> apply(const SystemChange& change) override {
    Result<std::vector<ChangeId>> ids = apply_all({&change, 1});
    if (!ids) return ids.error();
    return ids->front();
  }

  Result<std::vector<ChangeId>> apply_all(std::span<const SystemChange> changes) override {
    std::vector<Entry> added;
    std::string lines;
    for (const SystemChange& change : changes) {
      Result<Before> before = look(change);
      if (!before) return before.error();
      added.push_back({++last_id_, change, std::move(*before)});
      lines += to_json(added.back()).dump() + "\n";
    }
    if (Status written = append(lines, true); !written) return written.error();
    entries_.insert(entries_.end(), added.begin(), added.end());

    std::vector<ChangeId> ids;
    for (const Entry& entry : added) {
      const Result<Outcome> outcome = make(entry.change);
      if (!outcome) {
        forget(entry.id);
        for (auto id = ids.rbegin(); id != ids.rend(); ++id) (void)revert(*id);
        for (const Entry& rest : added) forget(rest.id);
        return outcome.error();
      }
      if (*outcome == Outcome::already_there) forget(entry.id);
      ids.push_back({*outcome == Outcome::done ? entry.id : 0});
    }
    return ids;
  }

  Result<Outcome> ensure(ChangeId id) override {
    const auto entry = find(id.value);
    if (entry == entries_.end()) return Outcome::already_there;
    if (!std::holds_alternative<Rule>(entry->change) && !std::holds_alternative<Route>(entry->change)) {
      return Outcome::already_there;
    }
    return make(entry->change);
  }

  Status revert(ChangeId id) override {
    const auto entry = find(id.value);
    if (entry == entries_.end()) return Done{};
    const Result<Outcome> outcome = unmake(entry->change, entry->before);
    if (!outcome) return outcome.error();
    forget(id.value);
    return Done{};
  }

  Status undo_all() override {
    Status first_problem = Done{};
    std::vector<uint64_t> ids;
    for (const Entry& entry : entries_) ids.push_back(entry.id);
    for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
      if (Status reverted = revert({*id}); !reverted && first_problem) first_problem = reverted;
    }
    if (entries_.empty()) {
      fd_.reset();
      if (Status removed = remove_file(path_); !removed && first_problem) first_problem = removed;
    }
    return first_problem;
  }

  std::vector<std::string> commands() const override {
    std::vector<std::string> list;
    for (const Entry& entry : entries_) list.push_back(to_command(entry.change));
    return list;
  }

 private:
  std::vector<Entry>::iterator find(uint64_t id) {
    return std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.id == id; });
  }

  void forget(uint64_t id) {
    const auto entry = find(id);
    if (entry == entries_.end()) return;
    entries_.erase(entry);
    (void)append(Json{{"drop", id}}.dump() + "\n", false);
  }

  Status append(const std::string& lines, bool sync) {
    if (!fd_ || bytes_ > kRewriteBytes) {
      if (Status rewritten = rewrite(); !rewritten) return rewritten;
    }
    std::string_view rest = lines;
    while (!rest.empty()) {
      const ssize_t n = ::write(fd_.get(), rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        const int error = errno;
        fd_.reset();  // half a line may be there: the next change writes the log anew
        return os_error(ExitCode::system_integration, "cannot write the undo log " + path_, error);
      }
      rest.remove_prefix(static_cast<size_t>(n));
    }
    bytes_ += lines.size();
    if (sync && ::fdatasync(fd_.get()) != 0) {
      return os_error(ExitCode::system_integration, "cannot sync the undo log " + path_, errno);
    }
    return Done{};
  }

  Status rewrite() {
    std::string text = head().dump() + "\n";
    for (const Entry& entry : entries_) text += to_json(entry).dump() + "\n";
    if (Status written = write_file_atomic(path_, text, 0600); !written) return written;
    fd_.reset(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (!fd_) return os_error(ExitCode::system_integration, "cannot open the undo log " + path_, errno);
    bytes_ = 0;  // counts what came after the rewriting
    return Done{};
  }

  std::string path_;
  UniqueFd fd_;
  size_t bytes_ = 0;
  uint64_t last_id_ = 0;
  std::vector<Entry> entries_;
};

class DryRun final : public UndoLog {
 public:
  Mode mode() const override { return Mode::dry_run; }
  Result<ChangeId> apply(const SystemChange& change) override {
    changes_.emplace_back(++last_id_, to_command(change));
    return ChangeId{last_id_};
  }
  Result<std::vector<ChangeId>> apply_all(std::span<const SystemChange> changes) override {
    std::vector<ChangeId> ids;
    for (const SystemChange& change : changes) ids.push_back(*apply(change));
    return ids;
  }
  Result<Outcome> ensure(ChangeId) override { return Outcome::already_there; }
  Status revert(ChangeId id) override {
    std::erase_if(changes_, [&](const auto& change) { return change.first == id.value; });
    return Done{};
  }
  Status undo_all() override {
    changes_.clear();
    return Done{};
  }
  std::vector<std::string> commands() const override {
    std::vector<std::string> list;
    for (const auto& change : changes_) list.push_back(change.second);
    return list;
  }

 private:
  uint64_t last_id_ = 0;
  std::vector<std::pair<uint64_t, std::string>> changes_;
};

}  // namespace

Result<std::vector<std::string>> UndoLog::replay(const std::string& path) {
  std::vector<std::string> undone;
  if (!file_exists(path)) return undone;
  Result<ReadLog> log = read_log(path);
  if (!log) return log.error();
  // Another boot: rules, routes, tables, settings and devices went with the old one, and what looks like ours now is
  // not.
  if (log->boot_id != boot_id()) {
    std::erase_if(log->entries, [](const Entry& entry) { return !survives_reboot(entry.change); });
  }
  Status first_problem = Done{};
  for (auto entry = log->entries.rbegin(); entry != log->entries.rend(); ++entry) {
    const Result<Outcome> outcome = unmake(entry->change, entry->before);
    if (!outcome) {
      if (first_problem) first_problem = outcome.error();
    } else if (*outcome == Outcome::done) {
      undone.push_back(to_command(entry->change));
    }
  }
  // With the log kept, the next --cleanup tries again what did not work.
  if (!first_problem) return first_problem.error();
  if (Status removed = remove_file(path); !removed) return removed.error();
  return undone;
}

Result<std::unique_ptr<UndoLog>> UndoLog::open(const std::string& path) {
  if (Status made = make_directories(parent_directory(path), 0700); !made) return made.error();
  Result<std::vector<std::string>> undone = replay(path);
  if (!undone) return undone.error();
  // The file comes with the first change: a run that changes nothing leaves nothing.
  return std::unique_ptr<UndoLog>(std::make_unique<Applied>(path, UniqueFd()));
}

std::unique_ptr<UndoLog> UndoLog::dry_run() {
  return std::make_unique<DryRun>();
}

}  // namespace hawser
