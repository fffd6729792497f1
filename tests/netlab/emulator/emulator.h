// The emulator: all links of one process, their commands and their statistics.
#pragma once

#include <memory>
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
  // Runs until `quit`, a termination signal (`stop` becomes true) or `deadline`.
  void run(const volatile bool& stop, Time deadline);
  // How the process was scheduled, for the statistics.
  void set_scheduling(std::string text) { scheduling_ = std::move(text); }

 private:
  std::string answer(const std::string& line);
  std::string set(const std::vector<std::string>& words);
  std::string get(const std::vector<std::string>& words);
  std::string show() const;
  std::string stats();
  std::string valid(const std::vector<std::string>& words);
  Link* find(const std::string& name);

  FramePool pool_;
  std::vector<std::unique_ptr<Link>> links_;
  ControlServer control_;
  std::string scheduling_ = "normal";
  Time started_;
  bool quit_ = false;
};

}  // namespace hawser::netlab
