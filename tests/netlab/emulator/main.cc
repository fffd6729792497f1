// hawser-netem: an emulator of network links between pairs of interfaces, for kernels with or without netem.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "tests/netlab/emulator/calm.h"
#include "tests/netlab/emulator/emulator.h"

namespace {

using hawser::Duration;
using hawser::Time;
using hawser::netlab::Emulator;

constexpr int kNotNow = 75;  // EX_TEMPFAIL of sysexits.h, as for measurements without a valid run

volatile bool g_stop = false;

int fail(const hawser::Error& error) {
  fprintf(stderr, "hawser-netem: %s\n", error.message.c_str());
  return static_cast<int>(error.code);
}

// Blocked but in ppoll, so that a signal never comes between the check and the wait.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_stop = true; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
}

// A configuration has one link per line as for --link, with blanks or commas; "#" starts a comment.
int read_config(const std::string& file, std::vector<std::string>& links) {
  std::ifstream input(file);
  if (!input) return fail({hawser::ExitCode::configuration, file + ": cannot read: " + strerror(errno)});
  for (std::string line; std::getline(input, line);) {
    line.resize(std::min(line.find('#'), line.size()));
    if (line.find_first_not_of(" \t\r") != std::string::npos) links.push_back(line);
  }
  return 0;
}

int run_links(const std::vector<std::string>& links, const std::string& control, double max_seconds) {
  Emulator emulator;
  for (const std::string& text : links) {
    auto spec = hawser::netlab::parse_link(text);
    if (!spec) return fail(spec.error());
    if (auto status = emulator.add_link(*spec); !status) return fail(status.error());
  }
  if (!control.empty()) {
    if (auto status = emulator.listen(control); !status) return fail(status.error());
  }
  catch_signals();
  emulator.run(g_stop, hawser::netlab::monotonic_now() + Duration::from_seconds(max_seconds));
  return 0;
}

int ask(const std::string& socket, const std::vector<std::string>& words) {
  std::string command;
  for (const std::string& word : words) command += (command.empty() ? "" : " ") + word;
  auto answer = hawser::netlab::control_request(socket, command);
  if (!answer) return fail(answer.error());
  bool error = answer->rfind("error: ", 0) == 0;
  fprintf(error ? stderr : stdout, "%s\n", answer->c_str());
  return error ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  pid_t parent = getppid();
  CLI::App app{"Emulates links between pairs of network interfaces: rate, delay, jitter, queue, loss, blackhole."};
  app.require_subcommand(1);

  std::vector<std::string> links;
  std::string config, control;
  double max_seconds = 3600;
  bool outlive = false;
  CLI::App* run = app.add_subcommand("run", "emulate links until the parent dies, a signal, `quit` or --max-seconds");
  run->add_option("--link", links, "NAME,IFA,IFB[,key=value...]; may be repeated")->allow_extra_args(false);
  run->add_option("--config", config, "file with one link per line");
  run->add_option("--control", control, "path of the control socket");
  run->add_option("--max-seconds", max_seconds, "exit after this time")->check(CLI::Range(1.0, 86400.0));
  run->add_flag("--outlive-parent", outlive, "do not exit when the parent does");

  std::string socket;
  std::vector<std::string> words;
  CLI::App* ctl = app.add_subcommand("ctl", "send one command to a running emulator");
  ctl->add_option("socket", socket, "its control socket")->required();
  ctl->add_option("command", words, "for example: set 1 both rate=20M")->required();

  std::vector<std::string> interfaces;
  CLI::App* prepare = app.add_subcommand("prepare", "turn segmentation and checksum offloads off");
  prepare->add_option("interface", interfaces)->required();
  bool undo = false;
  prepare->add_flag("--undo", undo, "turn them on again");

  double limit_ms = 1, window = 5, patience = 60;
  CLI::App* calm = app.add_subcommand("calm", "wait until the machine is quiet enough to measure on; exit 75 when it does not become so");
  calm->add_option("--limit-ms", limit_ms, "timers of the earlier of two processors must not be later, p99.9 over the window under load");
  calm->add_option("--window", window, "seconds for which it must be so")->check(CLI::Range(0.1, 600.0));
  calm->add_option("--seconds", patience, "wait no longer than this")->check(CLI::Range(0.0, 3600.0));

  CLI11_PARSE(app, argc, argv);
  if (*ctl) return ask(socket, words);
  if (*calm) {
    return hawser::netlab::wait_for_calm(Duration::from_seconds(limit_ms / 1e3), Duration::from_seconds(window), Duration::from_seconds(patience)) ? 0
                                                                                                                          : kNotNow;
  }
  if (*prepare) {
    for (const std::string& name : interfaces) {
      if (auto status = hawser::netlab::set_offloads(name, undo); !status) return fail(status.error());
    }
    return 0;
  }
  if (!outlive) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) return 1;
  }
  if (!config.empty()) {
    if (int code = read_config(config, links); code != 0) return code;
  }
  return run_links(links, control, max_seconds);
}
