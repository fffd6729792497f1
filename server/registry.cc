// The registry's operations. Each public function is one transaction between "what is there" and "what is there now".
#include "server/registry.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "common/config/names.h"
#include "server/registry_sql.h"

namespace hawser {
namespace {

using registry_sql::Database;
using registry_sql::SqlFailure;
using registry_sql::Statement;
using registry_sql::Transaction;

constexpr uint64_t kFirstUserSlot = 2;  // 0 is the network, 1 the server
constexpr uint64_t kMaxSlot = std::numeric_limits<uint32_t>::max();

// The columns of user_from. A macro, because only literals join at compile time, and statements are cached by their
// text.
#define USER_COLUMNS                                                       \
  "u.id, u.name, u.public_key, u.slot, u.state, u.created, u.removed_at, " \
  "(SELECT max(t.expires) FROM tokens t WHERE t.user_id = u.id AND t.used_at IS NULL AND t.verifier IS NOT NULL)"
constexpr int kUserColumns = 8;

Error conflict(std::string message) {
  return {ExitCode::conflict, std::move(message)};
}

// The highest slot that has an address in the pool.
uint64_t last_slot(const IpPrefix& pool) {
  const unsigned host_bits = (pool.address.is_v4() ? 32u : 128u) - pool.length;
  if (host_bits >= 33) return kMaxSlot;
  const uint64_t size = uint64_t{1} << host_bits;
  const uint64_t reserved = pool.address.is_v4() ? 2 : 1;  // IPv4: the last address is the broadcast address
  return size > reserved ? size - reserved : 0;
}

}  // namespace

IpAddress pool_address(const IpPrefix& pool, uint64_t index) {
  return index >= 1 && index <= last_slot(pool) ? pool.nth(index) : IpAddress{};
}

std::string_view to_text(UserState state) {
  switch (state) {
    case UserState::invited:
      return "invited";
    case UserState::active:
      return "active";
    case UserState::disabled:
      return "disabled";
    case UserState::removed:
      return "removed";
  }
  return "unknown";
}

class Registry::Impl {
 public:
  Impl(const std::string& file, const Pools& pools) : file_(file), pools_(pools), db(file) {}

  // Runs `body` (which returns a Result) and turns what SQLite throws into an Error.
  template <typename Body>
  auto guarded(Body body) -> std::invoke_result_t<Body> {
    try {
      return body();
    } catch (const SqlFailure& failure) {
      return registry_sql::to_error(failure, file_);
    } catch (const std::exception& e) {
      return Error{ExitCode::unexpected, "registry " + file_ + ": " + e.what()};
    }
  }

  // The user in the columns USER_COLUMNS from `first` on.
  UserRecord user_from(const Statement& s, UnixTime now, int first = 0) const {
    UserRecord user;
    user.id = UserId{static_cast<uint64_t>(s.integer(first))};
    user.name = s.text(first + 1);
    user.public_key = s.key(first + 2);
    if (!s.is_null(first + 3)) {
      const auto slot = static_cast<uint64_t>(s.integer(first + 3));
      if (pools_.v4) user.inner_v4 = pool_address(*pools_.v4, slot);
      if (pools_.v6) user.inner_v6 = pool_address(*pools_.v6, slot);
    }
    const std::string state = s.text(first + 4);
    user.state = state == "removed"    ? UserState::removed
                 : state == "disabled" ? UserState::disabled
                 : user.public_key     ? UserState::active
                                       : UserState::invited;
    user.created = UnixTime{s.integer(first + 5)};
    user.removed_at = UnixTime{s.integer(first + 6)};
    if (const UnixTime expires{s.integer(first + 7)}; expires > now) user.invite_expires = expires;
    return user;
  }

  std::optional<UserRecord> live_user(std::string_view name, UnixTime now) {
    Statement s(db, "SELECT " USER_COLUMNS " FROM users u WHERE u.name = ? AND u.state <> 'removed'");
    return s.bind(name).step() ? std::optional(user_from(s, now)) : std::nullopt;
  }
  std::optional<UserRecord> user_by_id(UserId id, UnixTime now) {
    Statement s(db, "SELECT " USER_COLUMNS " FROM users u WHERE u.id = ?");
    return s.bind(static_cast<int64_t>(id.value)).step() ? std::optional(user_from(s, now)) : std::nullopt;
  }
  std::optional<UserRecord> user_by_key(const PublicKey& key, UnixTime now) {
    Statement s(db, "SELECT " USER_COLUMNS " FROM users u WHERE u.public_key = ?");
    return s.bind(ByteSpan(key.bytes)).step() ? std::optional(user_from(s, now)) : std::nullopt;
  }

