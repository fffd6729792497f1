// The server's users and invites, in SQLite: who may enter, with which key, and which inner addresses are his for life.
// Commands write the file while the server runs; every operation is one transaction and waits at most 5 s for another
// writer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/unix_time.h"
#include "common/crypto/hash.h"
#include "common/crypto/key.h"
#include "common/net.h"
#include "common/result.h"
#include "common/types.h"

namespace hawser {

// What is derived from an invite's token; the token itself is never stored.
struct TokenMaterial {
  Bytes16 id{};
  SecretKey verifier;
  SecretKey psk;

  static TokenMaterial of(ByteSpan token) { return {token_id(token), token_verifier(token), token_psk(token)}; }
};

// How long removed users, replaced keys and dead invites stay known, so that they are told why they are refused.
inline constexpr int64_t kKeepKnownSeconds = 90 * 86400;

enum class UserState : uint8_t {
  invited,  // no key yet
  active,
  disabled,
  removed,  // kept kKeepKnownSeconds, the name is free again
};
std::string_view to_text(UserState state);

struct UserRecord {
  UserId id;
  std::string name;
  UserState state = UserState::invited;
  std::optional<PublicKey> public_key;
  IpAddress inner_v4, inner_v6;  // unset when the server has no pool of the family
  UnixTime created, removed_at;
  UnixTime invite_expires;  // of an unused invite; unset when there is none
};

enum class KeyState : uint8_t { unknown, active, disabled, removed, replaced };
struct KeyLookup {
  KeyState state = KeyState::unknown;
  std::optional<UserRecord> user;  // unless unknown
  std::optional<SecretKey> psk;    // a preshared key of this user; none = all zeros
};

enum class TokenState : uint8_t { unknown, valid, used, expired, disabled, removed };
enum class TokenKind : uint8_t { new_user, replacement };
struct TokenLookup {
  TokenState state = TokenState::unknown;
  TokenKind kind = TokenKind::new_user;
  std::optional<UserRecord> user;          // unless unknown
  std::optional<SecretKey> verifier, psk;  // until expiry (used ones too: the same key may come again)
  std::optional<PublicKey> used_by;
  UnixTime expires;
};

enum class EnrolmentOutcome : uint8_t {
  enrolled,
  already,  // the same key again: success
  used,     // by another key
  expired,
  unknown,
  disabled,
  removed,
  key_in_use,  // this key is another user's
};
struct Enrolment {
  EnrolmentOutcome outcome = EnrolmentOutcome::unknown;
  std::optional<UserRecord> user;         // when enrolled or already
  std::optional<PublicKey> replaced_key;  // the device that was cut by this enrolment
};

class Registry {
 public:
  // The blocks from which inner addresses are given; the first address of each is the server's.
  struct Pools {
    std::optional<IpPrefix> v4, v6;
  };

  // Opens or makes `file` (mode 0600 by the caller's umask); ":memory:" is for tests.
  // Errors: configuration (not a registry, a newer schema), permission, unexpected (disk).
  static Result<Registry> open(const std::string& file, const Pools& pools);
  Registry(Registry&&) noexcept;
  Registry& operator=(Registry&&) noexcept;
  ~Registry();

  // A new user, or for a name that exists a replacement: addresses stay, the old key is cut when the invite is used.
  // Any unused invite of that name is void from now on. Errors: configuration (name, pool full), conflict (user
  // disabled).
  Result<UserRecord> create_invite(std::string_view name, const TokenMaterial& token, UnixTime expires, UnixTime now);
  // A user known by key without an invite. Idempotent; conflict when the name has another key or the key another name.
  Result<UserRecord> allow_key(std::string_view name, const PublicKey& public_key, UnixTime now);

  Result<KeyLookup> lookup_by_key(const PublicKey& public_key, UnixTime now);
  Result<TokenLookup> lookup_token(const Bytes16& id, UnixTime now);
  // After key confirmation only. One transaction; doing it again with the same key changes nothing and succeeds until
  // expiry.
  Result<Enrolment> commit_enrolment(const Bytes16& id, const PublicKey& public_key, UnixTime now);

  // By name; users that are not removed. `with_removed` adds those still known.
  Result<std::vector<UserRecord>> list(bool with_removed, UnixTime now);
  // The user of that name, else the one removed last. Error: configuration, with names that come near.
  Result<UserRecord> show(std::string_view name, UnixTime now);
  // The user with that id; nothing when unknown or purged.
  Result<std::optional<UserRecord>> find(UserId id, UnixTime now);

  // Each gives the record after the change; doing it again is no error.
  Result<UserRecord> disable(std::string_view name, UnixTime now);
  Result<UserRecord> enable(std::string_view name, UnixTime now);
  Result<UserRecord> remove(std::string_view name, UnixTime now);

  // Wipes verifier and psk of expired invites; forgets what is older than kKeepKnownSeconds. Cheap; call it at start
  // and hourly.
  Status purge(UnixTime now);

  // Changes when another process has written the file since the last call (SQLite's data_version).
  Result<uint64_t> data_version();

 private:
  class Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The `index`th address of the pool as user addresses: 1 is the server's own, users begin at 2.
// Unset when the block has no such address (IPv4: the broadcast address is never given).
IpAddress pool_address(const IpPrefix& pool, uint64_t index);

}  // namespace hawser
