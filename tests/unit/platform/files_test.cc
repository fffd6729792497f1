// Files: atomic writes, secrets and their modes, folders.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "netns.h"
#include "platform/files.h"

namespace hawser {
namespace {

using testing::TempDir;

unsigned mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777u;
}

TEST_CASE("an atomic write replaces the content, keeps the asked mode, leaves no temporary file") {
  const TempDir dir;
  const std::string path = dir.path("profile.toml");
  const mode_t old_mask = ::umask(077);
  REQUIRE(write_file_atomic(path, "one", 0644));
  REQUIRE(write_file_atomic(path, "two", 0644));
  ::umask(old_mask);
  CHECK(*read_file(path) == "two");
  CHECK(mode_of(path) == 0644);
  CHECK(list_directory(dir.path()) == std::vector<std::string>{"profile.toml"});
}

TEST_CASE("an atomic write goes through a symbolic link") {
  const TempDir dir;
  REQUIRE(write_file_atomic(dir.path("real"), "one"));
  REQUIRE(::symlink("real", dir.path("link").c_str()) == 0);
  REQUIRE(write_file_atomic(dir.path("link"), "two"));
  struct stat info {};
  REQUIRE(::lstat(dir.path("link").c_str(), &info) == 0);
  CHECK(S_ISLNK(info.st_mode));
  CHECK(*read_file(dir.path("real")) == "two");
}

TEST_CASE("a write into a folder that is not there fails and says where") {
  const Status status = write_file_atomic("/nonexistent-folder/file", "x");
  REQUIRE_FALSE(status);
  CHECK(status.error().message.find("/nonexistent-folder/file") != std::string::npos);
}

TEST_CASE("a secret is made 0600 in a 0700 folder and never overwritten") {
  const TempDir dir;
  const std::string path = dir.path("keys/home.key");
  REQUIRE(create_secret_file(path, "secret"));
  CHECK(mode_of(path) == 0600);
  CHECK(mode_of(dir.path("keys")) == 0700);
  CHECK(*read_secret_file(path) == "secret");
  const Status again = create_secret_file(path, "other");
  REQUIRE_FALSE(again);
  CHECK(again.error().code == ExitCode::conflict);
  CHECK(*read_file(path) == "secret");
}

TEST_CASE("a key that others can read is refused with the chmod line") {
  const TempDir dir;
  const std::string path = dir.path("home.key");
  REQUIRE(create_secret_file(path, "secret"));
  for (const mode_t mode : {mode_t{0640}, mode_t{0604}, mode_t{0620}}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const Result<std::string> read = read_secret_file(path);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == ExitCode::configuration);
    CHECK(read.error().message.find("chmod 600 " + path) != std::string::npos);
  }
  // systemd hands credentials out with modes of its own, in a folder only this service can enter.
  ::setenv("CREDENTIALS_DIRECTORY", dir.path().c_str(), 1);
  CHECK(read_secret_file(path));
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_CASE("a file that is too large is refused") {
  const TempDir dir;
  REQUIRE(write_file_atomic(dir.path("big"), std::string(1001, 'x')));
  CHECK_FALSE(read_file(dir.path("big"), 1000));
  CHECK(read_file(dir.path("big"), 1001));
}

TEST_CASE("folders and names") {
  CHECK(parent_directory("/a/b/c") == "/a/b");
  CHECK(parent_directory("/a") == "/");
  CHECK(parent_directory("a") == ".");
  const TempDir dir;
  REQUIRE(make_directories(dir.path("x/y/z"), 0750));
  CHECK(mode_of(dir.path("x/y/z")) == 0750);
  REQUIRE(write_file_atomic(dir.path("file"), ""));
  CHECK_FALSE(make_directories(dir.path("file/below")));
  CHECK(remove_file(dir.path("file")));
  CHECK(remove_file(dir.path("file")));
  CHECK(list_directory(dir.path("none")).empty());
  CHECK(boot_id().size() == 36);
}

}  // namespace
}  // namespace hawser
