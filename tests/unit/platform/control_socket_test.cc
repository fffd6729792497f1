// The control socket: requests, streams, limits, credentials.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include <thread>

#include "netns.h"
#include "platform/clock.h"
#include "platform/control_socket.h"
#include "platform/files.h"

namespace hawser {
namespace {

using testing::TempDir;

struct Fixture {
  TempDir dir;
  std::string path = dir.path("home/control.sock");
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<ControlServer> server;
  std::vector<std::pair<ControlServer::ClientId, std::string>> requests;
  std::vector<ControlPeer> peers;
  std::vector<ControlServer::ClientId> gone;

  explicit Fixture(ControlServer::Limits limits = {}) {
    loop = std::move(*EventLoop::create());
    Result<std::unique_ptr<ControlServer>> made = ControlServer::create(
        *loop, path,
        [this](ControlServer::ClientId id, const ControlPeer& peer, std::string_view line) {
          requests.emplace_back(id, line);
          peers.push_back(peer);
          server->send(id, "echo " + std::string(line));
        },
        limits);
    REQUIRE(made);
    server = std::move(*made);
    server->on_disconnect([this](ControlServer::ClientId id) { gone.push_back(id); });
  }

  // The loop turns until nothing more happens.
  void turn() const {
    for (int i = 0; i < 20; ++i) loop->run_once(false);
  }
};

TEST_CASE("a request is answered, line by line, and anyone may connect") {
  Fixture f;
  struct stat info {};
  REQUIRE(::stat(f.path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777u) == 0666);
  Result<ControlClient> client = ControlClient::connect(f.path);
  REQUIRE(client);
  std::thread asking([&] {
    const Result<std::string> first = client->request(R"({"command":"status"})", Duration::seconds(5));
    CHECK(first);
    if (first) CHECK(*first == R"(echo {"command":"status"})");
    CHECK(client->send_line("two\nthree", Duration::seconds(5)));
    const Result<std::string> second = client->read_line(Duration::seconds(5));
    const Result<std::string> third = client->read_line(Duration::seconds(5));
    CHECK((second && *second == "echo two"));
    CHECK((third && *third == "echo three"));
  });
  const Time deadline = now() + Duration::seconds(5);
  while (f.requests.size() < 3 && now() < deadline) f.loop->run_once(false);
  asking.join();
  REQUIRE(f.requests.size() == 3);
  CHECK(f.peers[0].uid == ::geteuid());
  CHECK(f.peers[0].pid == ::getpid());
  CHECK(f.peers[0].may_change);
}

TEST_CASE("nobody listening is `not running`") {
  const TempDir dir;
  const Result<ControlClient> none = ControlClient::connect(dir.path("control.sock"));
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ExitCode::not_running);
  std::string path;
  {
    const Fixture f;
    path = f.path;
    CHECK(file_exists(path));
  }
  CHECK_FALSE(file_exists(path));
}

TEST_CASE("a stale socket is replaced, and a path longer than the kernel's limit works") {
  TempDir dir;
  const std::string path = dir.path(std::string(100, 'd') + "/" + std::string(30, 'e') + "/control.sock");
  const auto loop = std::move(*EventLoop::create());
  const auto ignore = [](ControlServer::ClientId, const ControlPeer&, std::string_view) {};
  {
    REQUIRE(make_directories(parent_directory(path)));
    REQUIRE(write_file_atomic(path, "left behind"));
  }
  const auto server = ControlServer::create(*loop, path, ignore);
  REQUIRE(server);
  CHECK(ControlClient::connect(path));
}

TEST_CASE("an endless line, a crowd and a silent reader are cut off; others stay") {
  Fixture f({2, 1000, 100'000});
  Result<ControlClient> good = ControlClient::connect(f.path), bad = ControlClient::connect(f.path);
  REQUIRE(good);
  REQUIRE(bad);
  f.turn();
  CHECK(f.server->client_count() == 2);
  Result<ControlClient> third = ControlClient::connect(f.path);
  REQUIRE(third);
  f.turn();
  CHECK(f.server->client_count() == 2);
  CHECK_FALSE(third->read_line(Duration::seconds(1)));

  const std::string endless(2000, 'x');
  REQUIRE(::send(bad->fd(), endless.data(), endless.size(), 0) == 2000);  // and no newline
  f.turn();
  CHECK(f.server->client_count() == 1);
  CHECK(f.requests.empty());
  REQUIRE(f.gone.size() == 1);

  REQUIRE(good->send_line("hello", Duration::seconds(1)));
  f.turn();
  REQUIRE(f.requests.size() == 1);
  // It never reads: the socket's buffer fills, then ours, then it goes. In between the loop is never blocked.
  const std::string event(10'000, 'e');
  int sent = 0;
  while (sent < 10'000 && f.server->send(f.requests[0].first, event)) ++sent;
  CHECK(sent < 10'000);
  f.turn();
  CHECK(f.server->client_count() == 0);
  CHECK(f.gone.size() == 2);
}

TEST_CASE("a plain user may ask but not change") {
  if (::geteuid() != 0) {
    std::printf("SKIPPED: only root can become another user\n");
    return;
  }
  Fixture f;
  REQUIRE(::chmod(f.dir.path().c_str(), 0755) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
    Result<ControlClient> client = ControlClient::connect(f.path);
    const bool sent = client && client->send_line("hello", Duration::seconds(5));
    ::_exit(sent && client->read_line(Duration::seconds(5)) ? 0 : 1);
  }
  const Time deadline = now() + Duration::seconds(5);
  while (f.requests.empty() && now() < deadline) f.loop->run_once(false);
  f.turn();
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  REQUIRE(f.peers.size() == 1);
  CHECK(f.peers[0].uid == 65534);
  CHECK_FALSE(f.peers[0].may_change);
}

TEST_CASE("close() lets everything queued out first") {
  Fixture f;
  Result<ControlClient> client = ControlClient::connect(f.path);
  REQUIRE(client);
  REQUIRE(client->send_line("x", Duration::seconds(1)));
  f.turn();
  REQUIRE(f.requests.size() == 1);
  const std::string large(600'000, 'l');
  CHECK(f.server->send(f.requests[0].first, large));
  f.server->close(f.requests[0].first);
  CHECK_FALSE(f.server->send(f.requests[0].first, "too late"));
  std::string first, second;
  bool ended = false;
  std::thread reading([&] {
    first = *client->read_line(Duration::seconds(5));
    second = *client->read_line(Duration::seconds(5));
    ended = !client->read_line(Duration::seconds(5));
  });
  const Time deadline = now() + Duration::seconds(5);
  while (f.server->client_count() > 0 && now() < deadline) f.loop->run_once(false);
  reading.join();
  CHECK(first == "echo x");
  CHECK(second == large);
  CHECK(ended);
}

TEST_CASE("a daemon that does not answer is a time-out") {
  const Fixture f;
  Result<ControlClient> client = ControlClient::connect(f.path);
  REQUIRE(client);
  const Result<std::string> answer = client->request("hello", Duration::millis(20));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ExitCode::unexpected);
}

}  // namespace
}  // namespace hawser