  // The user of that name who was removed last and is still known.
  std::optional<UserRecord> removed_user(std::string_view name, UnixTime now) {
    Statement s(db,
                "SELECT " USER_COLUMNS
                " FROM users u WHERE u.name = ? AND u.removed_at > ? ORDER BY u.removed_at DESC, u.id DESC LIMIT 1");
    return s.bind(name).bind(now.seconds - kKeepKnownSeconds).step() ? std::optional(user_from(s, now)) : std::nullopt;
  }

  // The user of that name, or an error that names users who are spelled nearly so.
  Result<UserRecord> named(std::string_view name, UnixTime now) {
    if (auto user = live_user(name, now)) return *user;
    std::vector<std::string> names;
    Statement s(db, "SELECT name FROM users WHERE state <> 'removed' ORDER BY name");
    while (s.step()) names.push_back(s.text(0));
    const std::vector<std::string_view> views(names.begin(), names.end());
    return Error{ExitCode::configuration, "no user \"" + printable(name.substr(0, 40)) + "\"" +
                                              did_you_mean(name, views) + "; `vpn-server user list` shows them all"};
  }

  uint64_t highest_slot() const {
    uint64_t highest = kMaxSlot;
    if (pools_.v4) highest = std::min(highest, last_slot(*pools_.v4));
    if (pools_.v6) highest = std::min(highest, last_slot(*pools_.v6));
    return highest;
  }

  // A slot that nobody has, or else the one of the user who was removed longest ago; nothing when all are in use.
  std::optional<int64_t> free_slot() {
    {
      Statement s(db,
                  "SELECT min(s) FROM (SELECT 2 AS s UNION ALL SELECT slot + 1 FROM users WHERE slot IS NOT NULL) "
                  "WHERE s NOT IN (SELECT slot FROM users WHERE slot IS NOT NULL)");
      if (s.step() && static_cast<uint64_t>(s.integer(0)) <= highest_slot()) return s.integer(0);
    }
    int64_t id = 0, slot = 0;
    {
      Statement s(db,
                  "SELECT id, slot FROM users WHERE state = 'removed' AND slot <= ? ORDER BY removed_at, id LIMIT 1");
      if (!s.bind(static_cast<int64_t>(highest_slot())).step()) return std::nullopt;
      id = s.integer(0);
      slot = s.integer(1);
    }
    Statement(db, "UPDATE users SET slot = NULL WHERE id = ?").bind(id).run();
    return slot;
  }

  Error pool_full() const {
    return {ExitCode::configuration,
            "the address pool is full: [network] in server.toml has room for " +
                std::to_string(highest_slot() < kFirstUserSlot ? 0 : highest_slot() - kFirstUserSlot + 1) +
                " users; remove users, or give ipv4 and ipv6 larger blocks"};
  }

  // A new user without a key.
  Result<UserRecord> add_user(std::string_view name, UnixTime now) {
    const auto slot = free_slot();
    if (!slot) return pool_full();
    Statement(db, "INSERT INTO users(name, slot, state, created) VALUES(?, ?, 'active', ?)")
        .bind(name)
        .bind(*slot)
        .bind(now.seconds)
        .run();
    return *user_by_id(UserId{static_cast<uint64_t>(db.last_id())}, now);
  }

  // Makes invites of a user worthless from now on: all of them, or those not yet used.
  void void_invites(UserId user, bool used_too, UnixTime now) {
    Statement(db,
              "UPDATE tokens SET verifier = NULL, psk = NULL, expires = min(expires, ?) "
              "WHERE user_id = ? AND (used_at IS NULL OR ?)")
        .bind(now.seconds)
        .bind(static_cast<int64_t>(user.value))
        .bind(int64_t{used_too})
        .run();
  }

  void retire(const PublicKey& key, UserId user, std::string_view reason, UnixTime now) {
    Statement(db, "INSERT OR REPLACE INTO retired_keys(public_key, user_id, reason, retired_at) VALUES(?, ?, ?, ?)")
        .bind(ByteSpan(key.bytes))
        .bind(static_cast<int64_t>(user.value))
        .bind(reason)
        .bind(now.seconds)
        .run();
  }

