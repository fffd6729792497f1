// The emulator: all links of one process, their commands and their statistics.
#pragma once

#include <poll.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "tests/netlab/emulator/control.h"
#include "tests/netlab/emulator/link.h"

namespace hawser::netlab {

class Emulator {
 public:
  Emulator();

  Status add_link(const LinkSpec& spec);
  Status listen(const std::string& control_path) { return control_.listen(control_path); }
  // Runs until `quit`, a termination signal (`stop` becomes true) or `deadline`. A second thread on another processor stands in
  // while the first's processor is away: in a virtual machine the host takes one for milliseconds, seldom two at once.
  void run(const volatile bool& stop, Time deadline);

 private:
  using Polls = std::vector<pollfd>;

  // Reads what `polls` (of the time before) calls readable, sends what is due; leaves in `polls` what to wait for and returns
  // until when.
  Time turn(Polls& polls);
  void stand_in(const std::stop_token& stop);
  Time wake() const;
  std::string answer(const std::string& line);
  std::string set(const std::vector<std::string>& words);
  std::string get(const std::vector<std::string>& words);
  std::string show() const;
  std::string stats();
  std::string valid(const std::vector<std::string>& words);
  Link* find(const std::string& name);

  // Held by the second thread for a turn, and by the first for what the second must not see half done.
  std::mutex links_lock_;
  std::vector<std::unique_ptr<Link>> links_;
  ControlServer control_;
  std::string scheduling_ = "normal";
  Time started_;
  uint64_t stood_in_ = 0;  // turns in which the second thread sent what the first had left
  bool quit_ = false;
};

}  // namespace hawser::netlab
