// The registry: a user's life from invite to removal, invites that are used once, addresses for life, two programs at
// once.
#include "server/registry.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

using namespace hawser;

namespace {

constexpr UnixTime kNow{1'800'000'000};
constexpr int64_t kDay = 86400;

template <typename T>
T must(Result<T> result) {
  if (!result) FAIL("unexpected error: " << result.error().message);
  return std::move(*result);
}

// A folder of its own, gone at the end.
struct Folder {
  std::filesystem::path path;
  Folder() {
    char name[] = "/tmp/hawser-registry-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file(const char* name = "registry.db") const { return (path / name).string(); }
};

Registry::Pools pools(const char* v4 = "10.9.0.0/16", const char* v6 = "fd3a:71c2:9e04::/48") {
  Registry::Pools p;
  if (v4 != nullptr) p.v4 = IpPrefix::parse(v4);
  if (v6 != nullptr) p.v6 = IpPrefix::parse(v6);
  return p;
}

Registry in_memory(const Registry::Pools& p = pools()) {
  init();
  return must(Registry::open(":memory:", p));
}

PublicKey key(uint8_t n) {
  PublicKey k;
  k.bytes.fill(n);
  return k;
}

TokenMaterial token(uint8_t n) {
  std::array<uint8_t, 16> secret;
  secret.fill(n);
  return TokenMaterial::of(secret);
}

// Invites and enrols in one go.
UserRecord enrolled(Registry& r, const char* name, uint8_t n) {
  must(r.create_invite(name, token(n), kNow + kDay, kNow));
  const Enrolment e = must(r.commit_enrolment(token(n).id, key(n), kNow));
  REQUIRE(e.outcome == EnrolmentOutcome::enrolled);
  return *e.user;
}

EnrolmentOutcome enrol(Registry& r, uint8_t t, uint8_t k, UnixTime now = kNow) {
  return must(r.commit_enrolment(token(t).id, key(k), now)).outcome;
}
KeyState state_of(Registry& r, uint8_t k, UnixTime now = kNow) {
  return must(r.lookup_by_key(key(k), now)).state;
}
TokenState token_state(Registry& r, uint8_t t, UnixTime now = kNow) {
  return must(r.lookup_token(token(t).id, now)).state;
}

// Runs SQL behind the registry's back and gives the first value of the first row.
std::string sql(const std::string& file, const char* text) {
  sqlite3* db = nullptr;
  sqlite3_stmt* statement = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_prepare_v2(db, text, -1, &statement, nullptr) == SQLITE_OK);
  std::string value;
  if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != nullptr) {
    value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return value;
}

// Runs `body` in a process of its own; true when it returned true.
template <typename Body>
pid_t in_child(Body body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body() ? 0 : 1);
  return pid;
}
bool succeeded(pid_t pid) {
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("an invite makes a user with addresses, enrolment gives him his key") {
  Registry r = in_memory();
  const UserRecord invited = must(r.create_invite("laptop", token(1), kNow + kDay, kNow));
  CHECK(invited.state == UserState::invited);
  CHECK(invited.inner_v4.to_string() == "10.9.0.2");
  CHECK(invited.inner_v6.to_string() == "fd3a:71c2:9e04::2");
  CHECK(invited.created == kNow);
  CHECK(invited.invite_expires == kNow + kDay);
  CHECK_FALSE(invited.public_key);
  CHECK(state_of(r, 1) == KeyState::unknown);

  const TokenLookup found = must(r.lookup_token(token(1).id, kNow));
  CHECK(found.state == TokenState::valid);
  CHECK(found.kind == TokenKind::new_user);
  CHECK(found.user->name == "laptop");
  CHECK(found.expires == kNow + kDay);
  REQUIRE(found.verifier);
  CHECK(found.verifier->equals(token(1).verifier));
  CHECK(found.psk->equals(token(1).psk));
  CHECK_FALSE(found.used_by);

  const Enrolment e = must(r.commit_enrolment(token(1).id, key(1), kNow + 5));
  CHECK(e.outcome == EnrolmentOutcome::enrolled);
  CHECK(e.user->id == invited.id);
  CHECK(e.user->state == UserState::active);
  CHECK(e.user->public_key == key(1));
  CHECK_FALSE(e.replaced_key);
  CHECK_FALSE(e.user->invite_expires.is_set());

  const KeyLookup by_key = must(r.lookup_by_key(key(1), kNow));
  CHECK(by_key.state == KeyState::active);
  CHECK(by_key.user->id == invited.id);
  CHECK(by_key.user->inner_v4 == invited.inner_v4);
  CHECK_FALSE(by_key.psk);
  CHECK(must(r.find(invited.id, kNow))->name == "laptop");
  CHECK_FALSE(must(r.find(UserId{99}, kNow)));
}

TEST_CASE("enrolment is idempotent until the invite expires") {
  Registry r = in_memory();
  must(r.create_invite("laptop", token(1), kNow + kDay, kNow));
  CHECK(enrol(r, 1, 1) == EnrolmentOutcome::enrolled);
  CHECK(enrol(r, 1, 1) == EnrolmentOutcome::already);
  CHECK(enrol(r, 1, 2) == EnrolmentOutcome::used);
  CHECK(state_of(r, 2) == KeyState::unknown);
  const TokenLookup used = must(r.lookup_token(token(1).id, kNow));
  CHECK(used.state == TokenState::used);
  CHECK(used.used_by == key(1));
  CHECK(used.verifier);
  CHECK(enrol(r, 1, 1, kNow + kDay - 1) == EnrolmentOutcome::already);
  CHECK(enrol(r, 1, 1, kNow + kDay) == EnrolmentOutcome::expired);
  const TokenLookup late = must(r.lookup_token(token(1).id, kNow + kDay));
  CHECK(late.state == TokenState::expired);
  CHECK_FALSE(late.verifier);
  CHECK_FALSE(late.psk);
  CHECK(state_of(r, 1, kNow + 3000 * kDay) == KeyState::active);
}

TEST_CASE("an expired or unknown invite enrols nobody") {
  Registry r = in_memory();
  must(r.create_invite("laptop", token(1), kNow + 10, kNow));
  CHECK(enrol(r, 1, 1, kNow + 10) == EnrolmentOutcome::expired);
  CHECK(enrol(r, 9, 1) == EnrolmentOutcome::unknown);
  CHECK(token_state(r, 9) == TokenState::unknown);
  CHECK(state_of(r, 1) == KeyState::unknown);
  CHECK(r.create_invite("x", token(2), kNow, kNow).error().code == ExitCode::configuration);
  CHECK_FALSE(r.create_invite("server", token(2), kNow + 1, kNow));
  CHECK_FALSE(r.create_invite("La\ntop", token(2), kNow + 1, kNow));
  CHECK(must(r.list(true, kNow)).size() == 1);
  CHECK_FALSE(r.create_invite("phone", token(1), kNow + kDay, kNow));  // the same token again: nothing is half done
  CHECK(must(r.list(true, kNow)).size() == 1);
}

TEST_CASE("a second invite voids an unused one") {
  Registry r = in_memory();
  const UserRecord first = must(r.create_invite("laptop", token(1), kNow + kDay, kNow));
  const UserRecord second = must(r.create_invite("laptop", token(2), kNow + 2 * kDay, kNow));
  CHECK(first.id == second.id);
  CHECK(must(r.lookup_token(token(2).id, kNow)).kind == TokenKind::new_user);
  CHECK(token_state(r, 1) == TokenState::expired);
  CHECK(enrol(r, 1, 1) == EnrolmentOutcome::expired);
  CHECK(enrol(r, 2, 2) == EnrolmentOutcome::enrolled);
}

TEST_CASE("an invite for an existing name replaces the device and keeps the addresses") {
  Registry r = in_memory();
  const UserRecord before = enrolled(r, "laptop", 1);
  must(r.create_invite("laptop", token(2), kNow + kDay, kNow));
  CHECK(must(r.lookup_token(token(2).id, kNow)).kind == TokenKind::replacement);
  CHECK(state_of(r, 1) == KeyState::active);  // until the invite is used
  const Enrolment e = must(r.commit_enrolment(token(2).id, key(2), kNow));
  CHECK(e.outcome == EnrolmentOutcome::enrolled);
  CHECK(e.replaced_key == key(1));
  CHECK(e.user->id == before.id);
  CHECK(e.user->inner_v4 == before.inner_v4);
  CHECK(e.user->inner_v6 == before.inner_v6);
  CHECK(state_of(r, 2) == KeyState::active);
  CHECK(state_of(r, 1) == KeyState::replaced);
  CHECK(must(r.lookup_by_key(key(1), kNow)).user->name == "laptop");
  CHECK(state_of(r, 1, kNow + 90 * kDay) == KeyState::unknown);

  // The cut device may not come back by the invite that it once used.
  CHECK(enrol(r, 1, 1) == EnrolmentOutcome::expired);
  CHECK(state_of(r, 2) == KeyState::active);

  // But by a new one.
  must(r.create_invite("laptop", token(3), kNow + kDay, kNow));
  CHECK(enrol(r, 3, 1) == EnrolmentOutcome::enrolled);
  CHECK(state_of(r, 1) == KeyState::active);
  CHECK(state_of(r, 2) == KeyState::replaced);

  // The same device again: nobody is replaced.
  must(r.create_invite("laptop", token(4), kNow + kDay, kNow));
  const Enrolment same = must(r.commit_enrolment(token(4).id, key(1), kNow));
  CHECK(same.outcome == EnrolmentOutcome::enrolled);
  CHECK_FALSE(same.replaced_key);
}

TEST_CASE("one key is one user") {
  Registry r = in_memory();
  enrolled(r, "laptop", 1);
  must(r.create_invite("phone", token(2), kNow + kDay, kNow));
  CHECK(enrol(r, 2, 1) == EnrolmentOutcome::key_in_use);
  CHECK(must(r.lookup_by_key(key(1), kNow)).user->name == "laptop");
  CHECK(enrol(r, 2, 2) == EnrolmentOutcome::enrolled);
}

TEST_CASE("disable and enable") {
  Registry r = in_memory();
  enrolled(r, "laptop", 1);
  must(r.create_invite("laptop", token(2), kNow + kDay, kNow));
  CHECK(must(r.disable("laptop", kNow)).state == UserState::disabled);
  CHECK(must(r.disable("laptop", kNow)).state == UserState::disabled);
  CHECK(state_of(r, 1) == KeyState::disabled);
  CHECK(token_state(r, 2) == TokenState::disabled);
  CHECK(enrol(r, 2, 2) == EnrolmentOutcome::disabled);
  const auto refused = r.create_invite("laptop", token(3), kNow + kDay, kNow);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ExitCode::conflict);
  CHECK(refused.error().message == "user \"laptop\" is disabled; first: vpn-server user enable laptop");
  CHECK(must(r.enable("laptop", kNow)).state == UserState::active);
  CHECK(state_of(r, 1) == KeyState::active);
  CHECK(token_state(r, 2) == TokenState::valid);
  CHECK(enrol(r, 2, 2) == EnrolmentOutcome::enrolled);
}

TEST_CASE("a removed user is known for 90 days, cannot return, and frees his name") {
  Registry r = in_memory();
  const UserRecord before = enrolled(r, "laptop", 1);
  must(r.create_invite("laptop", token(2), kNow + kDay, kNow));
  const UserRecord removed = must(r.remove("laptop", kNow + 1));
  CHECK(removed.state == UserState::removed);
  CHECK(removed.removed_at == kNow + 1);
  CHECK(must(r.remove("laptop", kNow + 2)).removed_at == kNow + 1);
  CHECK(state_of(r, 1) == KeyState::removed);
  CHECK(must(r.lookup_by_key(key(1), kNow)).user->id == before.id);
  CHECK(token_state(r, 1) == TokenState::removed);
  CHECK(token_state(r, 2) == TokenState::removed);
  CHECK(enrol(r, 1, 1) == EnrolmentOutcome::removed);
  CHECK(enrol(r, 2, 2) == EnrolmentOutcome::removed);
  CHECK_FALSE(must(r.lookup_token(token(2).id, kNow)).verifier);
  CHECK(must(r.list(false, kNow)).empty());
  CHECK(must(r.list(true, kNow)).size() == 1);
  CHECK(must(r.show("laptop", kNow)).state == UserState::removed);
  CHECK_FALSE(r.disable("laptop", kNow));
  CHECK_FALSE(r.enable("laptop", kNow));

  // The name again: another user with other addresses; the old key stays out.
  const UserRecord again = enrolled(r, "laptop", 3);
  CHECK(again.id != before.id);
  CHECK(again.inner_v4 != before.inner_v4);
  CHECK(state_of(r, 1) == KeyState::removed);
  CHECK(must(r.show("laptop", kNow)).id == again.id);
  CHECK(must(r.list(true, kNow)).size() == 2);

  CHECK(state_of(r, 1, kNow + 1 + 90 * kDay - 1) == KeyState::removed);
  CHECK(state_of(r, 1, kNow + 1 + 90 * kDay) == KeyState::unknown);
  CHECK(must(r.list(true, kNow + 1 + 90 * kDay)).size() == 1);
}

TEST_CASE("a removed device may be invited again") {
  Registry r = in_memory();
  enrolled(r, "laptop", 1);
  must(r.remove("laptop", kNow));
  must(r.create_invite("laptop", token(2), kNow + kDay, kNow));
  CHECK(enrol(r, 2, 1) == EnrolmentOutcome::enrolled);
  CHECK(state_of(r, 1) == KeyState::active);
}

TEST_CASE("of a replaced device whose user is removed") {
  Registry r = in_memory();
  enrolled(r, "laptop", 1);
  must(r.create_invite("laptop", token(2), kNow + kDay, kNow));
  CHECK(enrol(r, 2, 2) == EnrolmentOutcome::enrolled);
  must(r.remove("laptop", kNow));
  CHECK(state_of(r, 1) == KeyState::removed);
  CHECK(state_of(r, 2) == KeyState::removed);
}

TEST_CASE("allow_key knows a user without an invite") {
  Registry r = in_memory();
  const UserRecord user = must(r.allow_key("laptop", key(1), kNow));
  CHECK(user.state == UserState::active);
  CHECK(must(r.allow_key("laptop", key(1), kNow + 5)).id == user.id);
  CHECK(must(r.list(true, kNow)).size() == 1);
  CHECK(state_of(r, 1) == KeyState::active);

  const auto other_key = r.allow_key("laptop", key(2), kNow);
  REQUIRE_FALSE(other_key);
  CHECK(other_key.error().code == ExitCode::conflict);
  const auto other_name = r.allow_key("phone", key(1), kNow);
  REQUIRE_FALSE(other_name);
  CHECK(other_name.error().code == ExitCode::conflict);
  CHECK(other_name.error().message ==
        "this public key is already user \"laptop\"; one user is one device with one key");
  CHECK(must(r.list(true, kNow)).size() == 1);
  CHECK_FALSE(r.allow_key("server", key(3), kNow));

  // For one who has only an invite it takes the invite's place.
  must(r.create_invite("phone", token(4), kNow + kDay, kNow));
  must(r.allow_key("phone", key(4), kNow));
  CHECK(token_state(r, 4) == TokenState::expired);
  CHECK(state_of(r, 4) == KeyState::active);
}

TEST_CASE("a name that nobody has is told with one that is near") {
  Registry r = in_memory();
  enrolled(r, "laptop", 1);
  for (const auto& result :
       {r.show("laptpo", kNow), r.disable("laptpo", kNow), r.enable("laptpo", kNow), r.remove("laptpo", kNow)}) {
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ExitCode::configuration);
    CHECK(result.error().message ==
          "no user \"laptpo\" (did you mean \"laptop\"?); `vpn-server user list` shows them all");
  }
  CHECK_FALSE(r.show("'; DROP TABLE users; --", kNow));
  CHECK(must(r.list(false, kNow)).size() == 1);
}

