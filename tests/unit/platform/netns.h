// Network namespaces for tests: each test that changes the network gets a fresh one, as root or in a user namespace.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "platform/fd.h"

namespace hawser::testing {

// Moves this process into a fresh network namespace with lo up. False (SKIPPED printed, or a failure when CI is set)
// when the system forbids it.
bool fresh_namespace();
// The same for a test that needs TUN devices: not everybody may open /dev/net/tun.
bool fresh_namespace_with_tun();

// The namespace the process is in now; enter() goes back to it. Sockets stay in the one where they were opened.
class Namespace {
 public:
  static Namespace current();
  // A new one, which the process is in afterwards.
  static Namespace create();
  void enter() const;
  int fd() const { return fd_.get(); }

 private:
  explicit Namespace(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// Runs `ip` with these words; a failure fails the test. Returns what it printed.
std::string ip(const std::string& words);
// Adds an address and waits until the kernel has made its routes, too: for IPv6 it does so a little later.
void add_address(const std::string& address, const std::string& device);
void wait_for_address(const std::string& ipv6);
// Everything that policy routing consists of, to compare before and after.
std::string routing_state();
// A veth pair; the second end is moved to `other`. Both are up with these addresses ("10.1.0.2/24", may be empty).
void make_veth(const std::string& near, const std::string& near_address, const std::string& far,
               const std::string& far_address, const Namespace& other);

// A folder that is removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace hawser::testing
