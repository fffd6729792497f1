// The loop, and what can be asked over the control socket (README.md lists it).
#include "tests/netlab/emulator/emulator.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <thread>
#include <utility>

#include "tests/netlab/emulator/priority.h"

namespace hawser::netlab {
namespace {

constexpr int kRank = 2;                             // before the probes
// Frames leave in groups of what is due within this: half of a thread's time goes into waking up.
constexpr Duration kPace = Duration::micros(250);
constexpr Duration kChance = Duration::micros(400);  // timers are up to 100 us late on a processor that is there
constexpr Duration kLook = Duration::millis(1);
constexpr double kValidLatenessMs = 2.0;  // more at p99.9 and the run says nothing about the tunnel

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string number(double value) {
  char buffer[64];
  bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  std::snprintf(buffer, sizeof buffer, whole ? "%.0f" : "%.1f", value);
  return buffer;
}

using Fields = std::vector<std::pair<std::string, double>>;

Fields fields_of(const Direction& direction) {
  const Counters& c = direction.counters();
  auto count = [](uint64_t v) { return static_cast<double>(v); };
  auto micros = [](Duration d) { return static_cast<double>(d.ns) / 1000; };
  return {{"in_packets", count(c.in_packets)},
          {"in_bytes", count(c.in_bytes)},
          {"out_packets", count(c.out_packets)},
          {"out_bytes", count(c.out_bytes)},
          {"duplicated", count(c.duplicated)},
          {"drop_queue", count(c.drop_queue)},
          {"drop_loss", count(c.drop_loss)},
          {"drop_blackhole", count(c.drop_blackhole)},
          {"drop_oversize", count(c.drop_oversize)},
          {"drop_offload", count(c.drop_offload)},
          {"drop_overrun", count(c.drop_overrun)},
          {"drop_send", count(c.drop_send)},
          {"queued_bytes", count(direction.queued_bytes())},
          {"late_p50_us", micros(c.lateness.percentile(0.5))},
          {"late_p99_us", micros(c.lateness.percentile(0.99))},
          {"late_p999_us", micros(c.lateness.percentile(0.999))},
          {"late_max_us", micros(c.lateness.max())}};
}

std::string json(const Direction& direction) {
  std::string text = "{";
  for (const auto& [name, value] : fields_of(direction)) text += "\"" + name + "\":" + number(value) + ",";
  return text + "\"settings\":\"" + direction.settings().to_text() + "\"}";
}

}  // namespace

Emulator::Emulator()
    : control_([this](const std::string& line) { return answer(line); }),
      started_(monotonic_now()) {}

Status Emulator::add_link(const LinkSpec& spec) {
  if (find(spec.name) != nullptr) return Error{ExitCode::usage, "link " + spec.name + " exists"};
  auto link = Link::open(spec);
  if (!link) return link.error();
  links_.push_back(std::move(*link));
  return Done{};
}

Time Emulator::turn(Polls& polls) {
  Time wake = Time::infinite();
  Polls next;
  next.reserve(polls.capacity());
  for (const auto& link : links_) {
    for (size_t direction = 0; direction < Link::kDirections; ++direction) {
      const size_t at = next.size();
      bool known = at < polls.size();  // a link added just now was not polled yet
      Link::Wish wish = link->run(direction, known && polls[at].revents != 0, monotonic_now());
      wake = std::min(wake, wish.wake);
      next.push_back({wish.fd, POLLIN, 0});
    }
  }
  polls.swap(next);
  return wake;
}

Time Emulator::wake() const {
  Time wake = Time::infinite();
  for (const auto& link : links_) wake = std::min(wake, link->wake());
  return wake;
}

void Emulator::run(const volatile bool& stop, Time deadline) {
  sigset_t while_waiting;
  sigprocmask(SIG_SETMASK, nullptr, &while_waiting);
  sigdelset(&while_waiting, SIGTERM);
  sigdelset(&while_waiting, SIGINT);
  const std::vector<int> processors = own_processors();
  std::jthread second;
  if (processors.size() > 1) {
    second = std::jthread([this, other = processors[1]](const std::stop_token& over) {
      stay_on(other);
      schedule_first(kRank);
      stand_in(over);
    });
    stay_on(processors[0]);
  }
  scheduling_ = schedule_first(kRank);
  Polls polls;
  while (!stop && !quit_ && monotonic_now() < deadline) {
    const Time began = monotonic_now();
    Time wake = std::min(deadline, turn(polls));
    const size_t first_control = polls.size();
    control_.add_poll(polls);
    sleep_until(began + kPace);
    Duration left = std::max(wake - monotonic_now(), Duration{});
    timespec timeout{left.ns / 1'000'000'000, left.ns % 1'000'000'000};
    if (ppoll(polls.data(), polls.size(), &timeout, &while_waiting) < 0) {
      for (pollfd& entry : polls) entry.revents = 0;
    }
    control_.on_poll(polls.data() + first_control, polls.size() - first_control);
    polls.resize(first_control);
  }
}

void Emulator::stand_in(const std::stop_token& stop) {
  Polls polls;
  for (Time looked = monotonic_now(), next = looked; !stop.stop_requested();) {
    sleep_until(next);
    std::lock_guard lock(links_lock_);
    const Time now = monotonic_now();
    // Neither before the first had its chance, nor later than frames may lie unread.
    const bool overdue = wake() + kChance <= now;
    if (overdue || now >= looked + kLook) {
      looked = now;
      stood_in_ += overdue ? 1 : 0;
      turn(polls);
      poll(polls.data(), polls.size(), 0);
      turn(polls);
    }
    next = std::min(std::max(wake(), now) + kChance, looked + kLook);
  }
}

Link* Emulator::find(const std::string& name) {
  for (const auto& link : links_) {
    if (link->spec().name == name) return link.get();
  }
  return nullptr;
}

std::string Emulator::answer(const std::string& line) {
  std::lock_guard lock(links_lock_);
  std::vector<std::string> words = words_of(line);
  if (words.empty()) return "error: empty command";
  const std::string& verb = words[0];
  if (verb == "set") return set(words);
  if (verb == "get") return get(words);
  if (verb == "show") return show();
  if (verb == "stats") return stats();
  if (verb == "valid") return valid(words);
  if (verb == "reset") {
    for (const auto& link : links_) link->reset_counters();
    return "ok";
  }
  if (verb == "add") {
    auto spec = parse_link(line.substr(line.find("add") + 3));
    if (!spec) return "error: " + spec.error().message;
    Status status = add_link(*spec);
    return status ? "ok" : "error: " + status.error().message;
  }
  if (verb == "quit") {
    quit_ = true;
    return "ok";
  }
  return "error: unknown command \"" + verb + "\"; known are set get show stats valid reset add quit";
}

// set LINK up|down|both key=value... : all of it or nothing.
std::string Emulator::set(const std::vector<std::string>& words) {
  if (words.size() < 4) return "error: set LINK up|down|both key=value...";
  Link* link = find(words[1]);
  if (link == nullptr) return "error: no link " + words[1];
  if (words[2] != "up" && words[2] != "down" && words[2] != "both")
    return "error: " + words[2] + " is not up, down or both";
  Which which = words[2] == "up" ? Which::up : words[2] == "down" ? Which::down : Which::both;
  LinkSettings settings = link->settings();
  for (size_t i = 3; i < words.size(); ++i) {
    if (Status status = parse_setting(settings, which, words[i]); !status) return "error: " + status.error().message;
  }
  Time now = monotonic_now();
  link->catch_up(now);
  link->set(settings, now);
  return "ok";
}

std::string Emulator::get(const std::vector<std::string>& words) {
  if (words.size() != 4) return "error: get LINK up|down FIELD";
  Link* link = find(words[1]);
  if (link == nullptr) return "error: no link " + words[1];
  link->collect_overruns();
  for (const auto& [name, value] : fields_of(words[2] == "up" ? link->up() : link->down())) {
    if (name == words[3]) return number(value);
  }
  return "error: no field " + words[3];
}

std::string Emulator::show() const {
  std::string text;
  for (const auto& link : links_) {
    text += (text.empty() ? "" : "; ") + link->spec().name + " up " + link->settings().up.to_text() + "; " +
            link->spec().name + " down " + link->settings().down.to_text();
  }
  return text;
}

std::string Emulator::stats() {
  Duration age = monotonic_now() - started_;
  Histogram all;
  for (const auto& link : links_) {
    all.add(link->up().counters().lateness);
    all.add(link->down().counters().lateness);
  }
  std::string text = "{\"uptime_s\":" + number(age.to_seconds()) + ",\"scheduling\":\"" + scheduling_ +
                     "\",\"stood_in\":" + number(static_cast<double>(stood_in_)) + ",\"late_p999_us\":" +
                     number(static_cast<double>(all.percentile(0.999).ns) / 1000) + ",\"links\":{";
  bool first = true;
  for (const auto& link : links_) {
    link->collect_overruns();
    text += (first ? "\"" : ",\"") + link->spec().name + "\":{\"a\":\"" + link->spec().a + "\",\"b\":\"" +
            link->spec().b + "\",\"sockets\":\"" + link->granted() + "\",\"up\":" + json(link->up()) +
            ",\"down\":" + json(link->down()) + "}";
    first = false;
  }
  return text + "}}";
}

// valid [LIMIT_MS]: may this run be believed? Lateness at p99.9 of all frames, at p99 of each direction's, and frames lost by the
// emulator itself decide.
std::string Emulator::valid(const std::vector<std::string>& words) {
  const double limit = words.size() > 1 ? std::atof(words[1].c_str()) : kValidLatenessMs;
  const auto too_late = [&](const Histogram& lateness, double share, const std::string& of) {
    const double late = lateness.percentile(share).to_millis();
    if (late <= limit) return std::string();
    return "error: INVALID: p" + number(100 * share) + " of " + of + "lateness is " + number(late) + " ms, above " + number(limit) + " ms";
  };
  Histogram all;
  for (const auto& link : links_) {
    link->collect_overruns();
    for (const auto& [name, direction] : {std::pair{"up", &link->up()}, std::pair{"down", &link->down()}}) {
      const Counters& counters = direction->counters();
      const std::string where = "link " + link->spec().name + " " + name + ": ";
      all.add(counters.lateness);
      if (std::string late = too_late(counters.lateness, 0.99, where); !late.empty()) return late;
      if (counters.drop_overrun > 0)
        return "error: INVALID: " + where + number(static_cast<double>(counters.drop_overrun)) + " frames overrun";
    }
  }
  const std::string late = too_late(all, 0.999, "");
  return late.empty() ? "ok" : late;
}

}  // namespace hawser::netlab