TEST_CASE("addresses of a pool") {
  const auto text = [](const char* pool, uint64_t n) { return pool_address(*IpPrefix::parse(pool), n).to_string(); };
  CHECK(text("10.9.0.0/16", 1) == "10.9.0.1");
  CHECK(text("10.9.0.0/16", 256) == "10.9.1.0");
  CHECK(text("10.9.0.0/30", 2) == "10.9.0.2");
  CHECK(text("10.9.0.0/30", 3) == "(none)");
  CHECK(text("10.9.0.0/16", 0) == "(none)");
  CHECK(text("10.9.0.0/16", 65534) == "10.9.255.254");
  CHECK(text("10.9.0.0/16", 65535) == "(none)");
  CHECK(text("fd00::/112", 65535) == "fd00::ffff");
  CHECK(text("fd00::/112", 65536) == "(none)");
  CHECK(text("fd00:1:2::/48", 0xffffffff) == "fd00:1:2::ffff:ffff");
}

TEST_CASE("every user has addresses of his own until the pool is full; then the longest removed gives his") {
  Registry r = in_memory(pools("10.9.0.0/29", nullptr));  // 1 is the server, 2 to 6 are users
  std::set<IpAddress> seen;
  const char* names[] = {"a", "b", "c", "d", "e"};
  for (uint8_t i = 0; i < 5; ++i) {
    const UserRecord user = enrolled(r, names[i], static_cast<uint8_t>(i + 1));
    CHECK(seen.insert(user.inner_v4).second);
    CHECK_FALSE(user.inner_v6.is_set());
  }
  const auto full = r.create_invite("f", token(9), kNow + kDay, kNow);
  REQUIRE_FALSE(full);
  CHECK(full.error().code == ExitCode::configuration);
  CHECK(full.error().message ==
        "the address pool is full: [network] in server.toml has room for 5 users; remove users, or give ipv4 and ipv6 "
        "larger blocks");
  CHECK(must(r.list(true, kNow)).size() == 5);
  const IpAddress of_d = must(r.show("d", kNow)).inner_v4;
  must(r.remove("d", kNow + 1));
  must(r.remove("b", kNow + 2));
  CHECK(must(r.create_invite("f", token(9), kNow + kDay, kNow + 3)).inner_v4 == of_d);
  CHECK(state_of(r, 4, kNow + 3) == KeyState::removed);  // still known by his key
}

