// SQLite's C face made safe to use: see registry_sql.h.
#include "server/registry_sql.h"

#include <filesystem>

namespace hawser::registry_sql {
namespace {

constexpr int kBusyMilliseconds = 5000;
constexpr int64_t kApplicationId = 0x48575352;  // "HWSR"
constexpr int64_t kSchemaVersion = 1;

// Addresses are kept as a slot: the place in every address pool. A removed user's key moves to retired_keys, so that
// the live users' keys are unique and a device may come back by a new invite.
constexpr const char* kSchema = R"(
CREATE TABLE users(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  public_key BLOB UNIQUE CHECK(length(public_key) = 32),
  psk BLOB CHECK(length(psk) = 32),
  slot INTEGER UNIQUE CHECK(slot >= 2),
  state TEXT NOT NULL CHECK(state IN ('active', 'disabled', 'removed')),
  created INTEGER NOT NULL,
  removed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX users_name ON users(name) WHERE state <> 'removed';
CREATE TABLE retired_keys(
  public_key BLOB PRIMARY KEY CHECK(length(public_key) = 32),
  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  reason TEXT NOT NULL CHECK(reason IN ('removed', 'replaced')),
  retired_at INTEGER NOT NULL
) STRICT;
CREATE INDEX retired_keys_user ON retired_keys(user_id);
CREATE TABLE tokens(
  token_id BLOB PRIMARY KEY CHECK(length(token_id) = 16),
  verifier BLOB CHECK(length(verifier) = 32),
  psk BLOB CHECK(length(psk) = 32),
  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK(kind IN ('new', 'replacement')),
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  used_by BLOB CHECK(length(used_by) = 32),
  used_at INTEGER
) STRICT;
CREATE INDEX tokens_user ON tokens(user_id);
)";

}  // namespace

Database::Database(const std::string& file) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const bool existed = fs::exists(file, ignored);
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(file.c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    SqlFailure failure{code, handle_ != nullptr ? sqlite3_errmsg(handle_) : "out of memory"};
    sqlite3_close(handle_);
    throw failure;
  }
  // The file will hold verifiers and preshared keys. SQLite gives its -wal and -shm the same mode and owner.
  if (!existed && file != ":memory:") {
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write, ignored);
  }
  sqlite3_busy_timeout(handle_, kBusyMilliseconds);
}

Database::~Database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

void Database::fail(int code) const {
  throw SqlFailure{code, sqlite3_errmsg(handle_)};
}

void Database::execute(const char* sql) {
  if (const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK) fail(code);
}

int64_t Database::pragma(const char* sql) {
  Statement s(*this, sql);
  return s.step() ? s.integer(0) : 0;
}

sqlite3_stmt* Database::prepared(const char* sql) {
  if (const auto it = statements_.find(std::string_view(sql)); it != statements_.end()) return it->second;
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) fail(code);
  statements_.emplace(sql, statement);
  return statement;
}

Statement::~Statement() {
  sqlite3_reset(stmt_);
  sqlite3_clear_bindings(stmt_);  // they point to memory of the caller's
}

Statement& Statement::bind(int64_t v) {
  sqlite3_bind_int64(stmt_, next_++, v);
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  sqlite3_bind_text(stmt_, next_++, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind(ByteSpan blob) {
  sqlite3_bind_blob(stmt_, next_++, blob.data(), static_cast<int>(blob.size()), SQLITE_STATIC);
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(stmt_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) db_.fail(code);
  return code == SQLITE_ROW;
}

void Statement::run() {
  while (step()) {
  }
}

std::string Statement::text(int column) const {
  const auto* bytes = sqlite3_column_text(stmt_, column);
  if (bytes == nullptr) return "";
  return {reinterpret_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(stmt_, column))};
}

std::optional<std::span<const uint8_t, 32>> Statement::blob32(int column) const {
  if (is_null(column)) return std::nullopt;
  const auto* bytes = static_cast<const uint8_t*>(sqlite3_column_blob(stmt_, column));
  if (bytes == nullptr || sqlite3_column_bytes(stmt_, column) != 32)
    throw SqlFailure{SQLITE_CORRUPT, "a key is not 32 bytes long"};
  return std::span<const uint8_t, 32>(bytes, 32);
}

std::optional<PublicKey> Statement::key(int column) const {
  const auto bytes = blob32(column);
  return bytes ? PublicKey::from_bytes(*bytes) : std::nullopt;
}

std::optional<SecretKey> Statement::secret(int column) const {
  const auto bytes = blob32(column);
  return bytes ? std::optional<SecretKey>(SecretKey(*bytes)) : std::nullopt;
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    db_.execute("ROLLBACK");
  } catch (const SqlFailure&) {
    // SQLite has rolled back by itself after the failure that brought us here.
  }
}

void Transaction::commit() {
  db_.execute("COMMIT");
  open_ = false;
}

Status prepare_schema(Database& db, const std::string& file) {
  // Of two programs that make the file at once, one may find it locked in a way that no busy handler waits for.
  for (int attempt = 0;; ++attempt) {
    try {
      db.execute("PRAGMA journal_mode = WAL");
      break;
    } catch (const SqlFailure& failure) {
      if ((failure.code & 0xff) != SQLITE_BUSY || attempt == 50) throw;
      sqlite3_sleep(20);
    }
  }
  // An enrolment that was promised to a client must outlive a power cut; wiped secrets must not stay in free pages.
  db.execute(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF");
  Transaction transaction(db);
  const int64_t application = db.pragma("PRAGMA application_id"), version = db.pragma("PRAGMA user_version");
  const bool empty = db.pragma("SELECT count(*) FROM sqlite_schema") == 0;
  if (empty && application == 0) {
    db.execute(kSchema);
    db.execute(("PRAGMA application_id = " + std::to_string(kApplicationId) +
                "; PRAGMA user_version = " + std::to_string(kSchemaVersion))
                   .c_str());
  } else if (application != kApplicationId) {
    return Error{ExitCode::configuration,
                 file + " is an SQLite file, but not a Hawser registry; check [users] registry in server.toml"};
  } else if (version != kSchemaVersion) {
    return Error{ExitCode::configuration, file + " has registry format " + std::to_string(version) +
                                              "; this program knows " + std::to_string(kSchemaVersion) +
                                              ". Install the Hawser that wrote it, or a newer one"};
  }
  transaction.commit();
  return Done{};
}

Error to_error(const SqlFailure& failure, const std::string& file) {
  const std::string what = "registry " + file + ": ";
  switch (failure.code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ExitCode::unexpected, what + "another program has held it locked for 5 s; try again"};
    case SQLITE_CANTOPEN:
      return {ExitCode::configuration,
              what + "cannot be opened; does its folder exist, and may you write there? `vpn-server init` makes it"};
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return {ExitCode::permission, what + "may not be written; run this as root or as the server's own user"};
    case SQLITE_NOTADB:
      return {ExitCode::configuration, what + "is not an SQLite file; check [users] registry in server.toml"};
    case SQLITE_CORRUPT:
      return {ExitCode::unexpected,
              what + "is damaged (" + failure.message + "); restore it from a backup, or `sqlite3 FILE .recover`"};
    case SQLITE_FULL:
      return {ExitCode::unexpected, what + "the disk is full; nothing was changed"};
    default:
      return {ExitCode::unexpected, what + failure.message};
  }
}

}  // namespace hawser::registry_sql
