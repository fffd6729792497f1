// hawser-fleet: plays many users of one server, and measures what they get. tests/bench/users runs it.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "platform/clock.h"
#include "tests/bench/fleet/fleet.h"
#include "tests/bench/fleet/transfer.h"

namespace hawser::bench {
namespace {

constexpr Duration kConnectWithin = Duration::seconds(60);

// Processor seconds that a process has used so far; 0 when there is none.
double cpu_seconds_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) return 0;
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void print(const nlohmann::json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

// Commands come by standard input, one a line; each is answered by one line of JSON. Between them the users stay
// connected and carry what is sent through the TUN. The end of the input ends the program.
class Player {
 public:
  Player(EventLoop& loop, Fleet& fleet, int server_pid) : loop_(loop), fleet_(fleet), server_pid_(server_pid) {
    ::fcntl(STDIN_FILENO, F_SETFL, ::fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    input_ = loop.watch_fd(STDIN_FILENO, Interest::read, [this](EventLoop::Ready) { read_input(); });
  }

  Status run() {
    while (true) {
      while (lines_.empty() && !ended_) loop_.run_once(true);
      if (lines_.empty()) return Done{};
      const std::string line = lines_.front();
      lines_.erase(lines_.begin());
      if (auto done = execute(line); !done) return done;
    }
  }

 private:
  void read_input() {
    char buffer[4096];
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n == 0) {
      ended_ = true;
      input_.reset();
      return;
    }
    if (n < 0) return;
    text_.append(buffer, static_cast<size_t>(n));
    for (size_t end; (end = text_.find('\n')) != std::string::npos; text_.erase(0, end + 1))
      lines_.push_back(text_.substr(0, end));
  }

  Status execute(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    double first = 0;
    size_t second = 0;
    words >> command >> first >> second;
    if (command == "connect") return connect(static_cast<size_t>(first));
    if (command == "handshakes") return handshakes(first, second);
    if (command == "attach") return attach(static_cast<size_t>(first));
    return Error{ExitCode::usage, "unknown command: " + line};
  }

  // Turns of the loop until `done` or `limit` is over. The alarm ends the sleep of a loop in which nothing happens.
  template <typename Done>
  void run_until(Done done, Time limit) {
    auto alarm = loop_.make_timer([] {});
    alarm.set_deadline(limit);
    while (!done() && now() < limit) loop_.run_once(true);
  }

  // connect IN_FLIGHT: every user once.
  Status connect(size_t in_flight) {
    const Time began = now();
    const double server_before = cpu_seconds_of(server_pid_);
    fleet_.start_handshakes(in_flight, fleet_.size(), {});
    run_until([&] { return fleet_.connected() == fleet_.size(); }, began + kConnectWithin);
    print({{"users", fleet_.size()},
           {"connected", fleet_.connected()},
           {"seconds", (now() - began).to_seconds()},
           {"server_cpu_s", cpu_seconds_of(server_pid_) - server_before}});
    return Done{};
  }

  // handshakes SECONDS IN_FLIGHT: users begin anew, again and again.
  Status handshakes(double seconds, size_t in_flight) {
    std::vector<Duration> took;
    const Time began = now();
    const Duration own_before = cpu_time();
    const double server_before = cpu_seconds_of(server_pid_);
    fleet_.start_handshakes(in_flight, SIZE_MAX, [&](Duration d) { took.push_back(d); });
    run_until([] { return false; }, began + Duration::from_seconds(seconds));
    const double elapsed = (now() - began).to_seconds();
    const double own = (cpu_time() - own_before).to_seconds(), server = cpu_seconds_of(server_pid_) - server_before;
    const size_t completed = took.size();
    // Who is under way gets to the end, so that all are connected again.
    fleet_.stop_starting();
    run_until([&] { return fleet_.in_flight() == 0; }, now() + Duration::seconds(10));
    std::sort(took.begin(), took.end());
    const auto quantile = [&](double q) {
      return took.empty() ? 0
                          : took[std::min(took.size() - 1, static_cast<size_t>(q * static_cast<double>(took.size())))]
                                .to_millis();
    };
    print({{"per_second", static_cast<double>(completed) / elapsed},
           {"completed", completed},
           {"seconds", elapsed},
           {"p50_ms", quantile(.5)},
           {"p99_ms", quantile(.99)},
           {"server_processors", server / elapsed},
           {"own_processors", own / elapsed},
           {"server_us_each", completed ? server * 1e6 / static_cast<double>(completed) : 0},
           {"unfinished", fleet_.in_flight()}});
    return Done{};
  }

  // attach USERS: gives the first users' inner addresses to this machine.
  Status attach(size_t users) {
    auto addresses = fleet_.attach(users);
    if (!addresses) return addresses.error();
    nlohmann::json list = nlohmann::json::array();
    for (const IpAddress& a : *addresses) list.push_back(a.to_string());
    print({{"addresses", list}});
    return Done{};
  }

  EventLoop& loop_;
  Fleet& fleet_;
  const int server_pid_;
  EventLoop::FdWatch input_;
  std::string text_;
  std::vector<std::string> lines_;
  bool ended_ = false;
};

struct Arguments {
  std::string interface, local, server, key, listen;
  std::vector<std::string> from;
  size_t users = 1000;
  int server_pid = 0;
  bool upload = false;
  TransferOptions transfer;
};

Result<SocketAddress> address(const std::string& text) {
  const size_t colon = text.rfind(':');
  const auto ip = IpAddress::parse(text.substr(0, colon));
  if (!ip || !ip->is_v4()) return Error{ExitCode::usage, text + " is not ADDRESS[:PORT] with an IPv4 address"};
  return SocketAddress{
      *ip, colon == std::string::npos ? uint16_t{0} : static_cast<uint16_t>(std::stoul(text.substr(colon + 1))), 0};
}

Status play(const Arguments& a) {
  const auto local = address(a.local), server = address(a.server);
  const auto key = PublicKey::parse(a.key);
  if (!local) return local.error();
  if (!server) return server.error();
  if (!key) return Error{ExitCode::usage, a.key + " is not a public key"};
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  auto loop = EventLoop::create();
  if (!loop) return loop.error();
  auto fleet = Fleet::create(**loop, {a.interface, *local, *server, *key, a.users});
  if (!fleet) return fleet.error();
  return Player(**loop, **fleet, a.server_pid).run();
}

Status transfer(Arguments& a) {
  const auto server = address(a.server);
  if (!server) return server.error();
  a.transfer.server = *server;
  for (const std::string& text : a.from) {
    const auto from = address(text);
    if (!from) return from.error();
    a.transfer.from.push_back(from->ip);
  }
  return run_transfers(a.transfer);
}

Status serve(const Arguments& a) {
  const auto listen = address(a.listen);
  if (!listen) return listen.error();
  return serve_transfers(*listen);
}

Status keys(const Arguments& a) {
  for (size_t i = 0; i < a.users; ++i) std::printf("user%zu=%s\n", i, key_of_user(i).public_key().to_base64().c_str());
  return Done{};
}

}  // namespace
}  // namespace hawser::bench