  // Gives the user this key, cutting the one he had.
  void set_key(const UserRecord& user, const PublicKey& key, UnixTime now) {
    if (user.public_key && *user.public_key != key) retire(*user.public_key, user.id, "replaced", now);
    Statement(db, "DELETE FROM retired_keys WHERE public_key = ?").bind(ByteSpan(key.bytes)).run();
    Statement(db, "UPDATE users SET public_key = ?1, psk = CASE WHEN public_key = ?1 THEN psk END WHERE id = ?2")
        .bind(ByteSpan(key.bytes))
        .bind(static_cast<int64_t>(user.id.value))
        .run();
  }

  // A smaller pool, or one that came later, may leave users outside: they move to free slots.
  Status move_into_pool() {
    Transaction transaction(db);
    std::vector<int64_t> outside;
    {
      Statement s(db, "SELECT id FROM users WHERE state <> 'removed' AND (slot IS NULL OR slot > ?) ORDER BY id");
      s.bind(static_cast<int64_t>(highest_slot()));
      while (s.step()) outside.push_back(s.integer(0));
    }
    for (const int64_t id : outside) {
      const auto slot = free_slot();
      if (!slot) return pool_full();
      Statement(db, "UPDATE users SET slot = ? WHERE id = ?").bind(*slot).bind(id).run();
    }
    transaction.commit();
    return Done{};
  }

  Result<UserRecord> set_state(std::string_view name, std::string_view state, UnixTime now) {
    Transaction transaction(db);
    const auto user = named(name, now);
    if (!user) return user;
    Statement(db, "UPDATE users SET state = ? WHERE id = ?")
        .bind(state)
        .bind(static_cast<int64_t>(user->id.value))
        .run();
    transaction.commit();
    return *user_by_id(user->id, now);
  }

  Result<Enrolment> enrol(const Bytes16& id, const PublicKey& key, UnixTime now);

