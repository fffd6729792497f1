// SQLite as the registry uses it: a database, cached statements, transactions that roll back unless committed.
// Inside the registry only; failures are thrown as SqlFailure and become Errors at the registry's face.
#pragma once

#include <sqlite3.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/crypto/hash.h"
#include "common/crypto/key.h"
#include "common/result.h"

namespace hawser::registry_sql {

// SQLite's extended result code and its own words.
struct SqlFailure {
  int code = SQLITE_ERROR;
  std::string message;
};

class Statement;

class Database {
 public:
  // Opens or creates; a created file is made 0600 before anything is written. Throws SqlFailure.
  explicit Database(const std::string& file);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void execute(const char* sql);
  int64_t pragma(const char* sql);
  int64_t last_id() const { return sqlite3_last_insert_rowid(handle_); }
  int changes() const { return sqlite3_changes(handle_); }
  [[noreturn]] void fail(int code) const;

 private:
  friend class Statement;
  sqlite3_stmt* prepared(const char* sql);

  sqlite3* handle_ = nullptr;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

// One run of a prepared statement. Parameters are bound in order; bound memory must live until the last step.
class Statement {
 public:
  Statement(Database& db, const char* sql) : db_(db), stmt_(db.prepared(sql)) {}
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int64_t v);
  Statement& bind(std::string_view text);
  Statement& bind(ByteSpan blob);
  // True when there is a row.
  bool step();
  // For statements that give no row.
  void run();

  bool is_null(int column) const { return sqlite3_column_type(stmt_, column) == SQLITE_NULL; }
  int64_t integer(int column) const { return sqlite3_column_int64(stmt_, column); }
  std::string text(int column) const;
  // Nothing when NULL; a blob of another length is a damaged registry and throws.
  std::optional<PublicKey> key(int column) const;
  std::optional<SecretKey> secret(int column) const;

 private:
  // 32 bytes, or nothing when NULL.
  std::optional<std::span<const uint8_t, 32>> blob32(int column) const;

  Database& db_;
  sqlite3_stmt* stmt_;
  int next_ = 1;
};

// A write transaction: takes the write lock at once, so that what is read inside stays true until commit.
class Transaction {
 public:
  explicit Transaction(Database& db) : db_(db) { db_.execute("BEGIN IMMEDIATE"); }
  ~Transaction();
  void commit();

 private:
  Database& db_;
  bool open_ = true;
};

// Brings an empty file to the newest schema, checks that any other is ours and of a version we know.
// Throws SqlFailure; an Error when the file is not ours or too new.
Status prepare_schema(Database& db, const std::string& file);

// What went wrong for people: where, why, what to do.
Error to_error(const SqlFailure& failure, const std::string& file);

}  // namespace hawser::registry_sql