int main(int argc, char** argv) {
  using namespace hawser::bench;
  CLI::App app{"Plays many users of one server."};
  app.require_subcommand(1);
  Arguments a;
  CLI::App* keys_command = app.add_subcommand("keys", "NAME=PUBLIC_KEY of each user, for vpn-server init --allow-key");
  CLI::App* play_command =
      app.add_subcommand("play", "be the users; commands by standard input: connect, handshakes, attach");
  for (CLI::App* c : {keys_command, play_command}) c->add_option("--users", a.users);
  play_command->add_option("interface", a.interface)->required();
  play_command->add_option("local", a.local, "the interface's address")->required();
  play_command->add_option("server", a.server, "ADDRESS:PORT")->required();
  play_command->add_option("key", a.key, "the server's public key")->required();
  play_command->add_option("--server-pid", a.server_pid, "whose processor time is told");
  CLI::App* serve_command = app.add_subcommand("serve", "the other end of `transfer`");
  serve_command->add_option("listen", a.listen, "ADDRESS:PORT")->required();
  CLI::App* transfer_command = app.add_subcommand("transfer", "a TCP connection from each address: rate and fairness");
  transfer_command->add_option("server", a.server, "ADDRESS:PORT")->required();
  transfer_command->add_option("from", a.from, "inner addresses")->required();
  transfer_command->add_flag("--up", a.transfer.upload, "send instead of receive");
  transfer_command->add_option("--seconds", a.transfer.seconds);
  transfer_command->add_option("--skip", a.transfer.skip_seconds, "seconds before them that do not count");
  CLI11_PARSE(app, argc, argv);
  const hawser::Status status = *keys_command    ? keys(a)
                                : *play_command  ? play(a)
                                : *serve_command ? serve(a)
                                                 : transfer(a);
  if (status) return 0;
  std::fprintf(stderr, "hawser-fleet: %s\n", status.error().message.c_str());
  return static_cast<int>(status.error().code);
}