TEST_CASE("addresses survive a restart, follow the pool, and move into a smaller one") {
  Folder folder;
  init();
  IpAddress third;
  {
    Registry r = must(Registry::open(folder.file(), pools("10.9.0.0/16", nullptr)));
    for (uint8_t i = 1; i <= 3; ++i) third = enrolled(r, ("u" + std::to_string(i)).c_str(), i).inner_v4;
    must(r.remove("u1", kNow));
    CHECK(third.to_string() == "10.9.0.4");
  }
  {
    Registry r = must(Registry::open(folder.file(), pools()));  // IPv6 was added
    const UserRecord user = must(r.show("u3", kNow));
    CHECK(user.inner_v4 == third);
    CHECK(user.inner_v6.to_string() == "fd3a:71c2:9e04::4");
    CHECK(must(r.create_invite("u4", token(7), kNow + kDay, kNow)).inner_v4.to_string() == "10.9.0.5");
    must(r.remove("u4", kNow + 1));
  }
  const auto too_small = Registry::open(folder.file(), pools("10.8.0.0/30", nullptr));  // room for one of two users
  REQUIRE_FALSE(too_small);
  CHECK(too_small.error().code == ExitCode::configuration);
  {
    Registry r = must(Registry::open(folder.file(), pools("10.8.0.0/29", nullptr)));
    CHECK(must(r.show("u3", kNow)).inner_v4.to_string() == "10.8.0.4");
    must(r.remove("u2", kNow));
  }
  Registry r = must(Registry::open(folder.file(), pools("10.8.0.0/30", nullptr)));
  CHECK(must(r.show("u3", kNow)).inner_v4.to_string() == "10.8.0.2");
}

