// Making and entering namespaces, and the shell-free `ip`.
#include "netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "platform/files.h"
#include "platform/process.h"

namespace hawser::testing {
namespace {

void write_text(const char* path, const std::string& text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (fd && ::write(fd.get(), text.data(), text.size()) < 0) std::perror(path);
}

// Root needs only the network namespace; everybody else first becomes root of a user namespace, once.
std::string enter_first() {
  const unsigned uid = ::geteuid(), gid = ::getegid();
  if (uid == 0 && ::unshare(CLONE_NEWNET) == 0) return {};
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return std::strerror(errno);
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
  write_text("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
  return {};
}

}  // namespace

namespace {
bool skip(const std::string& why) {
  if (std::getenv("CI") != nullptr) {
    FAIL("cannot run here: " << why);
  }
  std::printf("SKIPPED: %s\n", why.c_str());
  return false;
}
}  // namespace

bool fresh_namespace() {
  static const std::string problem = enter_first();
  if (!problem.empty()) return skip("cannot make a network namespace: " + problem);
  REQUIRE(::unshare(CLONE_NEWNET) == 0);
  ip("link set lo up");
  return true;
}

bool fresh_namespace_with_tun() {
  const UniqueFd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tun) return skip("cannot open /dev/net/tun: " + std::string(std::strerror(errno)));
  return fresh_namespace();
}

Namespace Namespace::current() {
  UniqueFd fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  REQUIRE(fd);
  return Namespace(std::move(fd));
}

Namespace Namespace::create() {
  REQUIRE(::unshare(CLONE_NEWNET) == 0);
  ip("link set lo up");
  return current();
}

void Namespace::enter() const {
  REQUIRE(::setns(fd_.get(), CLONE_NEWNET) == 0);
}

std::string ip(const std::string& words) {
  std::vector<std::string> argv{"ip"};
  std::istringstream stream(words);
  for (std::string word; stream >> word;) argv.push_back(word);
  const Result<ProgramResult> run = run_program(argv);
  REQUIRE(run);
  INFO("ip " << words << ": " << run->errors);
  REQUIRE(run->exit_status == 0);
  return run->output;
}

void add_address(const std::string& address, const std::string& device) {
  const bool v6 = address.find(':') != std::string::npos;
  ip("address add " + address + " dev " + device + (v6 ? " nodad" : ""));
  if (v6) wait_for_address(address.substr(0, address.find('/')));
}

void wait_for_address(const std::string& ipv6) {
  for (int i = 0; i < 200; ++i) {
    if (ip("-6 route show table local").find("local " + ipv6 + " ") != std::string::npos) return;
    ::usleep(5'000);
  }
  FAIL("the kernel made no local route for " << ipv6);
}

std::string routing_state() {
  return ip("-4 rule show") + ip("-6 rule show") + ip("-4 route show table all") + ip("-6 route show table all");
}

void make_veth(const std::string& near, const std::string& near_address, const std::string& far,
               const std::string& far_address, const Namespace& other) {
  const Namespace here = Namespace::current();
  ip("link add " + near + " type veth peer name " + far);
  // `ip link set netns` wants a process or a name; a path to our descriptor is as good.
  ip("link set " + far + " netns /proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(other.fd()));
  // No link-local addresses, whose coming after a second would disturb comparisons.
  ip("link set " + near + " addrgenmode none");
  ip("link set " + near + " up");
  if (!near_address.empty()) add_address(near_address, near);
  other.enter();
  ip("link set " + far + " addrgenmode none");
  ip("link set " + far + " up");
  if (!far_address.empty()) add_address(far_address, far);
  here.enter();
}

TempDir::TempDir() {
  char name[] = "/tmp/hawser-test-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace hawser::testing