  const std::string file_;
  const Pools pools_;
  Database db;
};

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

Result<Registry> Registry::open(const std::string& file, const Pools& pools) {
  try {
    auto impl = std::make_unique<Impl>(file, pools);
    if (Status s = registry_sql::prepare_schema(impl->db, file); !s) return s.error();
    if (Status s = impl->move_into_pool(); !s) return s.error();
    return Registry(std::move(impl));
  } catch (const SqlFailure& failure) {
    return registry_sql::to_error(failure, file);
  } catch (const std::exception& e) {
    return Error{ExitCode::unexpected, "registry " + file + ": " + e.what()};
  }
}

Result<UserRecord> Registry::create_invite(std::string_view name, const TokenMaterial& token, UnixTime expires,
                                           UnixTime now) {
  if (Status s = check_name(name, "user"); !s) return s.error();
  if (expires <= now) return Error{ExitCode::configuration, "an invite must expire in the future; try --expires 24h"};
  return impl_->guarded([&]() -> Result<UserRecord> {
    Transaction transaction(impl_->db);
    std::optional<UserRecord> user = impl_->live_user(name, now);
    const bool replacement = user && user->public_key;
    if (user && user->state == UserState::disabled) {
      return conflict("user \"" + std::string(name) + "\" is disabled; first: vpn-server user enable " +
                      std::string(name));
    }
    if (user) {
      // Whoever asks for another invite has lost the first, or sent it to the wrong place.
      impl_->void_invites(user->id, false, now);
    } else {
      auto added = impl_->add_user(name, now);
      if (!added) return added;
      user = *added;
    }
    Statement(
        impl_->db,
        "INSERT INTO tokens(token_id, verifier, psk, user_id, kind, created, expires) VALUES(?, ?, ?, ?, ?, ?, ?)")
        .bind(ByteSpan(token.id))
        .bind(ByteSpan(token.verifier.bytes()))
        .bind(ByteSpan(token.psk.bytes()))
        .bind(static_cast<int64_t>(user->id.value))
        .bind(std::string_view(replacement ? "replacement" : "new"))
        .bind(now.seconds)
        .bind(expires.seconds)
        .run();
    transaction.commit();
    return *impl_->user_by_id(user->id, now);
  });
}

Result<UserRecord> Registry::allow_key(std::string_view name, const PublicKey& key, UnixTime now) {
  if (Status s = check_name(name, "user"); !s) return s.error();
  return impl_->guarded([&]() -> Result<UserRecord> {
    Transaction transaction(impl_->db);
    const auto owner = impl_->user_by_key(key, now);
    if (owner && owner->name == name) return *owner;
    if (owner) {
      return conflict("this public key is already user \"" + owner->name + "\"; one user is one device with one key");
    }
    std::optional<UserRecord> user = impl_->live_user(name, now);
    if (user && user->public_key) {
      return conflict("user \"" + std::string(name) +
                      "\" has another public key; to replace the device: vpn-server invite " + std::string(name) +
                      ", or first: vpn-server user remove " + std::string(name));
    }
    if (!user) {
      auto added = impl_->add_user(name, now);
      if (!added) return added;
      user = *added;
    }
    impl_->set_key(*user, key, now);
    impl_->void_invites(user->id, true, now);
    transaction.commit();
    return *impl_->user_by_id(user->id, now);
  });
}

Result<KeyLookup> Registry::lookup_by_key(const PublicKey& key, UnixTime now) {
  return impl_->guarded([&]() -> Result<KeyLookup> {
    KeyLookup found;
    {
      Statement s(impl_->db, "SELECT " USER_COLUMNS ", u.psk FROM users u WHERE u.public_key = ?");
      if (s.bind(ByteSpan(key.bytes)).step()) {
        found.user = impl_->user_from(s, now);
        found.psk = s.secret(kUserColumns);
        found.state = found.user->state == UserState::disabled ? KeyState::disabled : KeyState::active;
        return found;
      }
    }
    Statement s(impl_->db, "SELECT " USER_COLUMNS
                           ", k.reason FROM retired_keys k JOIN users u ON u.id = k.user_id "
                           "WHERE k.public_key = ? AND k.retired_at > ?");
    if (s.bind(ByteSpan(key.bytes)).bind(now.seconds - kKeepKnownSeconds).step()) {
      found.user = impl_->user_from(s, now);
      // Of a user who was removed since, a replaced device is told that, too.
      const bool replaced = s.text(kUserColumns) == "replaced" && found.user->state != UserState::removed;
      found.state = replaced ? KeyState::replaced : KeyState::removed;
    }
    return found;
  });
}

Result<TokenLookup> Registry::lookup_token(const Bytes16& id, UnixTime now) {
  return impl_->guarded([&]() -> Result<TokenLookup> {
    TokenLookup found;
    Statement s(impl_->db, "SELECT " USER_COLUMNS
                           ", t.kind, t.expires, t.used_by, t.verifier, t.psk "
                           "FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.token_id = ?");
    if (!s.bind(ByteSpan(id)).step()) return found;
    found.user = impl_->user_from(s, now);
    found.kind = s.text(kUserColumns) == "replacement" ? TokenKind::replacement : TokenKind::new_user;
    found.expires = UnixTime{s.integer(kUserColumns + 1)};
    found.used_by = s.key(kUserColumns + 2);
    if (now < found.expires) {
      found.verifier = s.secret(kUserColumns + 3);
      found.psk = s.secret(kUserColumns + 4);
    }
    found.state = found.user->state == UserState::removed    ? TokenState::removed
                  : found.user->state == UserState::disabled ? TokenState::disabled
                  : !found.verifier                          ? TokenState::expired
                  : found.used_by                            ? TokenState::used
                                                             : TokenState::valid;
    return found;
  });
}

Result<Enrolment> Registry::commit_enrolment(const Bytes16& id, const PublicKey& key, UnixTime now) {
  return impl_->guarded([&] { return impl_->enrol(id, key, now); });
}

Result<Enrolment> Registry::Impl::enrol(const Bytes16& id, const PublicKey& key, UnixTime now) {
  Transaction transaction(db);
  std::optional<UserRecord> user;
  std::optional<PublicKey> used_by;
  bool alive = false;
  {
    Statement s(db, "SELECT " USER_COLUMNS
                    ", t.used_by, t.verifier IS NOT NULL AND t.expires > ? "
                    "FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.token_id = ?");
    if (!s.bind(now.seconds).bind(ByteSpan(id)).step()) return Enrolment{EnrolmentOutcome::unknown, {}, {}};
    user = user_from(s, now);
    used_by = s.key(kUserColumns);
    alive = s.integer(kUserColumns + 1) != 0;
  }
  if (user->state == UserState::removed) return Enrolment{EnrolmentOutcome::removed, {}, {}};
  if (user->state == UserState::disabled) return Enrolment{EnrolmentOutcome::disabled, {}, {}};
  if (!alive) return Enrolment{EnrolmentOutcome::expired, {}, {}};
  if (used_by) {
    if (*used_by != key) return Enrolment{EnrolmentOutcome::used, {}, {}};
    return Enrolment{EnrolmentOutcome::already, user, {}};
  }
  if (const auto owner = user_by_key(key, now); owner && owner->id != user->id)
    return Enrolment{EnrolmentOutcome::key_in_use, {}, {}};

  Enrolment done{EnrolmentOutcome::enrolled, {}, {}};
  if (user->public_key && *user->public_key != key) done.replaced_key = user->public_key;
  set_key(*user, key, now);
  // Older invites of this user go: the device that was replaced must not come back by the one it has used.
  Statement(db, "UPDATE tokens SET used_by = ?, used_at = ? WHERE token_id = ?")
      .bind(ByteSpan(key.bytes))
      .bind(now.seconds)
      .bind(ByteSpan(id))
      .run();
  Statement(
      db,
      "UPDATE tokens SET verifier = NULL, psk = NULL, expires = min(expires, ?) WHERE user_id = ? AND token_id <> ?")
      .bind(now.seconds)
      .bind(static_cast<int64_t>(user->id.value))
      .bind(ByteSpan(id))
      .run();
  transaction.commit();
  done.user = user_by_id(user->id, now);
  return done;
}

Result<std::vector<UserRecord>> Registry::list(bool with_removed, UnixTime now) {
  return impl_->guarded([&]() -> Result<std::vector<UserRecord>> {
    std::vector<UserRecord> users;
    Statement s(impl_->db,
                "SELECT " USER_COLUMNS
                " FROM users u WHERE u.state <> 'removed' OR (? AND u.removed_at > ?) ORDER BY u.name, u.id");
    s.bind(int64_t{with_removed}).bind(now.seconds - kKeepKnownSeconds);
    while (s.step()) users.push_back(impl_->user_from(s, now));
    return users;
  });
}

Result<UserRecord> Registry::show(std::string_view name, UnixTime now) {
  return impl_->guarded([&]() -> Result<UserRecord> {
    if (const auto live = impl_->live_user(name, now)) return *live;
    if (const auto gone = impl_->removed_user(name, now)) return *gone;
    return impl_->named(name, now);
  });
}

Result<std::optional<UserRecord>> Registry::find(UserId id, UnixTime now) {
  return impl_->guarded([&]() -> Result<std::optional<UserRecord>> { return impl_->user_by_id(id, now); });
}

Result<UserRecord> Registry::disable(std::string_view name, UnixTime now) {
  return impl_->guarded([&] { return impl_->set_state(name, "disabled", now); });
}

Result<UserRecord> Registry::enable(std::string_view name, UnixTime now) {
  return impl_->guarded([&] { return impl_->set_state(name, "active", now); });
}

Result<UserRecord> Registry::remove(std::string_view name, UnixTime now) {
  return impl_->guarded([&]() -> Result<UserRecord> {
    Transaction transaction(impl_->db);
    const auto user = impl_->named(name, now);
    if (!user) {
      const auto gone = impl_->removed_user(name, now);
      return gone ? Result<UserRecord>(*gone) : user;
    }
    const auto id = static_cast<int64_t>(user->id.value);
    if (user->public_key) impl_->retire(*user->public_key, user->id, "removed", now);
    Statement(impl_->db,
              "UPDATE users SET state = 'removed', removed_at = ?, public_key = NULL, psk = NULL WHERE id = ?")
        .bind(now.seconds)
        .bind(id)
        .run();
    impl_->void_invites(user->id, true, now);
    transaction.commit();
    return *impl_->user_by_id(user->id, now);
  });
}

Status Registry::purge(UnixTime now) {
  return impl_->guarded([&]() -> Status {
    const int64_t forgotten = now.seconds - kKeepKnownSeconds;
    Transaction transaction(impl_->db);
    Statement(impl_->db, "UPDATE tokens SET verifier = NULL, psk = NULL WHERE expires <= ? AND verifier IS NOT NULL")
        .bind(now.seconds)
        .run();
    const bool wiped = impl_->db.changes() > 0;
    Statement(impl_->db, "DELETE FROM tokens WHERE expires <= ?").bind(forgotten).run();
    Statement(impl_->db, "DELETE FROM retired_keys WHERE retired_at <= ?").bind(forgotten).run();
    Statement(impl_->db, "DELETE FROM users WHERE state = 'removed' AND removed_at <= ?").bind(forgotten).run();
    transaction.commit();
    // The write-ahead log holds the old pages until it is folded into the file. A reader may prevent that now: then
    // next time.
    if (wiped) impl_->db.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    return Done{};
  });
}

Result<uint64_t> Registry::data_version() {
  return impl_->guarded(
      [&]() -> Result<uint64_t> { return static_cast<uint64_t>(impl_->db.pragma("PRAGMA data_version")); });
}

}  // namespace hawser