TEST_CASE("a registry that is none is refused with the reason") {
  Folder folder;
  init();
  std::ofstream(folder.file("text.db")) << std::string(4096, 'x');
  auto opened = Registry::open(folder.file("text.db"), pools());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ExitCode::configuration);
  CHECK(opened.error().message.find("is not an SQLite file") != std::string::npos);

  sql(folder.file("other.db"), "CREATE TABLE users(x)");
  opened = Registry::open(folder.file("other.db"), pools());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message.find("not a Hawser registry") != std::string::npos);

  must(Registry::open(folder.file(), pools()));
  sql(folder.file(), "PRAGMA user_version = 9");
  opened = Registry::open(folder.file(), pools());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message.find("has registry format 9") != std::string::npos);

  opened = Registry::open(folder.file("no/such/folder.db"), pools());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ExitCode::configuration);
  CHECK(opened.error().message.find("cannot be opened") != std::string::npos);
}

TEST_CASE("only the owner may read the file") {
  Folder folder;
  init();
  Registry r = must(Registry::open(folder.file(), pools()));
  enrolled(r, "laptop", 1);
  for (const char* name : {"registry.db", "registry.db-wal"}) {
    struct stat status {};
    REQUIRE(stat(folder.file(name).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
}

TEST_CASE("purge wipes what has expired and forgets after 90 days") {
  Folder folder;
  init();
  Registry r = must(Registry::open(folder.file(), pools()));
  must(r.create_invite("laptop", token(1), kNow + kDay, kNow));
  must(r.create_invite("phone", token(2), kNow + 2 * kDay, kNow));
  REQUIRE(r.purge(kNow + kDay));
  CHECK(sql(folder.file(), "SELECT count(*) FROM tokens WHERE verifier IS NULL AND psk IS NULL") == "1");
  CHECK(token_state(r, 1, kNow + kDay) == TokenState::expired);
  CHECK(token_state(r, 2, kNow + kDay) == TokenState::valid);
  // The secret is gone from the files, not only from the table.
  const auto holds = [&](const KeyState&, const SecretKey& secret) {
    const std::string needle(reinterpret_cast<const char*>(secret.bytes().data()), secret.bytes().size());
    for (const char* name : {"registry.db", "registry.db-wal"}) {
      std::ifstream in(folder.file(name), std::ios::binary);
      const std::string content((std::istreambuf_iterator<char>(in)), {});
      if (content.find(needle) != std::string::npos) return true;
    }
    return false;
  };
  CHECK_FALSE(holds({}, token(1).psk));
  CHECK_FALSE(holds({}, token(1).verifier));
  CHECK(holds({}, token(2).psk));

  CHECK(enrol(r, 2, 2) == EnrolmentOutcome::enrolled);
  must(r.remove("phone", kNow + 3 * kDay));
  REQUIRE(r.purge(kNow + 93 * kDay - 1));
  CHECK(must(r.list(true, kNow + 3 * kDay)).size() == 2);
  REQUIRE(r.purge(kNow + 93 * kDay));
  CHECK(sql(folder.file(), "SELECT count(*) FROM users") == "1");
  CHECK(sql(folder.file(), "SELECT count(*) FROM tokens") == "0");
  CHECK(sql(folder.file(), "SELECT count(*) FROM retired_keys") == "0");
  CHECK(state_of(r, 2, kNow) == KeyState::unknown);
  CHECK(must(r.list(false, kNow))[0].name == "laptop");
}

TEST_CASE("two programs work on one registry") {
  Folder folder;
  init();
  const std::string file = folder.file();
  constexpr int kEach = 40;
  // Both make the file and then users at once; every name, id and address must come out once.
  const auto make_users = [&](const char* prefix, uint8_t first) {
    return in_child([&, prefix, first] {
      auto r = Registry::open(file, pools());
      if (!r) return false;
      for (int i = 0; i < kEach; ++i) {
        if (!r->create_invite(prefix + std::to_string(i), token(static_cast<uint8_t>(first + i)), kNow + kDay, kNow))
          return false;
      }
      return true;
    });
  };
  const pid_t one = make_users("a", 0), two = make_users("b", 100);
  CHECK(succeeded(one));
  CHECK(succeeded(two));
  Registry r = must(Registry::open(file, pools()));
  std::set<IpAddress> addresses;
  const auto users = must(r.list(false, kNow));
  CHECK(users.size() == 2 * kEach);
  for (const UserRecord& user : users) CHECK(addresses.insert(user.inner_v4).second);

  // A running server sees what a command does.
  const uint64_t before = must(r.data_version());
  CHECK(must(r.data_version()) == before);
  CHECK(succeeded(in_child([&] {
    auto other = Registry::open(file, pools());
    return other && other->remove("a0", kNow);
  })));
  CHECK(must(r.data_version()) != before);
  CHECK(must(r.find(users[0].id, kNow))->state == UserState::removed);
}

TEST_CASE("of two devices that use one invite at once, one wins") {
  Folder folder;
  init();
  const std::string file = folder.file();
  Registry r = must(Registry::open(file, pools()));
  for (uint8_t round = 0; round < 10; ++round) {
    must(r.create_invite("u" + std::to_string(round), token(round), kNow + kDay, kNow));
    pid_t children[2];
    for (uint8_t i = 0; i < 2; ++i) {
      children[i] = in_child([&, i] {
        auto mine = Registry::open(file, pools());
        const auto e =
            mine ? mine->commit_enrolment(token(round).id, key(static_cast<uint8_t>(100 + 2 * round + i)), kNow)
                 : Result<Enrolment>(Error{});
        return e && e->outcome == EnrolmentOutcome::enrolled;
      });
    }
    const bool first = succeeded(children[0]), second = succeeded(children[1]);
    CHECK(first != second);
  }
}

TEST_CASE("a program that dies in a transaction leaves nothing half done") {
  Folder folder;
  init();
  const std::string file = folder.file();
  must(Registry::open(file, pools()));
  const pid_t pid = in_child([&] {
    sqlite3* db = nullptr;
    sqlite3_open(file.c_str(), &db);
    sqlite3_exec(db, "BEGIN IMMEDIATE; INSERT INTO users(name, slot, state, created) VALUES('half', 2, 'active', 1)",
                 nullptr, nullptr, nullptr);
    kill(getpid(), SIGKILL);
    return false;
  });
  CHECK_FALSE(succeeded(pid));
  Registry r = must(Registry::open(file, pools()));
  CHECK(must(r.list(true, kNow)).empty());
  CHECK(must(r.create_invite("whole", token(1), kNow + kDay, kNow)).inner_v4.to_string() == "10.9.0.2");
}
